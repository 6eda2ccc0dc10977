//! Every option of a session, checked when it is built.

mod builder;
mod check;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::creation_cap::CreationCap;
use crate::expiry::Expiry;
use crate::http::{CookiePolicy, Lifetime, Transport};
use crate::keys::TokenKeys;
use crate::record::Record;

pub use builder::SessionConfigBuilder;

/// What a manager does, decided once: made by [`SessionConfig::builder`].
///
/// All options are checked when it is built, also whether they go together:
///
/// ```
/// use session_core::{KeyRing, SessionConfig};
/// use std::time::Duration;
///
/// let config = SessionConfig::builder()
///     .timeout(Duration::from_secs(30 * 60))
///     .absolute_timeout(Duration::from_secs(12 * 60 * 60))
///     .secret_key(KeyRing::generate()?)
///     .build()?;
/// assert_eq!(config.cookie_name(), "__Host-sid");
///
/// let wrong = SessionConfig::builder().cookie_name("__Host-sid").secure(false).build();
/// assert!(wrong.is_err(), "a browser would drop this cookie");
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SessionConfig {
    pub(crate) cookie: CookiePolicy,
    pub(crate) transport: Transport,
    pub(crate) token_keys: Option<TokenKeys>,
    pub(crate) creation_cap: Option<Arc<CreationCap>>,
    /// How old an access is, in milliseconds, when it is written down; shorter for a session whose own
    /// time-out is short.
    pub(crate) touch_interval_ms: i64,
    pub(crate) options: SessionConfigBuilder,
}

impl SessionConfig {
    /// Starts from the defaults, which are the safe choice for each option.
    #[must_use]
    pub fn builder() -> SessionConfigBuilder {
        SessionConfigBuilder::default()
    }

    /// The name of the session cookie.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// The limits of a session that began at `created`; `own` is its own time-out, and `persistent` is one
    /// that is remembered.
    pub(crate) fn expiry(
        &self,
        own: Option<Duration>,
        persistent: bool,
        created: Timestamp,
    ) -> Expiry {
        let options = &self.options;
        if options.ignore_expiry {
            return Expiry::NEVER;
        }
        let remembered = options.remembered_absolute_timeout;
        let age = remembered
            .filter(|_| persistent)
            .or(options.absolute_timeout);
        let ends_at = age.map(|age| created.after(age));
        Expiry::new(Some(own.unwrap_or(options.timeout)), ends_at)
    }

    /// How long the cookie of a session is to be kept; `None`: until the browser closes. The session's
    /// absolute end is the cookie's, too.
    pub(crate) fn cookie_life(&self, record: &Record) -> Option<Duration> {
        let life = match self.cookie.lifetime() {
            Lifetime::Persistent(life) if !record.persistent => life,
            _ if record.persistent => record.expiry.timeout().unwrap_or(Lifetime::MAX),
            _ => return None,
        };
        let end = record.expiry.ends_at();
        let end = end.filter(|_| !self.options.ignore_expiry);
        let left = end.map(|end| end.since(self.options.clock.now()));
        Some(life.min(left.unwrap_or(life)).min(Lifetime::MAX))
    }

    /// Whether the cookie of such a session outlives the browser's closing.
    pub(crate) fn keeps_cookie(&self, persistent: bool) -> bool {
        persistent || matches!(self.cookie.lifetime(), Lifetime::Persistent(_))
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

/// What a request does when the time it was let in for is over (rule E5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnExpired {
    /// It reads a new, empty session.
    #[default]
    Fresh,
    /// It is answered 401 with the `expired_message`, and the cookie is removed. So is any request
    /// with a token that opens no session, one that was signed out or revoked for example, on every
    /// route that asks for a session, the login included.
    ///
    /// A foreign token gets a new session all the same: one that is malformed, or with a `secret_key` one
    /// whose MAC is wrong or under a key that was dropped. Nothing says that it ever opened a session.
    Unauthorized,
}

/// What becomes of a request when the store is down or hangs (rule F1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOutage {
    /// It is answered 503 with `Retry-After`.
    #[default]
    Fail,
    /// Reading: the session is empty for this request, writing to it is still an error.
    /// Touching: the session lives a little shorter.
    Continue,
}

/// What becomes of a session whose record cannot be decoded (rule F2); the record is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorrupt {
    /// The client gets a new session; the incident is logged as an error.
    #[default]
    Fresh,
    /// The request is answered 500.
    Fail,
}

/// What becomes of a response whose changes could not be stored because the session ended
/// meanwhile (rule C3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnGone {
    /// 409 for methods that change something; after GET, HEAD, OPTIONS and TRACE the response
    /// stands.
    #[default]
    ConflictIfUnsafe,
    /// 409 for every method.
    Conflict,
    /// The response stands; the loss is logged.
    Ignore,
}
