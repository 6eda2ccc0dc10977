//! Which idle connections are asked for a sign of life before they are used.
//!
//! Asking each time costs half a SELECT. So only those are asked that have been idle for a
//! while, and, once a connection broke, all that were idle then: a server that was restarted
//! has closed every one of them. A write is thus seldom sent into a dead connection, where
//! nobody could tell whether it was carried out: only by who used the connection shortly before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Suspicion {
    start: Instant,
    /// When a connection last broke, in milliseconds since `start`.
    broke: AtomicU64,
}

impl Suspicion {
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            broke: AtomicU64::new(0),
        }
    }

    /// A connection was found broken.
    pub(crate) fn raise(&self) {
        let now = millis(self.start.elapsed());
        self.broke.fetch_max(now + 1, Ordering::Relaxed);
    }

    /// Whether a connection that was last used then is to be asked.
    pub(crate) fn concerns(&self, used_at: Instant, now: Instant) -> bool {
        let used = millis(used_at.saturating_duration_since(self.start));
        now.saturating_duration_since(used_at) >= TRUSTED_FOR
            || used < self.broke.load(Ordering::Relaxed)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Shorter than most servers take to restart. Who writes to one that took less is told
/// `Unavailable`, once.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

#[cfg(all(test, any(feature = "postgres", feature = "mysql")))]
mod tests {
    use super::*;

    #[test]
    fn after_one_broke_every_connection_that_was_idle_then_is_asked() {
        let mut suspicion = Suspicion::new();
        suspicion.start = Instant::now() - Duration::from_secs(60);
        let concerns = |suspicion: &Suspicion, millis| {
            let now = Instant::now();
            suspicion.concerns(now - Duration::from_millis(millis), now)
        };
        assert!(!concerns(&suspicion, 10));
        assert!(concerns(&suspicion, 1_000));
        suspicion.raise();
        assert!(concerns(&suspicion, 10));
        suspicion.start -= Duration::from_secs(60);
        assert!(!concerns(&suspicion, 10), "it was used since");
    }
}
