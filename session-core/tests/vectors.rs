//! The stored form does not change by accident, and another language reads and writes it.
//!
//! `tests/vectors` holds records as they are stored. Run with `WRITE_VECTORS=1` to write them
//! anew after a deliberate change of the format.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use session_core::{
    Data, Expiry, Generation, Owner, Previous, Record, StoreErrorKind, Timestamp, Version,
};

#[test]
fn the_stored_form_is_the_one_that_is_checked_in() {
    for (name, record) in vectors() {
        let (path, json) = (folder().join(name), record.encode());
        if std::env::var_os("WRITE_VECTORS").is_some() {
            std::fs::write(&path, &json).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(json, kept, "{name}");
        assert_eq!(Record::decode(kept.as_bytes()).unwrap(), record, "{name}");
    }
}

#[test]
fn every_checked_in_record_has_its_test() {
    let mut found: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(".json"))
        .collect();
    found.sort();
    assert_eq!(found, vectors().map(|(name, _)| name));
}

#[test]
fn python_reads_every_field_of_every_record() {
    assert_eq!(python("read"), "4 records read\n");
}

#[test]
fn what_python_writes_in_its_own_spelling_is_read() {
    let written = python("write");
    assert!(
        written.is_ascii() && !written.contains("data_at"),
        "{written}"
    );
    let record = Record::decode(written.as_bytes()).unwrap();
    let [(_, full), ..] = vectors();
    let expected = Record {
        version: Version::from_parts(8, 0x0123_4567_89ab_cdef),
        data: Data::parse(
            r#"{"名前":"Ада 🦀","count":2,"big":"9007199254740993","bytes":"-_8A","at":1764000000123}"#,
        )
        .unwrap(),
        ..full
    };
    for (key, value) in expected.data.entries() {
        let read: serde_json::Value = serde_json::from_str(record.data.raw(&key).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        assert_eq!(read, value, "{key}");
    }
    assert_eq!(record.data.len(), expected.data.len());
    let data = expected.data.clone();
    assert_eq!(Record { data, ..record }, expected);
}

#[test]
fn a_nan_that_python_writes_is_refused_as_corrupt() {
    let written = python("nan");
    assert!(written.contains("NaN"), "{written}");
    let error = Record::decode(written.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
}

fn vectors() -> [(&'static str, Record); 4] {
    let at = Timestamp::from_unix_ms(1_764_000_000_000);
    let plain = Record {
        version: Version::from_parts(1, 0xfedc_ba98_7654_3210),
        generation: Generation::FIRST,
        created_at: at,
        accessed_at: at,
        expiry: Expiry::NEVER,
        own_timeout: None,
        persistent: false,
        secret: "b3.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
            .parse()
            .unwrap(),
        secret_at: at,
        previous: None,
        owner: None,
        address: None,
        agent: None,
        own: Data::new(),
        data: Data::new(),
    };
    let full = Record {
        version: Version::from_parts(7, 0x0123_4567_89ab_cdef),
        generation: Generation(3),
        accessed_at: at.after(Duration::from_millis(61_007)),
        expiry: Expiry::new(
            Some(Duration::from_secs(3600)),
            Some(at.after(Duration::from_secs(86_400))),
        ),
        own_timeout: Some(Duration::from_secs(3600)),
        persistent: true,
        secret_at: at.after(Duration::from_secs(60)),
        previous: Some(Box::new(Previous {
            secret: "b3.__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA".parse().unwrap(),
            until: Some(at.after(Duration::from_secs(70))),
            valid: true,
        })),
        owner: Some(Owner::new("ada \"the\" first \u{e9}").unwrap()),
        address: Some("2001:db8::1".parse().unwrap()),
        agent: Some("Mozilla/5.0 \\ \u{1F980}".into()),
        own: Data::parse(r#"{"csrf":"c2VlZA"}"#).unwrap(),
        data: Data::parse(
            r#"{"名前":"Ада 🦀","count":1,"big":"9007199254740993","bytes":"-_8A","at":1764000000123}"#,
        )
        .unwrap(),
        ..plain
    };
    let highest = Record {
        version: Version::from_parts(u64::MAX, u64::MAX),
        generation: Generation(u32::MAX),
        created_at: Timestamp::from_unix_ms(-99_999_999_999_999),
        accessed_at: Timestamp::from_unix_ms(-1),
        expiry: Expiry::new(None, Some(Timestamp::from_unix_ms(99_999_999_999_999))),
        previous: Some(Box::new(Previous {
            secret: plain.secret,
            until: None,
            valid: false,
        })),
        ..plain.clone()
    };
    let spelling = Record {
        data: Data::parse(r#"{"":[ 1, 2 ],"a\"b\\c\u0000":null,"f":1.10,"t":{"b":1,"a":true}}"#)
            .unwrap(),
        ..plain.clone()
    };
    [
        ("every-field.json", full),
        ("highest-numbers.json", highest),
        ("nothing-in-it.json", plain),
        ("odd-spelling.json", spelling),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// What the script prints; it fails, and so does the test, where a field is not as it must be.
fn python(task: &str) -> String {
    let output = Command::new("python3")
        .arg(folder().join("check.py"))
        .arg(task)
        .arg(folder())
        .args([Record::ACCESSED_AT, Record::EXPIRES_AT, Record::TIME_WIDTH].map(|n| n.to_string()))
        .output()
        .unwrap_or_else(|_| panic!("this test runs python3: install Python 3"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "check.py failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
