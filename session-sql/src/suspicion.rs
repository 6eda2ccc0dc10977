//! Which idle connections are asked for a sign of life before they are used.
//!
//! Asking each time costs half a SELECT. So only those are asked that have been idle for a
//! while, and, once a connection broke, all that were idle then: a server that was restarted
//! has closed every one of them. A write is thus seldom sent into a dead connection, where
//! nobody could tell whether it was carried out: only by who used the connection shortly before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Suspicion {
    start: Instant,
    /// When a connection last broke, in milliseconds since `start`.
    broke: AtomicU64,
}

impl Suspicion {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            broke: AtomicU64::new(0),
        }
    }

    /// A connection was found broken.
    pub(crate) fn raise(&self) {
        self.broke.fetch_max(self.elapsed() + 1, Ordering::Relaxed);
    }

    /// Whether a connection that was idle for so long is to be asked.
    pub(crate) fn concerns(&self, idle_for: Duration) -> bool {
        let idle_since = self.elapsed().saturating_sub(millis(idle_for));
        idle_for >= TRUSTED_FOR || idle_since <= self.broke.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> u64 {
        millis(self.start.elapsed())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Shorter than most servers take to restart. Who writes to one that took less is told
/// `Unavailable`, once.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_broke_every_connection_that_was_idle_then_is_asked() {
        let mut suspicion = Suspicion::new();
        suspicion.start = Instant::now() - Duration::from_secs(60);
        assert!(!suspicion.concerns(Duration::from_millis(10)));
        assert!(suspicion.concerns(Duration::from_secs(1)));
        suspicion.raise();
        assert!(suspicion.concerns(Duration::from_millis(10)));
        suspicion.start -= Duration::from_secs(60);
        assert!(
            !suspicion.concerns(Duration::from_millis(10)),
            "it was used since"
        );
    }
}
