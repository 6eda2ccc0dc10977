//! The store: each operation is one hand-over to a blocking thread, so that the caller's deadline
//! works with a disk that hangs; a load of what is in memory anyway needs none, nor does a write
//! that the runtime can spare a thread for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_core::{
    Created, Cursor, Error, Only, Owner, Page, Record, SessionId, Store, StoreError,
    StoreErrorKind, Timestamp, Touch, Version, Written,
};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};

use crate::config::FsConfig;
use crate::failure::Failure;
use crate::folder::Folders;
use crate::records::Records;
use crate::unsynced::Seen;
use crate::watch::Pace;

/// Sessions in files below one folder; cheap to clone, the clones share it.
///
/// Needs a tokio runtime with a timer (actix-web's is one). Any number of stores, in any number of
/// processes, may work in one folder.
#[derive(Clone, Debug)]
pub struct FsStore {
    records: Arc<Records>,
    threads: Arc<Semaphore>,
}

impl FsStore {
    /// A store with the default options below `dir`, which is made on first use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](session_core::ErrorKind::Invalid): the path is empty.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::with_config(FsConfig::new(dir))
    }

    /// A store with these options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](session_core::ErrorKind::Invalid): an option is not acceptable;
    /// the message says why.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a configuration is used once"
    )]
    pub fn with_config(config: FsConfig) -> Result<Self, Error> {
        Ok(Self {
            records: Arc::new(Records::new(&config)?),
            threads: Arc::new(Semaphore::new(THREADS_MAX)),
        })
    }

    /// The folder, as an absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.records.root.dir()
    }

    /// Runs `work` on a blocking thread, again and again while it finds a file locked, or what it
    /// found on its way to the disk.
    async fn run<T: Send + 'static>(
        &self,
        operation: impl Into<Operation>,
        work: impl Fn(&Records, &Folders) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let operation = operation.into();
        let first = self.attempt(work).await;
        self.patiently(operation, first).await
    }

    /// Runs `work` on the calling runtime's threads if they can be spared and nothing has to be
    /// waited for, and as [`run`](Self::run) does otherwise.
    async fn run_at_once<T: Send + 'static>(
        &self,
        operation: impl Into<Operation>,
        work: impl Fn(&Records, &Folders, Pace<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let operation = operation.into();
        let Some(watch) = self.records.watch() else {
            return self.run(operation, waiting(work)).await;
        };
        let store = self.clone();
        // A task of its own, so that the caller's deadline can pass while it hangs.
        let first = tokio::spawn(async move { (store.records.at_once(&watch, &work), work) });
        let first = match Wanted(first).done().await {
            // Here, where the caller can stop waiting: the task would stand in line for a thread
            // also when nobody is left to be told.
            Ok((Err(Failure::WouldWait), work)) => self.attempt(waiting(work)).await,
            first => first.map(|(done, work)| (done, waiting(work))),
        };
        self.patiently(operation, first).await
    }

    /// Runs `work` once on a blocking thread; when it has begun, to its end also when the caller
    /// stops waiting.
    async fn attempt<T: Send + 'static, W>(&self, work: W) -> Attempt<T, W>
    where
        W: Fn(&Records, &Folders) -> Result<T, Failure> + Send + 'static,
    {
        let turn = Arc::clone(&self.threads).acquire_owned().await;
        let records = Arc::clone(&self.records);
        let attempt = tokio::task::spawn_blocking(move || {
            let done = records.within(&work);
            drop(turn);
            (done, work)
        });
        Wanted(attempt).done().await
    }

    /// The end of what began with this attempt. A lock is waited for here, and another's sync,
    /// where the caller can stop waiting, and no thread waits: were the one who has it stopped, or
    /// did the sync hang, all that come for this session would take a thread each, and none would
    /// be left for other sessions.
    async fn patiently<T: Send + 'static, W>(
        &self,
        operation: Operation,
        first: Attempt<T, W>,
    ) -> Result<T, StoreError>
    where
        W: Fn(&Records, &Folders) -> Result<T, Failure> + Send + 'static,
    {
        let mut attempt = first;
        let mut pause = PAUSES[0];
        let mut waited = Duration::ZERO;
        loop {
            let (done, work) = attempt.map_err(|error| stopped(operation.name, error))?;
            match done {
                Err(Failure::WouldWait | Failure::Syncing) if waited < LOCKED_MAX => {}
                done => return done.map_err(|failure| self.failed(operation, failure)),
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = PAUSES[1].min(2 * pause);
            attempt = self.attempt(work).await;
        }
    }

    /// What is told of a failure, and at which file or folder it was.
    fn failed(&self, operation: Operation, failure: Failure) -> StoreError {
        let place = match &operation.id {
            None => self.dir().to_owned(),
            Some(id) => self.records.template.within(self.dir(), id),
        };
        failure.into_store_error(operation.name, &place)
    }
}

