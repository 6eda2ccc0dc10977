//! The connections of a pool of the store's own.
//!
//! sqlx's pool asks each connection that comes back for a sign of life: a second round trip for
//! each statement. Here a connection that is known to be at rest is at hand for who needs one
//! next, who takes it as it is. Only one that has rested for a second, or may be dead, is asked.
//!
//! A socket belongs to the runtime that opened it. Used from another, each answer has to wake
//! two threads, a third of all that a load costs, and it ends with a runtime that has nothing to
//! do with the request. So a task takes a connection of its own runtime's where it can, and where
//! there may be no more, a runtime's place is another's once a minute. A program under
//! `#[tokio::main]` has one runtime, one under actix-web has one for each worker.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, oneshot};

use crate::suspicion::Suspicion;

pub(crate) struct AtHand<DB: sqlx::Database> {
    /// Opens connections, and waits for a server that starts; none is kept in it.
    opener: sqlx::Pool<DB>,
    /// As many as there may be connections.
    turns: Semaphore,
    resting: Mutex<Resting<DB>>,
    /// `None`: a connection is a file that is open. Nothing at the other end loses it, and it
    /// belongs to no runtime.
    suspicion: Option<Suspicion>,
}

/// The right to one connection; it ends after the connection is back.
pub(crate) struct Turn<DB: sqlx::Database>(Arc<AtHand<DB>>);

struct Resting<DB: sqlx::Database> {
    /// The one that was used last is last.
    connections: Vec<Taken<DB>>,
    /// Those that have opened a connection and have not ended.
    runtimes: Vec<Runtime>,
}

struct Runtime {
    id: Id,
    /// With it ends the task that waits for the end of the runtime.
    _watched: oneshot::Sender<()>,
}

/// A connection that somebody uses, or may.
pub(crate) struct Taken<DB: sqlx::Database> {
    pub(crate) connection: DB::Connection,
    runtime: Option<Id>,
    opened_at: Instant,
    /// It was taken to be used: what it said comes after this.
    used_at: Instant,
}

impl<DB: sqlx::Database> AtHand<DB> {
    /// As many connections as `opener` may have, of which none is open yet.
    pub(crate) fn new(opener: sqlx::Pool<DB>, suspicion: Option<Suspicion>) -> Self {
        let most = opener.options().get_max_connections();
        Self {
            turns: Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)),
            opener,
            resting: Mutex::new(Resting {
                connections: Vec::new(),
                runtimes: Vec::new(),
            }),
            suspicion,
        }
    }

    /// A connection, waited for no longer than the opener's options say.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<(Taken<DB>, Turn<DB>), sqlx::Error> {
        let mut now = Instant::now();
        let wait = self.opener.options().get_acquire_timeout();
        // Beyond what the clock can express is as good as for ever.
        let until = now.checked_add(wait).unwrap_or(now + LIFE_MAX);
        let turn = match self.try_turn() {
            Some(turn) => turn,
            None => {
                let turn = self.turn(until).await?;
                now = Instant::now();
                turn
            }
        };
        let runtime = self.runtime()?;
        let next = self.resting().next(runtime, &self.turns);
        match next {
            Some(mut taken) if self.trusts(&taken, runtime, now) => {
                taken.used_at = now;
                Ok((taken, turn))
            }
            // On the heap: to open a connection takes many kilobytes, and most find one at hand.
            next => {
                let taken = Box::pin(self.alive(next, runtime, until)).await?;
                Ok((taken, turn))
            }
        }
    }

    fn try_turn(self: &Arc<Self>) -> Option<Turn<DB>> {
        self.turns.try_acquire().ok()?.forget();
        Some(Turn(Arc::clone(self)))
    }

    /// The next turn that ends.
    async fn turn(self: &Arc<Self>, until: Instant) -> Result<Turn<DB>, sqlx::Error> {
        let turn = within(until, self.turns.acquire()).await?;
        turn.map_err(|_| sqlx::Error::PoolClosed)?.forget();
        Ok(Turn(Arc::clone(self)))
    }

    /// That of the task, which its connections belong to.
    fn runtime(&self) -> Result<Option<Id>, sqlx::Error> {
        if self.suspicion.is_none() {
            return Ok(None);
        }
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        Ok(Some(runtime.id()))
    }

    /// Whether it is used as it is.
    fn trusts(&self, taken: &Taken<DB>, runtime: Option<Id>, now: Instant) -> bool {
        let Some(suspicion) = &self.suspicion else {
            return true;
        };
        let lasts = || now.saturating_duration_since(taken.opened_at) < STRANGE_MAX;
        !suspicion.concerns(taken.used_at, now) && (taken.runtime == runtime || lasts())
    }

    /// `next`, once it has given a sign of life, or else a new one.
    async fn alive(
        self: &Arc<Self>,
        next: Option<Taken<DB>>,
        runtime: Option<Id>,
        until: Instant,
    ) -> Result<Taken<DB>, sqlx::Error> {
        match next {
            Some(mut own) if own.runtime == runtime => {
                own.used_at = Instant::now();
                if let Ok(Ok(())) = within(until, own.connection.ping()).await {
                    return Ok(own);
                }
            }
            // Its place is taken by one of this runtime's.
            Some(strange) => close(strange).await,
            None => (),
        }
        self.opened(until).await
    }

    async fn opened(self: &Arc<Self>, until: Instant) -> Result<Taken<DB>, sqlx::Error> {
        let runtime = self.runtime()?;
        let connection = within(until, self.opener.acquire()).await??.detach();
        if let Some(runtime) = runtime {
            self.watch(runtime);
        }
        let now = Instant::now();
        Ok(Taken {
            connection,
            runtime,
            opened_at: now,
            used_at: now,
        })
    }

    /// Sees to it that this runtime's connections end when they have rested for long, and at the
    /// latest with it.
    fn watch(self: &Arc<Self>, id: Id) {
        let mut resting = self.resting();
        if resting.has(id) {
            return;
        }
        let (watched, ended) = oneshot::channel();
        resting.runtimes.push(Runtime {
            id,
            _watched: watched,
        });
        // A runtime that has just ended drops the watch at once, and that takes this lock.
        drop(resting);
        let watch = Watch {
            at_hand: Arc::downgrade(self),
            runtime: id,
        };
        tokio::spawn(watch.run(ended));
    }

    /// Takes out the connections of this runtime that have rested for long.
    fn rested(&self, runtime: Id) -> Vec<Taken<DB>> {
        let rested = |taken: &Taken<DB>| taken.used_at.elapsed() >= IDLE_MAX;
        self.resting().taken_out(runtime, rested)
    }

    /// A connection was found broken.
    pub(crate) fn broke(&self) {
        if let Some(suspicion) = &self.suspicion {
            suspicion.raise();
        }
    }

    fn resting(&self) -> MutexGuard<'_, Resting<DB>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<DB: sqlx::Database> Resting<DB> {
    /// The connection that was used last; `None` if a new one is to be opened.
    ///
    /// A new one is opened also where others rest, if they are other runtimes' and there may be
    /// more: who has a turn has a connection, or is about to.
    fn next(&mut self, runtime: Option<Id>, turns: &Semaphore) -> Option<Taken<DB>> {
        let own = |taken: &Taken<DB>| taken.runtime == runtime;
        if let Some(last) = self.connections.iter().rposition(own) {
            return Some(self.connections.remove(last));
        }
        if self.connections.len() <= turns.available_permits() {
            return None;
        }
        self.connections.pop()
    }

    fn has(&self, runtime: Id) -> bool {
        self.runtimes.iter().any(|known| known.id == runtime)
    }

    /// Takes out the connections of this runtime for which this holds.
    fn taken_out(&mut self, runtime: Id, holds: impl Fn(&Taken<DB>) -> bool) -> Vec<Taken<DB>> {
        let these = |taken: &mut Taken<DB>| taken.runtime == Some(runtime) && holds(taken);
        self.connections.extract_if(.., these).collect()
    }
}

