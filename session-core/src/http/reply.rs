//! The responses that errors become, the same under every framework (rule H6).

use std::borrow::Cow;
use std::time::Duration;

use crate::error::{Error, ErrorKind, cause};

/// A whole response: what an adapter sends in place of the handler's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Why: adapters put it into the response's extensions, for a layer that answers in the
    /// application's own words.
    pub kind: ErrorKind,
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `Retry-After` in seconds.
    pub retry_after: Option<u32>,
    /// Whether it says `Cache-Control: no-store`.
    pub no_store: bool,
    /// The body.
    pub body: Cow<'static, str>,
}

impl Reply {
    pub(crate) fn text(kind: ErrorKind, status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            status,
            content_type: "text/plain; charset=utf-8",
            retry_after: None,
            no_store: false,
            body: body.into(),
        }
    }
}

impl Error {
    /// The [`reply`](Self::reply), after a line in the log where it is a 500, which tells the client
    /// nothing.
    ///
    /// ```
    /// use session_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::WrongType, "reading the value failed");
    /// assert_eq!(error.answer().body, "internal server error");
    /// ```
    #[must_use]
    pub fn answer(&self) -> Reply {
        let reply = self.reply();
        if reply.status == 500 {
            tracing::error!(target: "session", error = %self, cause = cause(self), "the request failed");
        }
        reply
    }

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
        let kind = self.kind();
        let text = |status, body: &'static str| Reply::text(kind, status, body);
        match kind {
            ErrorKind::Unavailable
            | ErrorKind::Full
            | ErrorKind::Contended
            | ErrorKind::NewerFormat => Reply {
                retry_after: Some(1),
                ..text(
                    503,
                    "sessions are unavailable at the moment, please try again",
                )
            },
            ErrorKind::CreationCap => Reply {
                // Rounded up: who comes back after that long is let in.
                retry_after: Some(self.retry_after().map_or(1, whole_seconds)),
                ..text(
                    429,
                    "too many new sessions from this address, please try again later",
                )
            },
            ErrorKind::TooLarge => text(413, "the session has become too large"),
            ErrorKind::Gone => text(409, "the session has ended meanwhile, nothing was changed"),
            ErrorKind::TooManySessions => text(
                409,
                "you are signed in in too many places: please sign out in one of them first",
            ),
            ErrorKind::Csrf => text(
                403,
                "the request was refused: its CSRF token is missing or wrong",
            ),
            ErrorKind::Expired => Reply::text(kind, 401, self.to_string()),
            ErrorKind::Unsupported => text(501, "there is no list of these sessions"),
            ErrorKind::HeadSent
            | ErrorKind::WrongType
            | ErrorKind::Corrupt
            | ErrorKind::Invalid
            | ErrorKind::NoLayer
            | ErrorKind::Application => text(500, "internal server error"),
        }
    }
}

fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "what the operator alone should read";

    #[test]
    fn h6_every_error_has_its_response_and_tells_a_stranger_nothing_more() {
        let table = [
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Full, 503),
            (ErrorKind::Contended, 503),
            (ErrorKind::NewerFormat, 503),
            (ErrorKind::TooLarge, 413),
            (ErrorKind::Gone, 409),
            (ErrorKind::TooManySessions, 409),
            (ErrorKind::Csrf, 403),
            (ErrorKind::CreationCap, 429),
            (ErrorKind::HeadSent, 500),
            (ErrorKind::WrongType, 500),
            (ErrorKind::Corrupt, 500),
            (ErrorKind::Invalid, 500),
            (ErrorKind::Unsupported, 501),
            (ErrorKind::NoLayer, 500),
            (ErrorKind::Application, 500),
        ];
        for (kind, status) in table {
            let reply = Error::new(kind, MESSAGE).caused_by("its cause").reply();
            assert_eq!((reply.kind, reply.status), (kind, status));
            assert_eq!(reply.content_type, "text/plain; charset=utf-8");
            let again = matches!(status, 429 | 503).then_some(1);
            assert_eq!(reply.retry_after, again, "{kind:?}");
            assert!(!reply.body.is_empty(), "{kind:?}");
            let leaked = reply.body.contains(MESSAGE) || reply.body.contains("cause");
            assert!(!leaked, "{kind:?}: {}", reply.body);
        }
        // The one text that the application wrote for its users.
        let expired = Error::new(ErrorKind::Expired, "please sign in again").reply();
        assert_eq!((expired.status, expired.retry_after), (401, None));
        assert_eq!(expired.body, "please sign in again");
    }

    #[test]
    fn who_waits_as_long_as_a_429_says_has_waited_long_enough() {
        for (ms, seconds) in [(1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            let error = Error::too_many("saving the session", Duration::from_millis(ms));
            assert_eq!(error.reply().retry_after, Some(seconds), "{ms} ms");
        }
        let error = Error::too_many("saving the session", Duration::MAX);
        assert_eq!(error.reply().retry_after, Some(u32::MAX));
    }
}
