//! Removing expired records in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::id::fresh_nonce;
use crate::manager::SessionManager;

/// A background task that sweeps; it ends when stopped or dropped, unless it was detached.
///
/// Made by [`SessionManager::start_sweeper`]. It sweeps again and again, each time after a pause that
/// varies by a fifth, so that nodes which start together do not sweep together. A sweep works in
/// batches and lets others have their turn between them; a manager runs one at a time. Of processes
/// that share a folder of files, one works at a time; those that share a SQL table share the work, and
/// each record is removed once; Redis removes expired records by itself. A store's error is logged and
/// the next round tries again.
#[derive(Debug)]
pub struct Sweeper {
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    removed: AtomicU64,
    rounds: AtomicU64,
    failures: AtomicU64,
}

impl SessionManager {
    /// Sweeps in the background, about every `every`, from now until the handle is stopped or
    /// dropped, unless it is [detached](Sweeper::detach). Must be called within a tokio runtime.
    ///
    /// ```
    /// # use session_core::{MemoryStore, SessionConfig, SessionManager};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), session_core::Error> {
    /// let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// // Bound to a name: `let _ =` would drop it at once.
    /// let sweeper = sessions.start_sweeper(Duration::from_secs(60));
    /// // ... serve ...
    /// sweeper.stop().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as `tokio::spawn` does.
    #[must_use]
    pub fn start_sweeper(&self, every: Duration) -> Sweeper {
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(self.clone(), every, Arc::clone(&counts), stopped));
        Sweeper { counts, stop, task }
    }
}

impl Sweeper {
    /// Records removed so far.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.counts.removed.load(Ordering::Relaxed)
    }

    /// Rounds finished so far, failed ones included.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.counts.rounds.load(Ordering::Relaxed)
    }

    /// Rounds that ended with a store's error.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counts.failures.load(Ordering::Relaxed)
    }

    /// Stops after the batch at work and waits for it, which takes up to a minute where the store
    /// hangs; who cannot wait that long drops it instead.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // A task that panicked or was aborted has stopped too.
        let _ = (&mut self.task).await;
    }

    /// Lets it sweep for as long as its runtime lives, where there is nowhere to keep it.
    ///
    /// ```
    /// # use session_core::{MemoryStore, SessionConfig, SessionManager};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), session_core::Error> {
    /// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// sessions.start_sweeper(Duration::from_secs(60)).detach();
    /// # Ok(()) }
    /// ```
    pub fn detach(self) {
        // Kept for ever, it is never dropped.
        std::mem::forget(self);
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn run(
    manager: SessionManager,
    every: Duration,
    counts: Arc<Counts>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let pause = with_jitter(every.max(SHORTEST));
        let stop = stopped.wait_for(|stop| *stop);
        if tokio::time::timeout(pause, stop).await.is_ok() {
            return;
        }
        let sweep = manager.sweep_while(
            || !*stopped.borrow(),
            |removed| {
                counts.removed.fetch_add(removed, Ordering::Relaxed);
            },
        );
        match sweep.await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(target: "session", removed, "swept expired sessions"),
            Err(error) => {
                counts.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(target: "session", %error, "the sweep will try again");
            }
        }
        counts.rounds.fetch_add(1, Ordering::Relaxed);
    }
}

/// However often a sweep is asked for, it leaves the store some time for others.
const SHORTEST: Duration = Duration::from_millis(10);

/// Four to six fifths of `every`.
pub(crate) fn with_jitter(every: Duration) -> Duration {
    let fifth = every / 5;
    let spread = u64::try_from((fifth * 2).as_nanos()).unwrap_or(u64::MAX);
    let random = fresh_nonce().unwrap_or(0) % spread.max(1);
    (fifth * 4).saturating_add(Duration::from_nanos(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_varies_by_a_fifth_and_never_overflows() {
        let every = Duration::from_secs(10);
        for _ in 0..1_000 {
            let pause = with_jitter(every.max(SHORTEST));
            assert!((8_000..=12_000).contains(&pause.as_millis()), "{pause:?}");
        }
        let _ = (with_jitter(Duration::ZERO), with_jitter(Duration::MAX));
    }
}
