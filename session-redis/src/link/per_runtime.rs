//! What each runtime has of its own: the connections that its tasks use.
//!
//! A connection is driven by a task. Were that of another runtime, each command would wake a
//! thread on its way there and one on its way back, a third of all that a load costs; and the
//! connection would end with a runtime that has nothing to do with the request. A program
//! under `#[tokio::main]` has one runtime, one under actix-web has one for each worker.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};

use redis::RedisError;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

/// A cheap clone; all clones share what the runtimes have.
pub(crate) struct PerRuntime<T>(Arc<Inner<T>>);

struct Inner<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    /// Few: they are looked through.
    made: RwLock<Vec<Made<T>>>,
}

struct Made<T> {
    runtime: Id,
    made: T,
    /// With it ends the task that waits for the end of the runtime.
    _watched: oneshot::Sender<()>,
}

impl<T: Clone + Send + Sync + 'static> PerRuntime<T> {
    pub(crate) fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            make: Box::new(make),
            made: RwLock::default(),
        }))
    }

    /// That of the runtime this is called in.
    pub(crate) fn get(&self) -> Result<T, RedisError> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let id = runtime.id();
        let known = |made: &[Made<T>]| {
            let mut made = made.iter();
            let found = made.find(|made| made.runtime == id);
            found.map(|found| found.made.clone())
        };
        let made = self.0.made.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known(&made) {
            return Ok(found);
        }
        drop(made);
        let mut all = self.0.made();
        if let Some(found) = known(&all) {
            return Ok(found);
        }
        let made = (self.0.make)();
        let (watched, ended) = oneshot::channel();
        all.push(Made {
            runtime: id,
            made: made.clone(),
            _watched: watched,
        });
        // A runtime that has just ended drops the watch at once, and that takes this lock.
        drop(all);
        let watch = Watch {
            inner: Arc::downgrade(&self.0),
            runtime: id,
        };
        runtime.spawn(async move {
            let _watch = watch;
            // Nothing is sent: it ends with the runtime, or with all that the runtimes have.
            let _ = ended.await;
        });
        Ok(made)
    }
}

impl<T> Inner<T> {
    fn made(&self) -> RwLockWriteGuard<'_, Vec<Made<T>>> {
        self.made.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lives as long as a runtime; what that has goes with it.
struct Watch<T> {
    inner: Weak<Inner<T>>,
    runtime: Id,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else {
            return;
        };
        let mut all = inner.made();
        let at = all.iter().position(|made| made.runtime == self.runtime);
        let gone = at.map(|at| all.swap_remove(at));
        // It may have much to end, and needs the lock for none of it.
        drop(all);
        drop(gone);
    }
}

impl<T> Clone for PerRuntime<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// As what is made: it shows where it leads.
impl<T: fmt::Debug> fmt::Debug for PerRuntime<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.make)().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().expect("a runtime is made")
    }

    #[test]
    fn each_runtime_has_its_own_which_ends_with_it() {
        let each = PerRuntime::new(|| Arc::new(()));
        let (one, other) = (runtime(), runtime());
        let get = |of: &tokio::runtime::Runtime| of.block_on(async { each.get() }).unwrap();
        let first = get(&one);
        assert!(Arc::ptr_eq(&first, &get(&one)));
        assert!(!Arc::ptr_eq(&first, &get(&other)));
        assert_eq!(Arc::strong_count(&first), 2);
        drop(one);
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(each.0.made().len(), 1);
    }

    #[test]
    fn the_watch_ends_with_what_it_watches() {
        let each = PerRuntime::new(|| ());
        let runtime = runtime();
        runtime.block_on(async {
            each.get().unwrap();
            let alive = || {
                tokio::runtime::Handle::current()
                    .metrics()
                    .num_alive_tasks()
            };
            assert_eq!(alive(), 1);
            drop(each);
            tokio::task::yield_now().await;
            assert_eq!(alive(), 0);
        });
    }

    #[test]
    fn without_a_runtime_there_is_an_error() {
        let each = PerRuntime::new(|| ());
        assert!(each.get().is_err());
    }
}
