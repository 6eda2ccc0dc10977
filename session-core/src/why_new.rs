//! Why a request has no live session.

use crate::plan::Dead;

/// Why a session is new; from [`Session::why_new`](crate::Session::why_new).
///
/// Of several tokens the last one that opened nothing counts, since each is looked up in turn. It
/// is for the application, to say "you were signed out" rather than "welcome": a stranger who
/// guesses must not learn from an answer which guess was how wrong.
///
/// ```
/// use session_core::{Session, WhyNew};
///
/// fn greeting(session: &Session) -> &'static str {
///     match session.why_new() {
///         Some(WhyNew::Expired) => "you have been signed out after a while, please sign in again",
///         Some(_) => "please sign in",
///         None => "welcome back",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhyNew {
    /// The request carries no token.
    NoToken,
    /// It carries one that is malformed or not signed by this system.
    Foreign,
    /// There is no session of this id: it was ended, or has expired and was swept.
    Unknown,
    /// The session has ended by time and is still kept.
    Expired,
    /// There is a session of this id, and its secret is another.
    WrongSecret,
    /// The secret was replaced a moment ago: what this request stores is refused (rule I6).
    Superseded,
    /// The session is bound to another address (rule A1).
    WrongAddress,
    /// The record cannot be decoded and is kept for inspection (rule F2).
    Corrupt,
    /// The store could not be read, and `on_load_outage` reads that as empty (rule F1).
    Outage,
    /// This request itself has ended the session, by `destroy` or `logout`.
    Ended,
}

impl WhyNew {
    /// The reason in a word, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::WrongSecret => "wrong_secret",
            Self::Superseded => "superseded",
            Self::WrongAddress => "wrong_address",
            Self::Corrupt => "corrupt",
            Self::Outage => "outage",
            Self::Ended => "ended",
        }
    }
}

impl From<Dead> for WhyNew {
    fn from(why: Dead) -> Self {
        match why {
            Dead::Unknown => Self::Unknown,
            Dead::Expired => Self::Expired,
            Dead::WrongSecret => Self::WrongSecret,
            Dead::WrongAddress => Self::WrongAddress,
            Dead::Corrupt => Self::Corrupt,
        }
    }
}
