//! What the real libraries wrote (`vectors/make.py`) comes over, but for what has no form in JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use session_import::beaker::{self, FileStore};
use session_import::web_py::{self, DiskStore};
use session_import::{Imported, Reason};

const WEB_PY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
const BEAKER_ID: &str = "0123456789abcdef0123456789abcdef";

fn vectors(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    tests.join(name)
}

/// What JSON has, too: `plain` of `make.py`.
fn plain() -> Map<String, Value> {
    let value = json!({
        "user": "ada",
        "count": 3,
        "name": "Zoë 😀 \"x\" \\ \n",
        "none": null,
        "yes": true,
        "no": false,
        "float": 0.1,
        "negative": -70_000,
        "biggest": u64::MAX,
        "nested": {"list": [1, [2, [3, {}]]], "empty": []},
    });
    value.as_object().unwrap().clone()
}

/// What is moved of `everything` of `make.py`.
fn moved(python: &str) -> Map<String, Value> {
    let value = json!({
        "lowest": i64::MIN,
        "huge": "1180591620717411303424",
        "minus_huge": "-1180591620717411303424",
        "tuples": [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]],
        "set": [1, 2, 3],
        "frozenset": [1],
        "bytearray": "AP8",
        "shared": [[{"apple": 2}, {"apple": 2}], [{"apple": 2}]],
        "storage": {"row": 1},
        "default": {"a": [1]},
        "keys": {"1": "one", "null": "none"},
    });
    let of_python = match python {
        "python2" => json!({"str": "plain", "long": 3}),
        _ => json!({"bytes": "AP8", "no_bytes": ""}),
    };
    let mut values = plain();
    values.extend(value.as_object().unwrap().clone());
    values.extend(of_python.as_object().unwrap().clone());
    values
}

/// What is not, and why. Python 3 names `int` by what it was called in Python 2 for protocols
/// that Python 2 reads.
fn left_behind(python: &str, int: &str) -> BTreeMap<String, Reason> {
    let object = |name: &str| Reason::Object(Some(name.to_owned()));
    [
        ("longest", Reason::HugeInteger),
        ("same_keys", Reason::SameKey),
        ("tuple_key", Reason::Key),
        ("nan", Reason::NotFinite),
        ("infinity", Reason::NotFinite),
        ("when", object("datetime.datetime")),
        ("price", object("decimal.Decimal")),
        ("basket", object("shop.Basket")),
        ("old", object("shop.Old")),
        ("class", object(int)),
        ("cycle", Reason::Cyclic),
        match python {
            "python2" => ("latin1", Reason::NotText),
            _ => ("surrogate", Reason::NotText),
        },
    ]
    .into_iter()
    .map(|(key, reason)| (key.to_owned(), reason))
    .collect()
}

fn values(imported: &Imported) -> Map<String, Value> {
    serde_json::from_str(imported.data.as_str()).unwrap()
}

fn skipped(imported: &Imported) -> BTreeMap<String, Reason> {
    let skipped = imported.skipped.iter();
    skipped
        .map(|skipped| (skipped.key.clone().unwrap(), skipped.reason.clone()))
        .collect()
}

#[test]
fn every_protocol_of_web_py_comes_over() {
    for (python, protocol, int) in [
        ("python2", 0, "__builtin__.int"),
        ("python2", 1, "__builtin__.int"),
        ("python2", 2, "__builtin__.int"),
        ("python3", 0, "__builtin__.long"),
        ("python3", 1, "__builtin__.long"),
        ("python3", 2, "__builtin__.long"),
        ("python3", 3, "builtins.int"),
        ("python3", 4, "builtins.int"),
        ("python3", 5, "builtins.int"),
    ] {
        let name = format!("web_py/{python}-protocol{protocol}");
        let store = DiskStore::open(vectors(&name)).unwrap();
        let old = store.read(WEB_PY_ID).unwrap().unwrap();
        assert_eq!(values(&old), moved(python), "{name}");
        assert_eq!(skipped(&old), left_behind(python, int), "{name}");
        assert_eq!(old.address, Some([192, 0, 2, 7].into()), "{name}");
        assert!(old.accessed_at.is_some(), "{name}");
    }
}

#[test]
fn what_json_has_comes_over_whole() {
    for python in ["python2", "python3"] {
        let store = DiskStore::open(vectors(&format!("web_py/{python}-plain"))).unwrap();
        let old = store.read(WEB_PY_ID).unwrap().unwrap();
        assert_eq!(values(&old), plain(), "{python}");
        assert_eq!(old.skipped, [], "{python}");
    }
}

#[test]
fn a_shelf_of_web_py_comes_over_with_its_time() {
    for python in ["python2", "python3"] {
        let bytes = std::fs::read(vectors(&format!("web_py/{python}-shelf"))).unwrap();
        let old = web_py::decode_shelf(&bytes).unwrap();
        assert_eq!(values(&old), plain(), "{python}");
        let accessed = old.accessed_at.unwrap();
        assert_eq!(accessed.as_unix_ms(), 1_764_000_000_500, "{python}");
    }
}

#[test]
fn the_files_of_beaker_come_over_with_their_times() {
    for python in ["python2", "python3"] {
        for serializer in ["json", "pickle"] {
            let name = format!("beaker/{python}-{serializer}/container_file");
            let store = FileStore::open(vectors(&name)).unwrap();
            let old = store.read(BEAKER_ID).unwrap().unwrap();
            if serializer == "json" {
                assert_eq!(values(&old), plain(), "{name}");
                assert_eq!(old.skipped, [], "{name}");
            } else {
                // Beaker writes protocol 2.
                let int = ["__builtin__.int", "__builtin__.long"][usize::from(python == "python3")];
                assert_eq!(values(&old), moved(python), "{name}");
                assert_eq!(skipped(&old), left_behind(python, int), "{name}");
            }
            for at in [old.created_at, old.accessed_at] {
                assert_eq!(at.unwrap().as_unix_ms(), 1_764_000_000_500, "{name}");
            }
        }
    }
}

#[test]
fn the_cookie_of_beaker_comes_over_if_its_signature_is_right() {
    for python in ["python2", "python3"] {
        let cookie = std::fs::read_to_string(vectors(&format!("beaker/{python}-cookie"))).unwrap();
        let text = beaker::verify_signed(&cookie, b"the old secret").unwrap();
        let old = beaker::decode(text.as_bytes()).unwrap();
        assert_eq!(values(&old), plain(), "{python}");
        assert!(old.accessed_at.is_some(), "{python}");
    }
}

#[test]
fn a_signed_id_of_beaker_is_accepted_with_its_own_signature_alone() {
    for python in ["python2", "python3"] {
        let cookie = std::fs::read_to_string(vectors(&format!("beaker/{python}-signed"))).unwrap();
        let verified = |cookie: &str| beaker::verify_signed(cookie, b"the old secret").is_some();
        let id = beaker::verify_signed(&cookie, b"the old secret");
        assert_eq!(id, Some(BEAKER_ID), "{python}");
        assert!(verified(&format!("\"{cookie}\"")), "{python}: in quotes");
        assert_eq!(beaker::verify_signed(&cookie, b"the new secret"), None);
        for at in 0..cookie.len() {
            let mut other = cookie.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert!(!verified(&other), "{python}: {other}");
            assert!(!verified(&cookie[..at]), "{python}: {}", &cookie[..at]);
        }
        assert!(!verified(&cookie.to_uppercase()), "{python}: in upper case");
        assert!(!verified("é".repeat(40).as_str()));
    }
}