/// What is done, and to which session.
#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    /// `None`: it is about several.
    id: Option<SessionId>,
}

impl Operation {
    fn on(id: &SessionId, name: &'static str) -> Self {
        let id = Some(*id);
        Self { name, id }
    }
}

impl From<&'static str> for Operation {
    fn from(name: &'static str) -> Self {
        Self { name, id: None }
    }
}

/// Work that is handed over. If the runtime's threads are busy it waits for one, and is not begun any
/// more once its caller has gone: they have looked for it in vain, perhaps, and it would happen later.
struct Wanted<T>(JoinHandle<T>);

impl<T> Wanted<T> {
    async fn done(mut self) -> Result<T, JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Wanted<T> {
    fn drop(&mut self) {
        // Of what has begun, or ended, it does nothing.
        self.0.abort();
    }
}

/// What an attempt came to, and the work, to be done again if it would have waited.
type Attempt<T, W> = Result<(Result<T, Failure>, W), JoinError>;

fn waiting<T>(
    work: impl Fn(&Records, &Folders, Pace<'_>) -> Result<T, Failure>,
) -> impl Fn(&Records, &Folders) -> Result<T, Failure> {
    move |records, folders| work(records, folders, Pace::Waiting)
}

/// So many threads of the runtimes' work at once: a disk that hangs takes no more of them, which are
/// for others too.
const THREADS_MAX: usize = 64;

/// Between two looks at what is waited for: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(8)];

/// So long a lock or a sync is waited for. Who has it needs microseconds, and a disk that is busy tens of
/// milliseconds; a process that was stopped may have it for good.
const LOCKED_MAX: Duration = Duration::from_secs(10);

fn stopped(operation: &'static str, error: JoinError) -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        format!("{operation} failed: its thread stopped"),
    )
    .caused_by(error)
}

#[async_trait]
impl Store for FsStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let (id, record) = (*id, record.clone());
        self.run(
            Operation::on(&id, "creating the session"),
            move |records, folders| records.create(folders, &id, &record),
        )
        .await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.records.load_cached(id) {
            return Ok(Some(record));
        }
        let (id, seen) = (*id, Seen::default());
        self.run(
            Operation::on(&id, "loading the session"),
            move |records, folders| records.load(folders, &id, &seen),
        )
        .await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let (id, record) = (*id, record.clone());
        self.run_at_once(
            Operation::on(&id, "updating the session"),
            move |records, folders, pace| records.update(folders, &id, &record, expected, pace),
        )
        .await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let (id, touch) = (*id, *touch);
        self.run_at_once(
            Operation::on(&id, "touching the session"),
            move |records, folders, pace| records.touch(folders, &id, &touch, pace),
        )
        .await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let id = *id;
        self.run(
            Operation::on(&id, "deleting the session"),
            move |records, folders| records.delete(folders, &id, only),
        )
        .await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let (owner, seen) = (owner.clone(), Seen::default());
        self.run("listing the owner's sessions", move |records, folders| {
            records.owned_by(folders, &owner, &seen)
        })
        .await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.run("listing sessions", move |records, folders| {
            records.scan(folders, &cursor, limit)
        })
        .await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.sweep_for(SWEEP_MAX, expired_before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run("asking the folder", Records::ping).await
    }
}

/// After so long a sweep stops and says what it has removed; the next one goes on from there. A manager
/// waits for a minute.
const SWEEP_MAX: Duration = Duration::from_secs(45);

