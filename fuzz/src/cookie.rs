//! The `Cookie` header parser against a slow, obvious reading of RFC 6265bis section 5.7.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_core::http::values;

fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
    &bytes[start..end]
}

fuzz_target!(|header: &[u8]| {
    let expected: Vec<&[u8]> = header
        .split(|byte| *byte == b';')
        .filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            (trim(&pair[..at]) == b"sid").then(|| trim(&pair[at + 1..]))
        })
        .collect();
    let found: Vec<&[u8]> = values(header, b"sid").collect();
    assert_eq!(found, expected);
});
