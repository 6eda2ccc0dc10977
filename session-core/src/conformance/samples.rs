//! Records and ids to test with.
//!
//! ```
//! use session_core::conformance::samples;
//!
//! let record = samples::record();
//! assert!(record.owner.is_some() && record.previous.is_some());
//! let next = samples::changed(&record, "{\"count\":2}");
//! assert_eq!(next.version.counter(), record.version.counter() + 1);
//! ```

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::data::Data;
use crate::expiry::Expiry;
use crate::id::{Digest, Secret, SessionId};
use crate::record::{Generation, Owner, Previous, Record, Version};

/// Bytes that are no record.
pub const UNDECODABLE: &[u8] = b"{\"format\":1,\"version\":\"0000";

const HOUR: Duration = Duration::from_secs(3600);

/// The text of a record whose format is one above what this version reads.
#[must_use]
pub fn newer_format() -> String {
    let format = Record::FORMAT + 1;
    format!("{{\"format\":{format},\"seal\":\"c29tZXRoaW5nIG5ldw\",\"data\":{{}}}}")
}

/// The present moment.
#[must_use]
pub fn now() -> Timestamp {
    Clock::system().now()
}

/// A random id.
#[must_use]
pub fn id() -> SessionId {
    SessionId::random().expect("the operating system has random bytes")
}

/// An owner of this name.
#[must_use]
pub fn owner(name: &str) -> Owner {
    Owner::new(name).expect("the suite's names are valid")
}

/// Data of this JSON text.
#[must_use]
pub fn data(json: &str) -> Data {
    Data::parse(json).expect("the suite's data is a JSON object")
}

