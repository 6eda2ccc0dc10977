//! The record decoder: it never panics, and what it reads it writes and reads again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_core::{Data, Record};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::decode(bytes) {
        let again = Record::decode(record.encode().as_bytes()).expect("what is written is read");
        assert_eq!(again, record);
        for (key, value) in record.data.entries() {
            assert_eq!(record.data.raw(&key), Some(value));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(data) = Data::parse(text) {
            assert_eq!(Data::parse(data.as_str()).expect("its own spelling"), data);
        }
    }
});
