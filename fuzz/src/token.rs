//! The token parser: what parses is the one spelling of its token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_core::Token;

fuzz_target!(|text: &[u8]| {
    if let Ok((token, _)) = Token::parse(text, None) {
        assert_eq!(token.expose(None).as_bytes(), text);
    }
    let text = String::from_utf8_lossy(text);
    if let Ok(id) = text.parse::<session_core::SessionId>() {
        assert_eq!(id.to_string(), text);
    }
});
