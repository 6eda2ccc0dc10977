//! Text inside a URL.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// As a user's or a password's part of a URL.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