impl<DB: sqlx::Database> Turn<DB> {
    /// Ends it, and keeps its connection, which is at rest, for who needs one next.
    pub(crate) fn put(self, taken: Taken<DB>) {
        let Some(runtime) = taken.runtime else {
            self.0.resting().connections.push(taken);
            return;
        };
        if taken.opened_at.elapsed() >= LIFE_MAX {
            return self.close(taken);
        }
        let mut resting = self.0.resting();
        // Nothing wakes who would wait for an answer from one whose runtime has ended.
        if resting.has(runtime) {
            resting.connections.push(taken);
        }
    }

    /// Ends it once its connection, which may hold the rest of an answer, has given a sign of life.
    pub(crate) fn put_after_ping(self, mut taken: Taken<DB>) {
        // Without a runtime nobody can wait for that: the connection is closed.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            taken.used_at = Instant::now();
            let pinged = tokio::time::timeout(ANSWER_MAX, taken.connection.ping()).await;
            if matches!(pinged, Ok(Ok(()))) {
                self.put(taken);
            }
        });
    }

    /// Ends it with a word to the server.
    fn close(self, taken: Taken<DB>) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                close(taken).await;
                drop(self);
            });
        }
    }
}

async fn close<DB: sqlx::Database>(taken: Taken<DB>) {
    let _ = tokio::time::timeout(ANSWER_MAX, taken.connection.close()).await;
}

impl<DB: sqlx::Database> Drop for Turn<DB> {
    fn drop(&mut self) {
        self.0.turns.add_permits(1);
    }
}

async fn within<F: Future>(until: Instant, waited_for: F) -> Result<F::Output, sqlx::Error> {
    let answer = tokio::time::timeout_at(until.into(), waited_for).await;
    answer.map_err(|_| sqlx::Error::PoolTimedOut)
}

/// Lives as long as a runtime, and looks once in a while at what rests of it.
struct Watch<DB: sqlx::Database> {
    at_hand: Weak<AtHand<DB>>,
    runtime: Id,
}

impl<DB: sqlx::Database> Watch<DB> {
    /// Nothing is sent to it: it ends with the runtime, or with the store.
    async fn run(self, mut ended: oneshot::Receiver<()>) {
        while tokio::time::timeout(IDLE_MAX / 10, &mut ended)
            .await
            .is_err()
        {
            let Some(at_hand) = self.at_hand.upgrade() else {
                return;
            };
            let rested = at_hand.rested(self.runtime);
            drop(at_hand);
            for taken in rested {
                close(taken).await;
            }
        }
    }
}

/// What rests of the runtime that ends goes with it.
impl<DB: sqlx::Database> Drop for Watch<DB> {
    fn drop(&mut self) {
        let Some(at_hand) = self.at_hand.upgrade() else {
            return;
        };
        let mut resting = at_hand.resting();
        resting.runtimes.retain(|known| known.id != self.runtime);
        let gone = resting.taken_out(self.runtime, |_| true);
        drop(resting);
        drop(gone);
    }
}

/// So long a connection has to give a sign of life.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// So long a connection to a server is used: a server's, or a balancer's, idea of where it is to
/// lead may change.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);

/// So long one runtime uses what another has opened, where there may be no more connections.
const STRANGE_MAX: Duration = Duration::from_secs(60);

/// So long it may rest.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);

#[cfg(all(test, feature = "sqlite", feature = "postgres"))]
#[path = "at_hand_tests.rs"]
mod tests;