/// A record with every field set, accessed now, that expires in an hour.
#[must_use]
pub fn record() -> Record {
    let started = now().before(Duration::from_millis(61_003));
    Record {
        generation: Generation(3),
        created_at: started,
        expiry: Expiry::new(Some(HOUR), Some(started.after(24 * HOUR))),
        own_timeout: Some(HOUR),
        persistent: true,
        secret_at: started.after(Duration::from_millis(7)),
        previous: Some(Box::new(Previous {
            secret: digest(),
            until: Some(started.after(Duration::from_millis(10_007))),
            valid: true,
        })),
        owner: Some(owner("user-17")),
        address: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
        agent: Some("Mozilla/5.0 (X11; Linux x86_64) \"quoted\" \u{1F980}".into()),
        own: data(r#"{"csrf":"c2VlZA","flashes":[{"text":"saved"}]}"#),
        data: data(r#"{"count":1,"name":"Ada"}"#),
        ..plain_record()
    }
}

/// A record with nothing in it, accessed now, that expires in an hour.
#[must_use]
pub fn plain_record() -> Record {
    let expiry = Expiry::new(Some(HOUR), None);
    Record::new(digest(), now(), expiry).expect("the operating system has random bytes")
}

/// A record with nothing in it, bound to `name`.
#[must_use]
pub fn owned_record(name: &str) -> Record {
    Record {
        owner: Some(owner(name)),
        ..plain_record()
    }
}

/// A record with nothing in it that expires at `end`, unless it is touched.
#[must_use]
pub fn expiring_at(end: Timestamp) -> Record {
    Record {
        accessed_at: end.before(HOUR),
        ..plain_record()
    }
}

/// A record with nothing in it that never expires.
#[must_use]
pub fn never_expiring() -> Record {
    Record {
        expiry: Expiry::NEVER,
        ..plain_record()
    }
}

/// What a writer makes of a record it has loaded: the next version, with other data.
#[must_use]
pub fn changed(record: &Record, json: &str) -> Record {
    Record {
        data: data(json),
        ..next_of(record)
    }
}

/// The same record as the next write of it.
#[must_use]
pub fn next_of(record: &Record) -> Record {
    Record {
        version: record
            .version
            .next()
            .expect("the operating system has random bytes"),
        ..record.clone()
    }
}

/// Ids that a careless comparison takes for `id`: its text in other letter case.
#[must_use]
pub fn case_twins(id: &SessionId) -> Vec<SessionId> {
    let text = id.to_string();
    let (front, last) = text.split_at(SessionId::TEXT_LEN - 1);
    let twins = [front.to_ascii_lowercase(), front.to_ascii_uppercase()];
    let parsed = twins
        .iter()
        .filter_map(|twin| format!("{twin}{last}").parse().ok());
    parsed.filter(|twin| twin != id).collect()
}

/// Ids at the ends of the range, and ids whose bytes look like text, paths or patterns.
#[must_use]
pub fn odd_ids() -> Vec<SessionId> {
    let texts = [
        [0x00; 16],
        [0xff; 16],
        *b"////////////////",
        *b"../../etc/passwd",
        *b"%%%%%%%%%%%%%%%%",
        *b"' OR '1'='1' -- ",
        *b"{hash}:tag*[a-z]",
        *b"                ",
        *b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
        [0x7f; 16],
        [0x80; 16],
    ];
    texts.into_iter().map(SessionId::from_bytes).collect()
}

/// Names that a store might cut, fold, escape or take for a pattern; all are different owners.
#[must_use]
pub fn odd_owners() -> Vec<Owner> {
    let long = "x".repeat(Owner::BYTES_MAX - 1);
    let names = [
        "user",
        "User",
        "USER",
        "user ",
        " user",
        "user\t",
        "user\n",
        "user.",
        "us",
        "user-",
        "%",
        "_",
        "*",
        "user%",
        "user*",
        "u?er",
        "user/",
        "../user",
        ".",
        "..",
        "/",
        "\\",
        "user:1",
        "user:",
        "{user}",
        "{}",
        "'",
        "''",
        "\"",
        "' OR ''='",
        "NULL",
        "null",
        "0",
        "00",
        "-1",
        "1e3",
        "\u{e9}",
        "e\u{301}",
        "\u{df}",
        "ss",
        "I",
        "\u{130}",
        "\u{131}",
        "\u{1F980}",
        "\u{1}",
        "\u{7f}",
        "\u{ffff}",
        "\u{feff}user",
        "user\u{200b}",
    ];
    let long_names = [long.clone() + "a", long.clone() + "b", long + "A"];
    let wide = "\u{1F980}".repeat(63) + "abc";
    let long_names = long_names.into_iter().chain([wide]);
    names
        .into_iter()
        .map(str::to_owned)
        .chain(long_names)
        .map(|name| owner(&name))
        .collect()
}

/// Records with something unusual in one place each, and what that is.
#[must_use]
pub fn odd_records() -> Vec<(&'static str, Record)> {
    let ms = Timestamp::from_unix_ms;
    let with_data = |json| Record {
        data: data(json),
        ..record()
    };
    vec![
        ("nothing in it", plain_record()),
        ("every field set", record()),
        ("no expiry", never_expiring()),
        (
            "an end and no time-out",
            Record {
                expiry: Expiry::new(None, Some(now().after(HOUR))),
                ..record()
            },
        ),
        (
            "an odd time-out",
            Record {
                expiry: Expiry::new(Some(Duration::from_millis(31_536_000_001)), None),
                own_timeout: None,
                ..record()
            },
        ),
        (
            "a previous secret without an end",
            Record {
                previous: Some(Box::new(Previous {
                    secret: digest(),
                    until: None,
                    valid: false,
                })),
                ..record()
            },
        ),
        (
            "negative and odd times",
            Record {
                created_at: ms(-1),
                accessed_at: ms(1_764_000_000_001),
                secret_at: ms(-99_999_999_999_999),
                expiry: Expiry::NEVER,
                ..record()
            },
        ),
        (
            "far times",
            Record {
                created_at: ms(99_999_999_999_999),
                secret_at: ms(0),
                expiry: Expiry::new(None, Some(ms(99_999_999_999_999))),
                ..record()
            },
        ),
        (
            "the highest numbers",
            Record {
                version: Version::from_parts(u64::MAX, u64::MAX),
                generation: Generation(u32::MAX),
                ..record()
            },
        ),
        (
            "numbers past the signed range",
            Record {
                version: Version::from_parts(1 << 63, (1 << 63) + 1),
                generation: Generation(1 << 31),
                ..record()
            },
        ),
        (
            "the lowest numbers",
            Record {
                version: Version::from_parts(0, 0),
                generation: Generation(0),
                ..record()
            },
        ),
        (
            "an IPv4 address",
            Record {
                address: Some([192, 0, 2, 1].into()),
                ..record()
            },
        ),
        (
            "a mapped address",
            Record {
                address: Some([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201].into()),
                ..record()
            },
        ),
        (
            "an empty agent",
            Record {
                agent: Some("".into()),
                ..record()
            },
        ),
        (
            "a long agent",
            Record {
                agent: Some("\u{e9}".repeat(Record::AGENT_BYTES_MAX / 2).into()),
                ..record()
            },
        ),
        (
            "only the library's own values",
            Record {
                data: Data::new(),
                ..record()
            },
        ),
        (
            "only the application's values",
            Record {
                own: Data::new(),
                ..record()
            },
        ),
        (
            "non-ASCII",
            with_data(r#"{"名前":"Ада 🦀","é":"é","e\u0301":"\ud83e\udd80"}"#),
        ),
        (
            "escapes in keys",
            with_data(
                r#"{"":0,"a\"b":1,"a\\b":2,"a\nb":3,"\u0000":"\u0000","a/b":4,"\u2028":5,"'":6,"%s":7}"#,
            ),
        ),
        (
            "numbers in their own spelling",
            with_data(
                r#"{"big":9007199254740993,"bigger":123456789012345678901234567890,"e":1E400,"z":-0,"f":1.10}"#,
            ),
        ),
        (
            "values with white space",
            with_data("{\"list\":[ 1 ,\n\t2 ],\"map\":{ \"b\" : 1, \"a\":{} }}"),
        ),
        (
            "keys out of order",
            with_data(r#"{"b":1,"a":2,"B":3,"A":4,"10":5,"9":6}"#),
        ),
        (
            "a null, a list and a text of JSON",
            with_data(r#"{"a":null,"b":[],"c":"{\"d\":1}"}"#),
        ),
    ]
}

/// Data of a little over a million bytes.
#[must_use]
pub fn megabyte() -> Data {
    let text = "0123456789 abcdefghijklm \u{e9}\u{1F980}\\\"\\n".repeat(30_000);
    data(&format!("{{\"before\":1,\"text\":\"{text}\",\"after\":2}}"))
}

fn digest() -> Digest {
    let secret = Secret::random().expect("the operating system has random bytes");
    secret.digest(&id())
}
