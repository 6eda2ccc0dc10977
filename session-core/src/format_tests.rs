use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::{Secret, SessionId};

pub(crate) fn sample() -> Record {
    let id = SessionId::from_bytes([7; 16]);
    let digest = Secret::random().unwrap().digest(&id);
    let at = Timestamp::from_unix_ms(1_764_000_000_000);
    Record {
        version: Version::from_parts(3, 0x0123_4567_89ab_cdef),
        generation: Generation(2),
        created_at: at,
        accessed_at: at.after(Duration::from_secs(5)),
        expiry: Expiry::new(Some(Duration::from_secs(3600)), None),
        own_timeout: Some(Duration::from_secs(3600)),
        persistent: true,
        secret: digest,
        secret_at: at,
        previous: Some(Box::new(Previous {
            secret: digest,
            until: Some(at),
            valid: false,
        })),
        owner: Some(Owner::new("ada \"the\" first").unwrap()),
        address: Some("2001:db8::1".parse().unwrap()),
        agent: Some("Mozilla/5.0 \\ \u{1F980}".into()),
        own: Data::parse(r#"{"csrf":"seed"}"#).unwrap(),
        data: Data::parse(r#"{"count":1,"name":"Ada \"é\"","list":[1, 2]}"#).unwrap(),
    }
}

#[test]
fn the_touched_fields_stand_at_fixed_offsets() {
    let record = sample();
    let json = record.encode();
    let at = |from: usize| {
        json[from..from + Record::TIME_WIDTH]
            .trim_start()
            .parse::<i64>()
            .unwrap()
    };
    assert_eq!(at(Record::ACCESSED_AT), record.accessed_at.as_unix_ms());
    assert_eq!(
        at(Record::EXPIRES_AT),
        record.expires_at().unwrap().as_unix_ms()
    );
    assert!(json[Record::OWNER_AT..].starts_with(r#""owner":"ada \"the\" first","created":"#));
    let nobody = Record {
        owner: None,
        ..record.clone()
    };
    assert!(nobody.encode()[Record::OWNER_AT..].starts_with("\"created\":"));
    let never = Record {
        expiry: Expiry::NEVER,
        ..record
    }
    .encode();
    assert_eq!(
        never[Record::EXPIRES_AT..Record::EXPIRES_AT + Record::TIME_WIDTH].trim_start(),
        "null"
    );
}

#[test]
fn two_parts_say_what_the_whole_says() {
    let record = sample();
    let (meta, data) = record.encode_parts();
    let (head, end) = meta.split_at(meta.len() - 1);
    assert_eq!(format!("{head},\"data\":{data}{end}"), record.encode());
    assert_eq!(Record::decode_parts(&meta, data).unwrap(), record);

    let edited = Record::decode_parts(&meta, "{ \"count\" : 2 }").unwrap();
    assert_eq!(edited.data.as_str(), "{\"count\":2}");
    let kind = |meta: &str, data: &str| Record::decode_parts(meta, data).unwrap_err().kind();
    for data in ["", "[]", "{", "{},\"owner\":\"eve\"", "{\"n\":NaN}"] {
        assert_eq!(kind(&meta, data), StoreErrorKind::Corrupt, "{data}");
    }
    for meta in ["", "{}", "[]", head, "{\"format\":0}", "{\"format\":1}"] {
        assert_eq!(kind(meta, data), StoreErrorKind::Corrupt, "{meta}");
    }
    let newer = meta.replace("\"format\":1", "\"format\":2");
    assert_eq!(kind(&newer, data), StoreErrorKind::NewerFormat);
    assert_eq!(kind("{\"format\":2}", "[]"), StoreErrorKind::NewerFormat);
}

#[test]
fn what_is_written_is_read_by_its_index() {
    for record in samples() {
        let json = record.encode();
        let (head, data) = own_layout::whole(&json).unwrap();
        assert_eq!(head.into_record(data).unwrap(), record);
        let (meta, data) = record.encode_parts();
        let (head, index) = own_layout::meta(&meta).unwrap();
        assert_eq!(head.into_record(index.data(data).unwrap()).unwrap(), record);
    }
}

/// Every optional field there and not.
fn samples() -> [Record; 3] {
    let full = sample();
    let bare = Record::new(full.secret, full.created_at, Expiry::NEVER).unwrap();
    let open = Record {
        previous: Some(Box::new(Previous {
            until: None,
            valid: true,
            ..*full.previous.clone().unwrap()
        })),
        created_at: Timestamp::from_unix_ms(-1),
        secret_at: Timestamp::from_unix_ms(0),
        ..full.clone()
    };
    [full, bare, open]
}

/// What reads our own layout agrees with what reads any JSON, or leaves the text to it.
#[test]
fn nothing_is_read_by_its_layout_that_is_read_otherwise_or_not_at_all() {
    let mut read = 0;
    let mut compare = |text: String| {
        let Some((head, data)) = own_layout::whole(&text) else {
            return;
        };
        read += 1;
        let any = Record::decode_any(&text);
        match head.into_record(data) {
            Ok(record) => assert_eq!(record, any.expect(&text), "{text}"),
            Err(error) => assert_eq!(error.kind(), any.expect_err(&text).kind(), "{text}"),
        }
    };
    for json in samples().map(|record| record.encode()) {
        for at in 0..json.len() {
            for with in [
                "",
                " ",
                "0",
                "00",
                "-",
                "-0",
                "1",
                "9",
                "9223372036854775807",
                "+1",
                "e1",
                ".5",
                "\"",
                "\\",
                ",",
                ":",
                "{",
                "}",
                "[",
                "]",
                "null",
                "true",
                "\n",
                "\\u0041",
                "\u{1}",
                "é",
            ] {
                for end in [at, at + 1] {
                    if let (Some(before), Some(after)) = (json.get(..at), json.get(end..)) {
                        compare(format!("{before}{with}{after}"));
                    }
                }
            }
        }
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (key, old) in value.as_object().unwrap() {
            // As it stands in the text, spaces before numbers included.
            let at = json.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
            let padding = json[at..].len() - json[at..].trim_start().len();
            let text = serde_json::Deserializer::from_str(&json[at + padding..]);
            let mut values = text.into_iter::<serde_json::Value>();
            assert_eq!(values.next().unwrap().unwrap(), *old);
            let end = at + padding + values.byte_offset();
            for with in [
                "null", "{}", "[]", "0", "1", "-1", "\"\"", "\"x\"", "true", "false",
            ] {
                compare(format!("{}{with}{}", &json[..at], &json[end..]));
            }
        }
    }
    assert!(read > 1000, "{read}");
}

#[test]
fn another_writer_need_not_know_the_index() {
    let record = sample();
    let mut value: serde_json::Value = serde_json::from_str(&record.encode()).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(
        Record::decode(pretty.as_bytes()).unwrap().owner,
        record.owner
    );
    for absent in [
        "index", "data_at", "expires", "previous", "own", "agent", "address", "owner",
    ] {
        value.as_object_mut().unwrap().remove(absent);
    }
    let read = Record::decode(value.to_string().as_bytes()).unwrap();
    assert_eq!(read.data.raw("name"), Some(r#""Ada \"é\"""#));
}

#[test]
fn a_stale_index_is_ignored() {
    let record = sample();
    let json = record.encode();
    let changed = json.replace(r#""count":1"#, r#""c":1,"x":2"#);
    let read = Record::decode(changed.as_bytes()).unwrap();
    assert_eq!(
        (read.data.raw("c"), read.data.raw("x")),
        (Some("1"), Some("2"))
    );
    let swapped = json.replace("\"count\"", "\"cnuot\"");
    assert_eq!(
        Record::decode(swapped.as_bytes())
            .unwrap()
            .data
            .raw("cnuot"),
        Some("1")
    );
}

#[test]
fn f2_a_newer_format_is_told_from_a_corrupt_record() {
    let newer = sample().encode().replace("\"format\":1", "\"format\":2");
    assert_eq!(
        Record::decode(newer.as_bytes()).unwrap_err().kind(),
        StoreErrorKind::NewerFormat
    );
    assert_eq!(
        Record::decode(b"{\"format\":7}").unwrap_err().kind(),
        StoreErrorKind::NewerFormat
    );
    for bad in [
        &b""[..],
        b"{}",
        b"{\"format\":1}",
        b"{\"format\":0}",
        b"\xff\xfe",
        b"null",
        b"{\"format\":1",
    ] {
        assert_eq!(
            Record::decode(bad).unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
    }
    let nan = sample().encode().replace("\"count\":1", "\"count\":NaN");
    assert_eq!(
        Record::decode(nan.as_bytes()).unwrap_err().kind(),
        StoreErrorKind::Corrupt
    );
}

#[test]
fn every_truncation_is_corrupt_and_no_panic() {
    let json = sample().encode();
    for len in 0..json.len() {
        let error = Record::decode(&json.as_bytes()[..len]).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{len}");
    }
}

proptest! {
    #[test]
    fn records_round_trip(
        counter: u64, nonce: u64, generation: u32,
        times in prop::array::uniform3(-1_000_000_000_000_i64..99_999_999_999_999),
        timeout in prop::option::of(0_u64..10_000_000_000_000),
        ends in prop::option::of(0_i64..99_999_999_999_999),
        owner in prop::option::of("[^\0]{1,40}"),
        agent in prop::option::of(".{0,60}"),
        address: [u8; 16],
        data in prop::collection::btree_map(".*", any::<i64>(), 0..6),
    ) {
        let data = serde_json::to_string(&data).unwrap();
        let record = Record {
            version: Version::from_parts(counter, nonce),
            generation: Generation(generation),
            created_at: Timestamp::from_unix_ms(times[0]),
            accessed_at: Timestamp::from_unix_ms(times[1]),
            secret_at: Timestamp::from_unix_ms(times[2]),
            expiry: Expiry::new(timeout.map(Duration::from_millis), ends.map(Timestamp::from_unix_ms)),
            owner: owner.map(|name| Owner::new(name).unwrap()),
            agent: agent.map(Into::into),
            address: Some(std::net::IpAddr::from(address)),
            data: Data::parse(&data).unwrap(),
            ..sample()
        };
        let json = record.encode();
        let read = Record::decode(json.as_bytes()).unwrap();
        prop_assert_eq!(&read, &record);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(Record::decode(value.to_string().as_bytes()).unwrap().version, record.version);
    }

    #[test]
    fn any_bytes_decode_or_are_refused_without_a_panic(at in 0_usize..700, with: u8) {
        let mut json = sample().encode().into_bytes();
        if let Some(byte) = json.get_mut(at) {
            *byte = with;
        }
        let _ = Record::decode(&json);
    }
}

#[test]
fn absurd_lengths_stay_within_the_width_of_a_time() {
    let (longest, last) = (Duration::MAX, Timestamp::from_unix_ms(i64::MAX));
    for (timeout, ends_at) in [
        (Some(longest), None),
        (None, Some(last)),
        (Some(longest), Some(last)),
        (Some(Duration::from_millis(i64::MAX as u64)), Some(last)),
    ] {
        let record = Record {
            expiry: Expiry::new(timeout, ends_at),
            ..sample()
        };
        let json = record.encode();
        assert_eq!(Record::decode(json.as_bytes()).unwrap(), record);
        let expires = &json[Record::EXPIRES_AT..Record::EXPIRES_AT + Record::TIME_WIDTH];
        let expires = expires.trim_start().parse::<i64>().ok();
        let expected = record.expires_at().map(Timestamp::as_unix_ms);
        assert_eq!(expires, expected, "{timeout:?} {ends_at:?}");
    }
}

#[test]
fn a_time_too_wide_for_its_place_moves_the_rest_and_spoils_nothing() {
    for at in [i64::MIN, i64::MAX] {
        let record = Record {
            accessed_at: Timestamp::from_unix_ms(at),
            created_at: Timestamp::from_unix_ms(at),
            secret_at: Timestamp::from_unix_ms(at),
            expiry: Expiry::NEVER,
            ..sample()
        };
        let json = record.encode();
        assert_eq!(Record::decode(json.as_bytes()).unwrap(), record);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let data_at = value["data_at"].as_u64().unwrap() as usize;
        assert_eq!(json[data_at..json.len() - 1], *record.data.as_str());
    }
}
