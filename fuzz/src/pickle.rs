//! The readers of old sessions: they never panic, and what comes over is one object of JSON within
//! the limit, whose values any reader of JSON takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use session_import::{BYTES_MAX, beaker, web_py};

fuzz_target!(|bytes: &[u8]| {
    let read = [
        web_py::decode(bytes),
        web_py::decode_shelf(bytes),
        beaker::decode(bytes),
        // What a pickle holds directly is read as a session's values, too: see `decode_container`.
        beaker::decode_container(bytes),
    ];
    for old in read.into_iter().flatten() {
        assert!(old.data.as_str().len() <= BYTES_MAX);
        serde_json::from_str::<Value>(old.data.as_str()).expect("it is JSON");
        for skipped in &old.skipped {
            assert!(skipped.to_string().chars().all(|char| !char.is_control()));
        }
    }
});
