//! Writing on the runtime's own threads, so that a disk that hangs keeps no deadline from holding.
//!
//! What is appended goes to the system's memory, and that takes a few microseconds: a fraction of
//! handing the work to a blocking thread and back. But it may wait: while the file system commits
//! its journal, while too much is yet to be written to the disk, and for good when the disk hangs.
//! So it is done on a thread of the runtime only as far as the runtime can spare that thread:
//!
//! - At most half of a runtime's threads write at the same time, so one with a single thread
//!   never writes itself. Who is not among them hands the work over, as ever.
//! - The write is a task of its own: who waits for it has its deadline on another thread.
//! - A watchman, a thread that lives while there are writes, looks every [`TICK`]. If the one
//!   that was running is running still, it wakes another thread of the runtime (tokio lets them
//!   sleep as long as the thread that has hung was to look after sockets and timers), and
//!   all writes are handed over until a second has passed without that.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Handle, Id, RuntimeFlavor};

use crate::cached::Memory;
use crate::failure::Failure;

/// How often the watchman looks.
const TICK: Duration = Duration::from_millis(20);
/// How many looks the watchman stays without work, and writes are handed over after one that hung.
const LOOKS: u32 = 50;
/// How often leave is asked for before the work is handed over: some microseconds, longer than a
/// write takes that does not wait.
const ASKED: u32 = 200;

/// How an operation goes about what may take long.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace<'a> {
    /// On a blocking thread: disks are waited for; a lock that another has is
    /// [`Failure::WouldWait`] here too.
    Waiting,
    /// On a thread of the runtime: what cannot be had at once is [`Failure::WouldWait`].
    AtOnce(AtOnce<'a>),
}

/// What is needed to do without waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtOnce<'a> {
    pub(crate) watch: &'a Watch,
    pub(crate) memory: &'a Memory,
}

impl<'a> Pace<'a> {
    /// Leave to write, until the answer is dropped.
    pub(crate) fn leave(self) -> Result<Option<Leave<'a>>, Failure> {
        match self {
            Self::Waiting => Ok(None),
            Self::AtOnce(AtOnce { watch, .. }) => match watch.leave() {
                Some(leave) => Ok(Some(leave)),
                None => Err(Failure::WouldWait),
            },
        }
    }
}

/// The watch of the runtime that a store was last used on.
#[derive(Debug, Default)]
pub(crate) struct Watches(RwLock<Option<(Id, Arc<Watch>)>>);

impl Watches {
    /// The watch of this runtime; `None` if its threads cannot be spared.
    pub(crate) fn of(&self, runtime: &Handle) -> Option<Arc<Watch>> {
        if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return None;
        }
        let id = runtime.id();
        if let Some((of, watch)) = &*self.0.read().unwrap_or_else(PoisonError::into_inner)
            && *of == id
        {
            return watch.is_open().then(|| Arc::clone(watch));
        }
        let watch = Watch::of(runtime)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((id, Arc::clone(&watch)));
        Some(watch)
    }
}

/// One runtime's writes, of all stores.
pub(crate) struct Watch {
    at_most: usize,
    running: AtomicUsize,
    begun: AtomicU64,
    ended: AtomicU64,
    /// Whether a write hung lately.
    hung: AtomicBool,
    watched: AtomicBool,
    itself: Weak<Self>,
}

impl Watch {
    fn of(runtime: &Handle) -> Option<Arc<Self>> {
        static ALL: Mutex<Option<HashMap<Id, Weak<Watch>>>> = Mutex::new(None);
        let at_most = runtime.metrics().num_workers() / 2;
        if at_most == 0 {
            return None;
        }
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        all.retain(|_, watch| watch.strong_count() > 0);
        if let Some(watch) = all.get(&runtime.id()).and_then(Weak::upgrade) {
            return Some(watch);
        }
        let watch = Self::new(at_most);
        all.insert(runtime.id(), Arc::downgrade(&watch));
        Some(watch)
    }

