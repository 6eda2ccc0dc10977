//! The one place that reads the time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
#[cfg(feature = "cached")]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: whole milliseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// ```
/// use session_core::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_unix_ms(1_000);
/// assert_eq!(start.after(Duration::from_millis(5)).as_unix_ms(), 1_005);
/// ```
///
/// In JSON it is that number, and not a text:
///
/// ```
/// # use session_core::Timestamp;
/// let answer = serde_json::to_string(&Timestamp::from_unix_ms(1_764_000_000_000))?;
/// assert_eq!(answer, "1764000000000");
/// assert_eq!(serde_json::from_str::<Timestamp>("1000")?, Timestamp::from_unix_ms(1_000));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_ms(self) -> i64 {
        self.0
    }

    /// The moment `wait` later, rounded down to a millisecond; stops at the end of the range.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }

    /// The moment `span` earlier, rounded down to a millisecond; stops at the start of the range.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.ms_since(earlier).unsigned_abs())
    }

    /// As [`since`](Self::since), in milliseconds.
    pub(crate) fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl From<Timestamp> for SystemTime {
    /// The same moment; outside what the platform can express it is the Unix epoch.
    fn from(at: Timestamp) -> Self {
        let distance = Duration::from_millis(at.0.unsigned_abs());
        let moment = if at.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        moment.unwrap_or(UNIX_EPOCH)
    }
}

impl From<SystemTime> for Timestamp {
    /// The same moment, rounded down to a millisecond; what is out of range is its end.
    ///
    /// ```
    /// use session_core::Timestamp;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    /// assert_eq!(Timestamp::from(at), Timestamp::from_unix_ms(1_500));
    /// ```
    fn from(at: SystemTime) -> Self {
        match at.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(millis(since)),
            Err(before) => {
                let before = before.duration();
                let part = i64::from(before.subsec_nanos() % 1_000_000 > 0);
                Self(millis(before).saturating_neg().saturating_sub(part))
            }
        }
    }
}

/// Where a manager reads the time: the system's clock, or one that a test moves.
///
/// Every decision of the library is made with the manager's clock, so a test moves the time instead
/// of sleeping (rule E3).
///
/// ```
/// use session_core::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let hands = ManualClock::at_unix_ms(1_764_000_000_000);
/// let clock = Clock::manual(&hands);
/// let before = clock.now();
/// hands.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(before), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<ManualClock>);

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until `hands` is moved.
    #[must_use]
    pub fn manual(hands: &ManualClock) -> Self {
        Self(Some(hands.clone()))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(hands) => Timestamp(hands.0.load(Ordering::SeqCst)),
            None => SystemTime::now().into(),
        }
    }
}

#[cfg(feature = "cached")]
impl Clock {
    /// The present moment, for measuring what follows.
    pub(crate) fn start(&self) -> Started {
        Started {
            wall: self.now(),
            steady: self.0.is_none().then(Instant::now),
        }
    }

    /// How long ago `started` is: the longer of what the wall clock and the steady clock say.
    ///
    /// The one may be set back, the other stands still while the machine sleeps. A wall clock
    /// that stands before the start says nothing: that counts as for ever.
    pub(crate) fn elapsed(&self, started: &Started) -> Duration {
        let now = self.now();
        if now < started.wall {
            return Duration::MAX;
        }
        let steady = started.steady.map_or(Duration::ZERO, |at| at.elapsed());
        steady.max(now.since(started.wall))
    }
}

/// The start of a span that is being measured.
#[cfg(feature = "cached")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    wall: Timestamp,
    /// A clock moved by hand has no other beside it.
    steady: Option<Instant>,
}

/// The hands of a clock that only a test moves; clones move together.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub fn at_unix_ms(ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(ms)))
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Moves the time back, as a corrected system clock does.
    pub fn step_back(&self, by: Duration) {
        self.0.fetch_sub(millis(by), Ordering::SeqCst);
    }
}

/// Whole milliseconds of a duration; the largest stored one where it is longer.
pub(crate) fn millis(span: Duration) -> i64 {
    let whole = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let rest = i64::from(span.subsec_millis());
    whole.saturating_mul(1_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends_of_the_range() {
        let end = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        let start = Timestamp::from_unix_ms(i64::MIN);
        assert_eq!(start.before(Duration::MAX), start);
        assert_eq!(start.since(end), Duration::ZERO);
    }

    #[test]
    fn a_time_outside_the_platform_becomes_the_epoch_and_no_panic() {
        let _ = SystemTime::from(Timestamp::from_unix_ms(i64::MIN));
        let _ = SystemTime::from(Timestamp::from_unix_ms(i64::MAX));
        for ms in [-1_500, -1, 0, 1_500] {
            let at = SystemTime::from(Timestamp::from_unix_ms(ms));
            assert_eq!(Timestamp::from(at).as_unix_ms(), ms);
        }
        let just_before = UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(Timestamp::from(just_before).as_unix_ms(), -1);
        assert_eq!(
            SystemTime::from(Timestamp::from_unix_ms(1_500)),
            UNIX_EPOCH + Duration::from_millis(1_500)
        );
    }
}