impl FsStore {
    /// In steps, so that it can be stopped, and a thread is not taken for all of it.
    async fn sweep_for(
        &self,
        most: Duration,
        expired_before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        if limit == 0 {
            return Ok(0);
        }
        let operation = "sweeping";
        let lap = self.run(operation, Records::begin_lap).await?;
        let begun = Instant::now();
        let (mut next, mut removed, mut failed) = (lap, 0, None);
        while let Some(lap) = next.filter(|_| removed < limit) {
            let left = limit - removed;
            let step = self.run(operation, move |records, folders| {
                records.sweep_step(folders, &lap, expired_before, left)
            });
            let swept = match step.await {
                Ok(swept) => swept,
                Err(error) if removed == 0 => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "a sweep ended early");
                    break;
                }
            };
            removed += swept.removed;
            failed = failed.or(swept.failed);
            next = swept.next;
            if begun.elapsed() >= most {
                break;
            }
        }
        // Where some were removed the others may be so the next time.
        match failed {
            Some(error) if removed == 0 => Err(self.failed(operation.into(), Failure::Io(error))),
            _ => Ok(removed as u64),
        }
    }
}

#[cfg(test)]
#[path = "unsynced_tests.rs"]
mod unsynced_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// All the threads of a store are taken, so that an update has to stand in line for one.
    #[test]
    fn an_update_that_nobody_waits_for_any_more_is_not_begun() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = FsStore::open(dir.path()).unwrap();
            let all = Arc::clone(&store.threads);
            let all = all.acquire_many_owned(THREADS_MAX as u32).await.unwrap();
            assert!(store.records.watch().is_some(), "it would be tried at once");
            let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            for _ in 0..8 {
                let begun = Arc::clone(&begun);
                // Nothing of it can be had at once: the folder is not open yet.
                let update = store.run_at_once("updating", move |_, _, pace| {
                    assert!(matches!(pace, Pace::Waiting));
                    begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok(())
                });
                let gone = tokio::time::timeout(Duration::from_millis(20), update).await;
                assert!(gone.is_err());
            }
            drop(all);
            // Who stands in line before us has had his turn.
            let all = Arc::clone(&store.threads);
            let all = all.acquire_many_owned(THREADS_MAX as u32).await;
            assert!(all.is_ok());
            assert_eq!(begun.load(std::sync::atomic::Ordering::SeqCst), 0);
        });
    }

    /// They are others' who have all of the runtime's own.
    #[test]
    fn what_nobody_waits_for_any_more_is_not_begun_when_a_thread_comes_free() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().max_blocking_threads(1);
        builder.build().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = FsStore::open(dir.path()).unwrap();
            let (go_on, busy) = mpsc::channel::<()>();
            let other = tokio::task::spawn_blocking(move || busy.recv());
            let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let write = |begun: &Arc<std::sync::atomic::AtomicUsize>| {
                let begun = Arc::clone(begun);
                let work = move |_: &Records, _: &Folders| {
                    begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok(())
                };
                store.run("writing", work)
            };
            let gone = tokio::time::timeout(Duration::from_millis(20), write(&begun)).await;
            assert!(gone.is_err());
            drop(go_on);
            let _ = other.await.unwrap();
            // Who comes later has his turn later.
            write(&begun).await.unwrap();
            assert_eq!(begun.load(std::sync::atomic::Ordering::SeqCst), 1);
        });
    }

    /// As above, and the work would be done by one of the runtime's own threads.
    #[test]
    fn what_nobody_waits_for_any_more_is_not_begun_at_once_either() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = FsStore::open(dir.path()).unwrap();
            store.ping().await.unwrap();
            let both = Arc::new(std::sync::Barrier::new(3));
            let (go_on, busy) = mpsc::channel::<()>();
            let busy = Arc::new(std::sync::Mutex::new(busy));
            let others = [(); 2].map(|()| {
                let (both, busy) = (Arc::clone(&both), Arc::clone(&busy));
                tokio::spawn(async move {
                    both.wait();
                    let _ = busy.lock().map(|busy| busy.recv());
                })
            });
            both.wait();
            let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let update = |begun: &Arc<std::sync::atomic::AtomicUsize>| {
                let begun = Arc::clone(begun);
                store.run_at_once("updating", move |_, _, _| {
                    begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok(())
                })
            };
            assert!(store.records.watch().is_some(), "it is tried at once");
            let mut gone = Box::pin(update(&begun));
            std::future::poll_fn(|cx| {
                assert!(gone.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            drop(gone);
            drop(go_on);
            for other in others {
                other.await.unwrap();
            }
            for _ in 0..8 {
                update(&begun).await.unwrap();
            }
            assert_eq!(begun.load(std::sync::atomic::Ordering::SeqCst), 8);
        });
    }

    #[tokio::test]
    async fn a_sweep_that_takes_long_says_what_it_removed_and_the_next_goes_on() {
        use crate::sweep::AT_ONCE;
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::open(dir.path()).unwrap();
        let now = session_core::Clock::system().now();
        let end = session_core::Expiry::new(Some(Duration::from_secs(60)), None);
        let sessions = 2 * AT_ONCE as u64;
        for _ in 0..sessions {
            let token = session_core::Token::random().unwrap();
            let record = Record::new(token.digest(), now, end).unwrap();
            let created = store.create(&token.id(), &record).await.unwrap();
            assert_eq!(created, Created::Done);
        }
        let later = now.after(Duration::from_secs(60));
        let mut removed = 0;
        for _ in 0..20 {
            let swept = store.sweep_for(Duration::ZERO, later, usize::MAX).await;
            let swept = swept.unwrap();
            assert!(swept < sessions, "it stops after a step");
            removed += swept;
        }
        assert_eq!(removed, sessions);
    }

    /// Who has all of a store's threads, and stands in line for them when they are given back, lets
    /// one hand-over through.
    #[tokio::test]
    async fn a_sweep_that_nobody_waits_for_any_more_ends_with_its_step() {
        use crate::sweep::AT_ONCE;
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::open(dir.path()).unwrap();
        let now = session_core::Clock::system().now();
        let end = session_core::Expiry::new(Some(Duration::from_secs(60)), None);
        let sessions = 2 * AT_ONCE;
        for _ in 0..sessions {
            let token = session_core::Token::random().unwrap();
            let record = Record::new(token.digest(), now, end).unwrap();
            let created = store.create(&token.id(), &record).await.unwrap();
            assert_eq!(created, Created::Done);
        }
        let all = async || {
            let all = Arc::clone(&store.threads);
            all.acquire_many_owned(THREADS_MAX as u32).await.unwrap()
        };
        let mut threads = all().await;
        let (sweeper, later) = (store.clone(), now.after(Duration::from_secs(60)));
        let sweep = tokio::spawn(async move { sweeper.sweep(later, usize::MAX).await });
        let left = || {
            let listed = store
                .records
                .within(|records, folders| records.scan(folders, &Cursor::start(), sessions));
            listed.unwrap().ids
        };
        while left().len() == sessions {
            tokio::time::sleep(Duration::from_millis(1)).await;
            drop(threads);
            threads = all().await;
        }
        sweep.abort();
        assert!(sweep.await.unwrap_err().is_cancelled());
        drop(threads);
        let ids = left();
        let left = ids.len();
        assert!(left > 0 && left >= sessions - AT_ONCE, "{left}");
        let place = store.records.sweep_place.get();
        assert!(place.is_some_and(|place| ids.iter().all(|id| *id > place)));
        assert_eq!(store.sweep(later, usize::MAX).await.unwrap(), left as u64);
        assert_eq!(store.records.sweep_place.get(), None);
    }

    /// What takes a thread is told to go on by who drops the sender.
    #[test]
    fn a_disk_that_hangs_takes_no_more_than_its_share_of_the_runtimes_threads() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().max_blocking_threads(THREADS_MAX + 1);
        builder.build().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = FsStore::open(dir.path()).unwrap();
            let (disk, hangs) = mpsc::channel::<()>();
            let hangs = Arc::new(std::sync::Mutex::new(hangs));
            let callers: Vec<_> = (0..2 * THREADS_MAX)
                .map(|_| {
                    let (store, hangs) = (store.clone(), Arc::clone(&hangs));
                    tokio::spawn(async move {
                        let hang = move |_: &Records, _: &Folders| {
                            let _ = hangs.lock().map(|hangs| hangs.recv());
                            Ok(())
                        };
                        store.run("hanging", hang).await
                    })
                })
                .collect();
            while store.threads.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            // Another's work, which has a thread of its own.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            drop(disk);
            for caller in callers {
                caller.await.unwrap().unwrap();
            }
        });
    }
}