    fn new(at_most: usize) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            at_most,
            running: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            hung: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            itself: itself.clone(),
        })
    }

    fn is_open(&self) -> bool {
        !self.hung.load(SeqCst)
    }

    /// Leave to write on this thread of the runtime.
    fn leave(&self) -> Option<Leave<'_>> {
        for _ in 0..ASKED {
            if !self.is_open() {
                return None;
            }
            let one_more = |running| (running < self.at_most).then_some(running + 1);
            if self.running.fetch_update(SeqCst, SeqCst, one_more).is_ok() {
                self.begun.fetch_add(1, SeqCst);
                let leave = Leave(self);
                return self.be_watched().then_some(leave);
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Whether there is a watchman, who may just have been called.
    fn be_watched(&self) -> bool {
        if self.watched.swap(true, SeqCst) {
            return true;
        }
        let called = match (self.itself.upgrade(), Handle::try_current()) {
            (Some(watch), Ok(runtime)) => thread::Builder::new()
                .name("session-fs-watch".to_owned())
                .spawn(move || watch.keep(&runtime))
                .is_ok(),
            _ => false,
        };
        if !called {
            self.watched.store(false, SeqCst);
        }
        called
    }

    /// What the watchman does.
    fn keep(&self, runtime: &Handle) {
        let (mut before, mut quiet, mut closed) = ((0, 0), 0, 0);
        loop {
            thread::sleep(TICK);
            let now = (self.begun.load(SeqCst), self.ended.load(SeqCst));
            let is_running = self.running.load(SeqCst) > 0;
            let nothing_new = std::mem::replace(&mut before, now) == now;
            if nothing_new && is_running {
                self.hung.store(true, SeqCst);
                closed = LOOKS;
                drop(runtime.spawn(std::future::ready(())));
            } else if closed > 0 {
                closed -= 1;
                self.hung.store(closed > 0, SeqCst);
            }
            quiet = if nothing_new && closed == 0 {
                quiet + 1
            } else {
                0
            };
            if quiet < LOOKS {
                continue;
            }
            self.watched.store(false, SeqCst);
            // Who took leave before this saw a watchman, and relies on him.
            if self.running.load(SeqCst) == 0 || self.watched.swap(true, SeqCst) {
                return;
            }
            quiet = 0;
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("at_most", &self.at_most)
            .field("hung", &self.hung)
            .finish_non_exhaustive()
    }
}

/// Leave to write on a thread of the runtime.
#[derive(Debug)]
pub(crate) struct Leave<'a>(&'a Watch);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
        self.0.running.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    fn runtime(threads: usize) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn at_most_half_of_the_threads_write() {
        for (threads, at_most) in [(1, 0), (2, 1), (3, 1), (8, 4)] {
            let runtime = runtime(threads);
            runtime.block_on(async {
                let watch = Watches::default().of(&Handle::current());
                assert_eq!(watch.is_some(), at_most > 0);
                let Some(watch) = watch else { return };
                let again = Watches::default().of(&Handle::current()).unwrap();
                assert!(Arc::ptr_eq(&watch, &again), "two stores share one watch");
                let given: Vec<_> = std::iter::from_fn(|| watch.leave()).collect();
                assert_eq!(given.len(), at_most);
                drop(given);
                assert!(watch.leave().is_some());
            });
        }
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_writes_nothing_itself() {
        assert!(Watches::default().of(&Handle::current()).is_none());
    }

    /// The thread that hangs is, more often than not, the one that was to look after the timers.
    #[test]
    fn a_deadline_holds_while_a_write_hangs() {
        let runtime = runtime(2);
        for _ in 0..5 {
            let watch = Watch::new(1);
            let (go_on, gone_on) = mpsc::channel::<()>();
            let (answer, answered) = mpsc::channel();
            let writer = Arc::clone(&watch);
            let begun = Instant::now();
            runtime.spawn(async move {
                // A request comes by a timer here, by a socket elsewhere.
                tokio::time::sleep(Duration::from_millis(5)).await;
                let hung = tokio::spawn(async move {
                    let leave = writer.leave();
                    gone_on.recv().unwrap();
                    leave.is_some()
                });
                let deadline = Duration::from_millis(100);
                let ended = tokio::time::timeout(deadline, hung).await.is_ok();
                answer.send(ended).unwrap();
            });
            let ended = answered.recv_timeout(Duration::from_secs(20));
            assert_eq!(ended, Ok(false), "after {:?}", begun.elapsed());
            assert!(watch.leave().is_none() && !watch.is_open());
            go_on.send(()).unwrap();
            let patience = Instant::now() + Duration::from_secs(20);
            while watch.leave().is_none() {
                assert!(Instant::now() < patience, "writes are made at once again");
                thread::sleep(TICK);
            }
        }
    }

    #[test]
    fn the_watchman_goes_when_there_is_nothing_to_watch_and_is_called_again() {
        let runtime = runtime(2);
        let watch = Watch::new(1);
        let write = || runtime.block_on(async { watch.leave().is_some() });
        for _ in 0..2 {
            assert!(write());
            assert!(watch.watched.load(SeqCst));
            let patience = Instant::now() + Duration::from_secs(20);
            while watch.watched.load(SeqCst) {
                assert!(Instant::now() < patience, "the watchman stays");
                thread::sleep(TICK);
            }
        }
    }
}
