//! The responses that errors become, the same under every framework (rule H6).

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};

/// A whole response: what an adapter sends in place of the handler's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `Retry-After` in seconds.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: Cow<'static, str>,
}

impl Reply {
    pub(crate) fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            retry_after: None,
            body: body.into(),
        }
    }
}

impl Error {
    /// The response this error becomes; it says nothing a stranger should not know.
    ///
    /// ```
    /// use session_core::{Error, ErrorKind};
    ///
    /// let reply = Error::new(ErrorKind::Unavailable, "loading the session failed").reply();
    /// assert_eq!((reply.status, reply.retry_after), (503, Some(1)));
    /// ```
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self.kind() {
            ErrorKind::Unavailable
            | ErrorKind::Full
            | ErrorKind::Contended
            | ErrorKind::NewerFormat => Reply {
                retry_after: Some(1),
                ..Reply::text(
                    503,
                    "sessions are unavailable at the moment, please try again",
                )
            },
            ErrorKind::TooLarge => Reply::text(413, "the session has become too large"),
            ErrorKind::Gone => {
                Reply::text(409, "the session has ended meanwhile, nothing was changed")
            }
            ErrorKind::Csrf => Reply::text(
                403,
                "the request was refused: its CSRF token is missing or wrong",
            ),
            ErrorKind::Expired => Reply::text(401, self.to_string()),
            ErrorKind::HeadSent
            | ErrorKind::WrongType
            | ErrorKind::Corrupt
            | ErrorKind::Invalid
            | ErrorKind::NoLayer
            | ErrorKind::Application => Reply::text(500, "internal server error"),
        }
    }
}
