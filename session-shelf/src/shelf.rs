//! The database as long as the store lives: open, or to be opened anew after it failed.
//!
//! After an error of input or output both engines refuse everything until they are opened again,
//! so that is done when the next operation comes. What was acknowledged is in the file.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock, TryLockError, mpsc};
use std::thread;
use std::time::Duration;

use session_core::{Record, SessionId, StoreErrorKind};

use crate::engine::{Engine, Group, View};
use crate::failure::{Failure, panicked};
use crate::place::Missing;
use crate::recent::{Recent, Turn};

/// Opens the database.
pub(crate) type Opener = Box<dyn Fn(Missing) -> Result<Arc<dyn Engine>, Failure> + Send + Sync>;

pub(crate) struct Shelf {
    opener: Opener,
    state: RwLock<State>,
    /// Whether a write failed since the database was opened: what is shown may not be on the disk.
    in_doubt: AtomicBool,
    recent: Recent,
}

enum State {
    Open(Arc<dyn Engine>),
    /// It failed, and the next use opens it.
    Failed,
    /// Nobody owns it any more, so nobody would close it again.
    Closed,
}

impl Shelf {
    /// Opens the database, and has room in memory for so many bytes of records.
    pub(crate) fn open(
        opener: Opener,
        missing: Missing,
        record_bytes: usize,
    ) -> Result<Self, Failure> {
        let engine = guarded(|| opener(missing))?;
        Ok(Self {
            opener,
            state: RwLock::new(State::Open(engine)),
            in_doubt: AtomicBool::new(false),
            recent: Recent::new(record_bytes),
        })
    }

    /// Shows `work` what is stored.
    pub(crate) fn read<T>(
        &self,
        work: impl Fn(&dyn View) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut found = None;
        self.with(|engine| {
            engine.read(&mut |view| {
                found = Some(work(view)?);
                Ok(())
            })
        })?;
        found.ok_or_else(|| Failure::unavailable("nothing was read"))
    }

    /// Lets `work` apply changes.
    pub(crate) fn write(
        &self,
        mut work: impl FnMut(&mut dyn Group) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.with(|engine| {
            // Before it: a panic is a failure too.
            let before = self.in_doubt.swap(true, SeqCst);
            let written = engine.write(&mut work);
            // To write everything again would not help a full disk.
            let failed = matches!(&written, Err(Failure::Engine(error))
                if error.kind() != StoreErrorKind::Full);
            if !failed {
                self.in_doubt.store(before, SeqCst);
            }
            written
        })
    }

    /// The record, if it is in memory and the database is open and in its place.
    ///
    /// Waits for nothing: the path is one of an open file, so the system has it in memory. Where the
    /// database was a few milliseconds ago is where it is.
    ///
    /// # Errors
    ///
    /// It has to be [read](Self::read), and may then be kept.
    pub(crate) fn recent(&self, id: &SessionId) -> Result<Arc<Record>, Turn> {
        let found = self.recent.find(id)?;
        let state = match self.state.try_read() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Turn::PAST),
        };
        match &*state {
            State::Open(engine) if engine.place().check_lately().is_ok() => Ok(found),
            _ => Err(Turn::PAST),
        }
    }

    /// What is in memory of records.
    pub(crate) fn records(&self) -> &Recent {
        &self.recent
    }

    pub(crate) fn room_for(&self, bytes: usize) -> Result<(), Failure> {
        self.with(|engine| engine.room_for(bytes))
    }

    pub(crate) fn room_to_remove(&self) -> Result<(), Failure> {
        self.with(|engine| engine.room_to_remove())
    }

    /// Closes the database for good.
    pub(crate) fn close(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(engine) = mem::replace(&mut *state, State::Closed) {
            bury(engine);
        }
    }

    fn with(
        &self,
        mut work: impl FnMut(&dyn Engine) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let engine = self.engine()?;
        engine.place().check()?;
        let done = guarded(|| work(&*engine));
        if let Err(Failure::Engine(error)) = &done {
            tracing::warn!(%error, "the database failed and will be opened anew");
            self.discard(engine);
        }
        done
    }

    /// The database, opened if it failed.
    fn engine(&self) -> Result<Arc<dyn Engine>, Failure> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(engine) = &*state {
            return Ok(Arc::clone(engine));
        }
        drop(state);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(engine) => Ok(Arc::clone(engine)),
            State::Failed => {
                let missing = match self.in_doubt.load(SeqCst) {
                    true => Missing::RefuseInDoubt,
                    false => Missing::Refuse,
                };
                let engine = guarded(|| (self.opener)(missing))?;
                self.in_doubt.store(false, SeqCst);
                *state = State::Open(Arc::clone(&engine));
                Ok(engine)
            }
            State::Closed => Err(Failure::unavailable("the store was dropped")),
        }
    }

    /// Closes the database that failed, so that the next use opens it.
    fn discard(&self, failed: Arc<dyn Engine>) {
        // Given up before waiting for the lock: who has it may be burying this very database.
        // What is left keeps its address from being used again.
        let known = Arc::downgrade(&failed);
        drop(failed);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_it = matches!(&*state, State::Open(held)
            if ptr::addr_eq(Arc::as_ptr(held), known.as_ptr()));
        if is_it && let State::Open(engine) = mem::replace(&mut *state, State::Failed) {
            // Before anybody can have read from the one that is opened next.
            self.recent.clear();
            bury(engine);
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

/// Ends a database on a thread of its own, when nobody uses it any more: sled waits for ever for
/// a thread that has panicked.
///
/// Until then it is locked, and whoever used it last would otherwise be who ends it. How long that
/// thread waits has no bound, how long the caller does has one.
fn bury(engine: Arc<dyn Engine>) {
    let (alive, ended) = mpsc::channel::<()>();
    let burial = move || {
        // Nobody can come to it any more.
        while Arc::strong_count(&engine) > 1 {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
        drop(alive);
    };
    if thread::Builder::new()
        .name("session-shelf close".into())
        .spawn(burial)
        .is_ok()
        && ended.recv_timeout(CLOSING_MAX) == Err(mpsc::RecvTimeoutError::Timeout)
    {
        tracing::error!("the database does not close; the process has to be started anew");
    }
}

/// Longer than a healthy disk needs for what is left to be written.
pub(crate) const CLOSING_MAX: Duration = Duration::from_secs(10);

/// Makes a failure of a panic.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}
