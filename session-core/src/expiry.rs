//! When a session ends: of inactivity, or of age.

use std::time::Duration;

use crate::clock::{Timestamp, millis};

/// The stored limits of one session's life: `timeout` counts from the last access, `ends_at` is fixed
/// at creation, and whichever comes first ends it (rule E1).
///
/// Both are kept in the record, so that whoever touches it computes the same expiry as whoever wrote
/// it: a reader that loaded the record before its time-out was lengthened cannot shorten it again
/// (rule T4).
///
/// ```
/// use session_core::{Expiry, Timestamp};
/// use std::time::Duration;
///
/// let start = Timestamp::from_unix_ms(0);
/// let expiry = Expiry::new(Some(Duration::from_secs(60)), Some(start.after(Duration::from_secs(90))));
/// assert_eq!(expiry.expires_at(start), Some(Timestamp::from_unix_ms(60_000)));
/// let later = start.after(Duration::from_secs(50));
/// assert_eq!(expiry.expires_at(later), Some(Timestamp::from_unix_ms(90_000)));
/// assert_eq!(Expiry::NEVER.expires_at(later), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    timeout_ms: Option<i64>,
    ends_at: Option<Timestamp>,
}

impl Expiry {
    /// No limit at all: such a session is never swept.
    pub const NEVER: Self = Self {
        timeout_ms: None,
        ends_at: None,
    };

    /// Limits of inactivity (`timeout`, in whole milliseconds) and of age (`ends_at`).
    ///
    /// Beyond the year 30,000 they are cut: stores keep times in 15 digits.
    #[must_use]
    pub fn new(timeout: Option<Duration>, ends_at: Option<Timestamp>) -> Self {
        Self {
            timeout_ms: timeout.map(|timeout| millis(timeout).min(LONGEST_MS)),
            ends_at: ends_at.map(|end| end.min(LATEST)),
        }
    }

    /// How long the session may lie idle.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms
            .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    /// As [`timeout`](Self::timeout), in milliseconds.
    pub(crate) fn timeout_ms(&self) -> Option<i64> {
        self.timeout_ms
    }

    /// When the session ends however busy it is.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// The moment a session last accessed at `accessed` expires; `None` means never.
    #[must_use]
    pub fn expires_at(&self, accessed: Timestamp) -> Option<Timestamp> {
        let idle = self.timeout_ms.map(|ms| {
            Timestamp::from_unix_ms(accessed.as_unix_ms().saturating_add(ms)).min(LATEST)
        });
        match (idle, self.ends_at) {
            (Some(idle), Some(end)) => Some(idle.min(end)),
            (idle, end) => idle.or(end),
        }
    }
}

/// The year 31658: the last moment of 15 digits.
const LATEST: Timestamp = Timestamp::from_unix_ms(999_999_999_999_999);
/// Some 3,000 years.
const LONGEST_MS: i64 = 99_999_999_999_999;
