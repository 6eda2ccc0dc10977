//! What can go wrong, as a caller would act on it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Source = Box<dyn StdError + Send + Sync>;

/// What a caller of a session can do about an [`Error`].
///
/// ```
/// assert_eq!(session_core::ErrorKind::TooManySessions.name(), "too_many_sessions");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer in time or is down; a write may have happened. HTTP 503.
    Unavailable,
    /// The store has no room for another session. HTTP 503.
    Full,
    /// Too many writers of one session; the bounded retries ran out. HTTP 503.
    Contended,
    /// The session would exceed `max_size` or what the store can hold. HTTP 413.
    TooLarge,
    /// The session ended, or its secret was replaced, while the request was running: nothing
    /// was stored. HTTP 409.
    Gone,
    /// The login would give its owner more sessions than `owner_sessions_max`. HTTP 409.
    TooManySessions,
    /// A new cookie would be needed, but the response head has left. HTTP 500.
    HeadSent,
    /// The session had expired and the configuration asks for this (`on_expired`). HTTP 401.
    Expired,
    /// The CSRF token is missing or wrong, or the request is cross-site. HTTP 403.
    Csrf,
    /// The client's address has begun as many sessions as `creation_cap` lets it; nothing was
    /// stored. HTTP 429 with `Retry-After`.
    CreationCap,
    /// The stored value is not of the type that was asked for, or the given one cannot be
    /// expressed as JSON. HTTP 500.
    WrongType,
    /// The stored record cannot be decoded. HTTP 500.
    Corrupt,
    /// The stored record is of a newer format than this version reads. HTTP 503.
    NewerFormat,
    /// An argument or option is not acceptable; the message says why. HTTP 500.
    Invalid,
    /// The session is kept by its client, so it cannot be listed, revoked or written to a store.
    /// HTTP 501.
    Unsupported,
    /// No session layer is installed on this route. HTTP 500.
    NoLayer,
    /// The application's own error, passed through [`Error::application`]. HTTP 500, whatever it is.
    Application,
}

impl ErrorKind {
    /// The kind as one word, for an answer that programs read; it never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Full => "full",
            Self::Contended => "contended",
            Self::TooLarge => "too_large",
            Self::Gone => "gone",
            Self::TooManySessions => "too_many_sessions",
            Self::HeadSent => "head_sent",
            Self::Expired => "expired",
            Self::Csrf => "csrf",
            Self::CreationCap => "creation_cap",
            Self::WrongType => "wrong_type",
            Self::Corrupt => "corrupt",
            Self::NewerFormat => "newer_format",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::NoLayer => "no_layer",
            Self::Application => "application",
        }
    }
}

/// The error of every session operation.
///
/// The message names the operation and holds no secret and no token; the cause is kept as
/// [`source`](StdError::source).
///
/// ```
/// use session_core::{Error, ErrorKind};
///
/// let error = Error::application(std::io::Error::other("the basket is closed"));
/// assert_eq!(error.kind(), ErrorKind::Application);
/// assert_eq!(error.to_string(), "the basket is closed");
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of `kind` whose message is lower-case, without a full stop, and names the
    /// operation.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            retry_after: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// An error of the application's own, to leave a [`transact`](crate::Session::transact) closure
    /// with.
    ///
    /// It is for what went wrong. As a response it is always 500: its text goes to the log, and the
    /// client is told nothing. For errors that have answers of their own, such as "out of stock", leave
    /// the closure of a [`try_transact`](crate::Session::try_transact) with the application's own type.
    pub fn application(source: impl Into<Source>) -> Self {
        let source = source.into();
        Self {
            kind: ErrorKind::Application,
            message: source.to_string().into(),
            source: Some(source.into()),
            retry_after: None,
        }
    }

    /// What a caller can act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How long it takes until the same can be done, where that is known: of
    /// [`ErrorKind::CreationCap`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn too_many(operation: &'static str, retry_after: Duration) -> Self {
        let message = format!("{operation} failed: too many new sessions from this address");
        Self {
            retry_after: Some(retry_after),
            ..Self::new(ErrorKind::CreationCap, message)
        }
    }

    pub(crate) fn gone(operation: &'static str) -> Self {
        Self::new(
            ErrorKind::Gone,
            format!("{operation} failed: the session has ended or its secret was replaced"),
        )
    }

    pub(crate) fn from_store(operation: &'static str, error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Unavailable => ErrorKind::Unavailable,
            StoreErrorKind::Full => ErrorKind::Full,
            StoreErrorKind::TooLarge => ErrorKind::TooLarge,
            StoreErrorKind::Corrupt => ErrorKind::Corrupt,
            StoreErrorKind::NewerFormat => ErrorKind::NewerFormat,
            StoreErrorKind::Unsupported => ErrorKind::Unsupported,
        };
        Self::new(kind, format!("{operation} failed: {error}")).caused_by(error)
    }
}

/// What the causes of `error` tell that its message does not, for a line of the log.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut told = error.to_string();
    let mut untold = None;
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.contains(&text) {
            told += &text;
            match &mut untold {
                None => untold = Some(text),
                Some(before) => *before += &format!(": {text}"),
            }
        }
        next = cause.source();
    }
    untold
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

/// What the manager can do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The backend did not answer or refused; a write may nevertheless have happened.
    Unavailable,
    /// The backend has no room; nothing was written and what was stored is as it was.
    Full,
    /// The record is larger than the backend can hold; nothing was written.
    TooLarge,
    /// The stored bytes cannot be decoded; they are kept.
    Corrupt,
    /// The stored bytes are of a newer format; they are kept.
    NewerFormat,
    /// The backend has no such operation, and never will: trying again is of no use.
    Unsupported,
}

/// The error of a [`Store`](crate::Store) operation.
///
/// Absence and conflicts are answers, not errors.
///
/// ```
/// use session_core::{StoreError, StoreErrorKind};
///
/// let error = StoreError::new(StoreErrorKind::Full, "creating the session: no space left on device");
/// assert_eq!(error.kind(), StoreErrorKind::Full);
/// ```
pub struct StoreError {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

impl StoreError {
    /// An error of `kind`; the message is lower-case, without a full stop, and holds no
    /// password of a connection URL.
    pub fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the manager can act on.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}
