//! Why a server could not be started or asked.

use std::fmt;
use std::io;

/// Why a server could not be started or asked. Its text is one line; where a program is missing,
/// the line says what to install.
///
/// ```
/// use session_test_servers::{RedisServer, ServerError};
///
/// let refused: Result<RedisServer, ServerError> =
///     RedisServer::builder().setting("no-such-setting", "1").start();
/// println!("{}", refused.unwrap_err());
/// ```
pub struct ServerError {
    text: String,
    source: Option<io::Error>,
}

impl ServerError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            source: None,
        }
    }

    /// For `map_err`: what was being done when an `io::Error` came.
    pub(crate) fn io(doing: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            text: format!("{doing}: {source}"),
            source: Some(source),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As the text itself, so that a test that unwraps shows the line.
impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
