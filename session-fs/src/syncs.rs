//! Group commit: all who wait for one file or folder to reach the disk share one sync.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use session_core::SessionId;

use crate::failure::Failure;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The bytes of a session's file.
    Session(SessionId),
    /// The names in the folder of the sessions that begin with this byte.
    Shard(u8),
}

/// The syncs under way in this process.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    queues: Mutex<HashMap<Place, Arc<Queue>>>,
    /// What was waited for, in order.
    #[cfg(test)]
    pub(crate) ended: Mutex<Vec<Place>>,
    #[cfg(test)]
    pub(crate) faults: Faults,
}

/// What goes wrong with the disk while it is set.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) fails: std::sync::atomic::AtomicBool,
    pub(crate) hangs: std::sync::atomic::AtomicBool,
    /// So many syncs hang.
    pub(crate) hanging: std::sync::atomic::AtomicUsize,
}

#[cfg(test)]
impl Faults {
    fn meet(&self) -> Result<(), Failure> {
        use std::sync::atomic::Ordering::SeqCst;
        self.hanging.fetch_add(1, SeqCst);
        while self.hangs.load(SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.hanging.fetch_sub(1, SeqCst);
        match self.fails.load(SeqCst) {
            true => Err(Failure::Sync(io::ErrorKind::Other.into())),
            false => Ok(()),
        }
    }
}

impl Syncs {
    /// Returns when a sync of `place` that began after this call has ended. One of the callers
    /// runs `sync`, the others wait for it.
    ///
    /// # Errors
    ///
    /// What `sync` answered, to each who waited for it: after a failure the kernel forgets which
    /// bytes did not reach the disk, so that a later success proves nothing.
    pub(crate) fn join(
        &self,
        place: Place,
        sync: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.enter(place, true, sync)
    }

    /// Runs `sync`, unless one of `place` is running already: for who can come again, and takes no
    /// thread meanwhile.
    ///
    /// # Errors
    ///
    /// [`Failure::Syncing`]: one is; else what `sync` answered.
    pub(crate) fn lead(
        &self,
        place: Place,
        sync: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.enter(place, false, sync)
    }

    fn enter(
        &self,
        place: Place,
        waits: bool,
        sync: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (queue, wanted) = {
            let mut queues = locked(&self.queues);
            let queue = queues.entry(place).or_default();
            let mut state = locked(&queue.state);
            state.waiters += 1;
            (Arc::clone(queue), state.begun + 1)
        };
        let result = queue.join(wanted, waits, || {
            #[cfg(test)]
            self.faults.meet()?;
            sync()
        });
        #[cfg(test)]
        locked(&self.ended).push(place);
        let mut queues = locked(&self.queues);
        let mut state = locked(&queue.state);
        state.waiters -= 1;
        if state.waiters == 0 {
            queues.remove(&place);
        }
        result
    }
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiters: usize,
    running: bool,
    /// Syncs begun and ended so far.
    begun: u64,
    ended: u64,
    /// The last one that failed, and how.
    failed: Option<(u64, io::ErrorKind, Option<i32>)>,
}

impl Queue {
    /// Returns when the sync with the number `wanted`, or a later one, has ended.
    fn join(
        &self,
        wanted: u64,
        waits: bool,
        sync: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut state = locked(&self.state);
        while state.ended < wanted && state.running {
            if !waits {
                return Err(Failure::Syncing);
            }
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended >= wanted {
            return match state.failed {
                Some((run, kind, errno)) if run >= wanted => Err(Failure::Sync(
                    errno.map_or_else(|| kind.into(), io::Error::from_raw_os_error),
                )),
                _ => Ok(()),
            };
        }
        state.running = true;
        state.begun += 1;
        drop(state);
        let result = sync();
        let mut state = locked(&self.state);
        state.running = false;
        state.ended = state.begun;
        match &result {
            Ok(()) => {}
            Err(Failure::Sync(error)) => {
                state.failed = Some((state.ended, error.kind(), error.raw_os_error()));
            }
            Err(_) => state.failed = Some((state.ended, io::ErrorKind::Other, None)),
        }
        self.ended.notify_all();
        result
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;

    /// Runs one sync that is held back until `waiters` more have come, and counts theirs.
    fn share(waiters: usize, second: fn() -> Result<(), Failure>) -> (u32, Vec<bool>) {
        let (syncs, runs) = (Syncs::default(), AtomicU32::new(0));
        let place = Place::Shard(7);
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let results = thread::scope(|scope| {
            scope.spawn(|| {
                syncs.join(place, move || {
                    begun.send(()).unwrap();
                    released.recv().unwrap();
                    Ok(())
                })
            });
            has_begun.recv().unwrap();
            let waiting: Vec<_> = (0..waiters)
                .map(|_| {
                    scope.spawn(|| {
                        syncs.join(place, || {
                            runs.fetch_add(1, Ordering::SeqCst);
                            second()
                        })
                    })
                })
                .collect();
            let queue = Arc::clone(&locked(&syncs.queues)[&place]);
            while locked(&queue.state).waiters < waiters + 1 {
                thread::yield_now();
            }
            drop(queue);
            release.send(()).unwrap();
            waiting
                .into_iter()
                .map(|waiter| waiter.join().unwrap().is_ok())
                .collect()
        });
        assert!(locked(&syncs.queues).is_empty());
        (runs.into_inner(), results)
    }

    #[test]
    fn who_comes_while_a_sync_runs_waits_for_the_next_and_all_share_it() {
        let (runs, results) = share(8, || Ok(()));
        assert_eq!(runs, 1);
        assert!(results.iter().all(|ok| *ok));
    }

    #[test]
    fn a_failed_sync_fails_for_each_who_shared_it() {
        let (_, results) = share(8, || Err(Failure::Sync(io::ErrorKind::Other.into())));
        assert!(results.iter().all(|ok| !ok));
    }
}
