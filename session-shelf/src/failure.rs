//! What goes wrong in an engine, and what the caller is told.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use session_core::{Error, ErrorKind, StoreError, StoreErrorKind};

/// Why an operation stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One record cannot be read; the engine is well.
    Record(StoreError),
    /// The engine failed, or cannot be asked, and may have to be opened anew.
    Engine(StoreError),
}

impl Failure {
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Engine(StoreError::new(StoreErrorKind::Unavailable, why.into()))
    }

    /// What an engine's own error says, with its kind.
    pub(crate) fn engine(
        kind: StoreErrorKind,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::Engine(StoreError::new(kind, source.to_string()).caused_by(source))
    }

    pub(crate) fn corrupt(why: &'static str) -> Self {
        Self::Record(StoreError::new(StoreErrorKind::Corrupt, why))
    }

    pub(crate) fn error(&self) -> &StoreError {
        match self {
            Self::Record(error) | Self::Engine(error) => error,
        }
    }

    /// The same, and where it was.
    pub(crate) fn at(self, path: &Path) -> Self {
        let told = |error: StoreError| {
            let why = format!("{}: {error}", path.display());
            StoreError::new(error.kind(), why).caused_by(error)
        };
        match self {
            Self::Record(error) => Self::Record(told(error)),
            Self::Engine(error) => Self::Engine(told(error)),
        }
    }

    fn into_inner(self) -> StoreError {
        match self {
            Self::Record(error) | Self::Engine(error) => error,
        }
    }

    pub(crate) fn into_store_error(self, operation: &str) -> StoreError {
        let error = self.into_inner();
        StoreError::new(error.kind(), format!("{operation} failed: {error}")).caused_by(error)
    }

    pub(crate) fn into_error(self, operation: &str) -> Error {
        let error = self.into_inner();
        let kind = match error.kind() {
            StoreErrorKind::Full => ErrorKind::Full,
            StoreErrorKind::TooLarge => ErrorKind::TooLarge,
            StoreErrorKind::Corrupt => ErrorKind::Corrupt,
            StoreErrorKind::NewerFormat => ErrorKind::NewerFormat,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{operation} failed: {error}")).caused_by(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Record(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::engine(kind_of(&error), error)
    }
}

pub(crate) fn kind_of(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    }
}

/// What a panic said.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it did not say why");
    Failure::unavailable(format!("the engine panicked: {said}"))
}
