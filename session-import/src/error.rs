//! What can go wrong with an old record as a whole; a value that cannot be moved is no error.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

type Source = Box<dyn StdError + Send + Sync>;

/// What a caller can do about an [`ImportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportErrorKind {
    /// The bytes are not what the old library writes; they are as they were.
    Corrupt,
    /// The record is longer than [`BYTES_MAX`](crate::BYTES_MAX); it is as it was.
    TooLarge,
    /// The folder or file cannot be read or removed.
    Unavailable,
}

/// The error of reading an old record.
///
/// The message names the operation and holds nothing of the record; the cause is kept as
/// [`source`](StdError::source). It becomes a [`session_core::Error`] by `?` or `into`.
///
/// ```
/// use session_import::{ImportErrorKind, web_py};
///
/// let error = web_py::decode(b"!").unwrap_err();
/// assert_eq!(error.kind(), ImportErrorKind::Corrupt);
/// assert_eq!(error.to_string(), "reading a web.py session failed: it is not base64");
/// ```
pub struct ImportError {
    kind: ImportErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

impl ImportError {
    pub(crate) fn new(kind: ImportErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can act on.
    #[must_use]
    pub fn kind(&self) -> ImportErrorKind {
        self.kind
    }
}

impl From<ImportError> for session_core::Error {
    fn from(error: ImportError) -> Self {
        let kind = match error.kind {
            ImportErrorKind::Corrupt => session_core::ErrorKind::Corrupt,
            ImportErrorKind::TooLarge => session_core::ErrorKind::TooLarge,
            ImportErrorKind::Unavailable => session_core::ErrorKind::Unavailable,
        };
        Self::new(kind, error.message.clone()).caused_by(error)
    }
}

impl fmt::Debug for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ImportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
