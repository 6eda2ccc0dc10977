//! The database as long as the store lives: open, or to be opened anew after it failed.
//!
//! After an error of input or output both engines refuse everything until they are opened again,
//! so that is done when the next operation comes. What was acknowledged is in the file.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::engine::{Engine, Group, View};
use crate::failure::{Failure, panicked};
use crate::place::Missing;

/// Opens the database.
pub(crate) type Opener = Box<dyn Fn(Missing) -> Result<Arc<dyn Engine>, Failure> + Send + Sync>;

pub(crate) struct Shelf {
    opener: Opener,
    open: RwLock<Option<Arc<dyn Engine>>>,
}

impl Shelf {
    pub(crate) fn open(opener: Opener, missing: Missing) -> Result<Self, Failure> {
        let engine = guarded(|| opener(missing))?;
        Ok(Self {
            opener,
            open: RwLock::new(Some(engine)),
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
        self.with(|engine| engine.write(&mut work))
    }

    pub(crate) fn room_for(&self, bytes: usize) -> Result<(), Failure> {
        self.with(|engine| engine.room_for(bytes))
    }

    /// Closes the database.
    pub(crate) fn close(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = open.take() {
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

    /// The database, opened if it is not.
    fn engine(&self) -> Result<Arc<dyn Engine>, Failure> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*open {
            return Ok(Arc::clone(engine));
        }
        drop(open);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*open {
            return Ok(Arc::clone(engine));
        }
        let engine = guarded(|| (self.opener)(Missing::Refuse))?;
        *open = Some(Arc::clone(&engine));
        Ok(engine)
    }

    /// Closes the database that failed, so that the next use opens it.
    fn discard(&self, failed: Arc<dyn Engine>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|held| Arc::ptr_eq(held, &failed)) {
            *open = None;
            bury(failed);
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

/// Ends a database on a thread of its own: sled waits for ever for a thread that has panicked.
fn bury(engine: Arc<dyn Engine>) {
    let (alive, ended) = mpsc::channel::<()>();
    let burial = move || {
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
