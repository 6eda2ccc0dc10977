//! The connections of a pool of the store's own.
//!
//! sqlx's pool asks each connection that comes back for a sign of life: a second round trip for
//! each statement. Here a connection that is known to be at rest is at hand for who needs one
//! next, who takes it as it is. Only one that has rested for a second, or may be dead, is asked.
//!
//! A socket belongs to the runtime that opened it. Used from another, each answer has to wake
//! two threads, a third of all that a load costs, and it ends with a runtime that has nothing to
//! do with the request. So a task takes a connection of its own runtime's, or opens one; where
//! there may be no more, it takes another's, and once a minute one changes its runtime. A program
//! under `#[tokio::main]` has one runtime, one under actix-web has one for each worker.

mod opening;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sqlx::Connection as _;
use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use self::opening::Opening;
use crate::suspicion::Suspicion;

pub(crate) struct AtHand<DB: sqlx::Database> {
    /// Opens connections, and waits for a server that starts; none is kept in it.
    opener: sqlx::Pool<DB>,
    /// As many as there may be connections.
    turns: Semaphore,
    /// One of the connections that are being opened may go on when nobody waits for it any more.
    unwanted: Arc<Semaphore>,
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
    /// When one was last closed for the sake of another runtime.
    exchanged_at: Instant,
    /// When one could last not be opened.
    refused_at: Option<Instant>,
    /// Those that were opened before are not used again.
    astray_before: Option<Instant>,
}

/// Where a connection is to come from.
enum Next<DB: sqlx::Database> {
    /// This one, if it is alive.
    Use(Taken<DB>),
    Open,
    /// It is opened in place of this one.
    Exchange(Taken<DB>),
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

/// Why a connection is not used.
enum Dead {
    Broken,
    Silent,
}

impl<DB: sqlx::Database> AtHand<DB> {
    /// As many connections as `opener` may have, of which none is open yet.
    pub(crate) fn new(opener: sqlx::Pool<DB>, suspicion: Option<Suspicion>) -> Self {
        let most = opener.options().get_max_connections();
        Self {
            turns: Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)),
            opener,
            unwanted: Arc::new(Semaphore::new(1)),
            resting: Mutex::new(Resting {
                connections: Vec::new(),
                runtimes: Vec::new(),
                exchanged_at: Instant::now(),
                refused_at: None,
                astray_before: None,
            }),
            suspicion,
        }
    }

    /// A connection, waited for no longer than the opener's options say.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<(Taken<DB>, Turn<DB>), sqlx::Error> {
        let mut now = Instant::now();
        let until = now + self.opener.options().get_acquire_timeout();
        let turn = match self.try_turn() {
            Some(turn) => turn,
            None => {
                let turn = self.turn(until).await?;
                now = Instant::now();
                turn
            }
        };
        let runtime = self.runtime()?;
        let next = self.resting().next(runtime, now, &self.turns);
        match next {
            Next::Use(mut taken) if !self.suspects(&taken, now) => {
                taken.used_at = now;
                Ok((taken, turn))
            }
            // On the heap: most find one at hand, and their futures are to be small.
            next => Box::pin(self.ready(next, turn, until)).await,
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

    /// Whether it is asked for a sign of life before it is used.
    fn suspects(&self, taken: &Taken<DB>, now: Instant) -> bool {
        let suspicion = self.suspicion.as_ref();
        suspicion.is_some_and(|suspicion| suspicion.concerns(taken.used_at, now))
    }

    async fn ready(
        self: &Arc<Self>,
        next: Next<DB>,
        turn: Turn<DB>,
        until: Instant,
    ) -> Result<(Taken<DB>, Turn<DB>), sqlx::Error> {
        match next {
            Next::Use(suspect) => {
                if let Ok(alive) = self.alive(suspect, until).await {
                    return Ok((alive, turn));
                }
            }
            Next::Exchange(strange) => {
                let _ = within(half_way(until), close(strange)).await;
            }
            Next::Open => (),
        }
        let others = !self.resting().connections.is_empty();
        let mut opening = Opening::begin(turn)?;
        if others {
            let soon = half_way(until).min(Instant::now() + OPENING_MAX);
            match opening.within(soon).await {
                Some(Ok(opened)) => return Ok(opened),
                Some(Err((refused, turn))) => {
                    return self.other(Some(turn), until).await.ok_or(refused);
                }
                // It stands still meanwhile, and keeps its turn.
                None => {
                    if let Some(other) = self.other(self.try_turn(), until).await {
                        return Ok(other);
                    }
                }
            }
        }
        let opened = opening.within(until).await;
        let opened = opened.ok_or(sqlx::Error::PoolTimedOut)?;
        opened.map_err(|(refused, _)| refused)
    }

    /// Any connection, after one could not be opened: the server has no more for us, perhaps, and
    /// another runtime's is better than none. Where there is no turn, others are about to take what
    /// rests. One that is silent may be alive on a server that hangs: the others are not put to the same.
    async fn other(&self, turn: Option<Turn<DB>>, until: Instant) -> Option<(Taken<DB>, Turn<DB>)> {
        self.resting().refused_at = Some(Instant::now());
        let turn = turn?;
        while let Some(strange) = self.any() {
            match self.alive(strange, until).await {
                Ok(alive) => return Some((alive, turn)),
                Err(Dead::Broken) => (),
                Err(Dead::Silent) => break,
            }
        }
        None
    }

    fn any(&self) -> Option<Taken<DB>> {
        self.resting().connections.pop()
    }

    /// `taken`, if it gives a sign of life, where that is wanted.
    async fn alive(&self, mut taken: Taken<DB>, until: Instant) -> Result<Taken<DB>, Dead> {
        let now = Instant::now();
        let suspect = self.suspects(&taken, now);
        let used_at = std::mem::replace(&mut taken.used_at, now);
        if !suspect {
            return Ok(taken);
        }
        let mut asked = Asked {
            at_hand: self,
            used_at: Some(used_at),
            asked_at: now,
        };
        // What is left is for another that is opened in its place.
        let limit = half_way(until).min(now + SIGN_MAX);
        let answer = within(limit, taken.connection.ping()).await;
        let answer = answer.map_err(|_| Dead::Silent)?;
        asked.used_at = None;
        match answer {
            Ok(()) => Ok(taken),
            Err(_) => {
                self.broke();
                Err(Dead::Broken)
            }
        }
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

    /// Closes the connections of this runtime that have rested for long.
    fn close_rested(self: &Arc<Self>, runtime: Id) {
        let rested = |taken: &Taken<DB>| {
            taken.runtime == Some(runtime) && taken.used_at.elapsed() >= IDLE_MAX
        };
        // Without a turn left, somebody is about to take it.
        while let Some(turn) = self.try_turn() {
            let mut resting = self.resting();
            let Some(first) = resting.connections.iter().position(rested) else {
                return;
            };
            let taken = resting.connections.remove(first);
            drop(resting);
            turn.close(taken);
        }
    }

    /// A connection was found broken.
    pub(crate) fn broke(&self) {
        if let Some(suspicion) = &self.suspicion {
            suspicion.raise();
        }
    }

    /// Gives up this one, and all that were opened when it was or before: their server takes no
    /// writes, or nothing at all, and by now their address may lead to one that does. `false` if it
    /// was opened only just now: another would lead to the same.
    pub(crate) fn leads_astray(&self, taken: &Taken<DB>) -> bool {
        if self.suspicion.is_none() || taken.opened_at.elapsed() < ASTRAY_AFTER {
            return false;
        }
        let mut resting = self.resting();
        if resting.leads_astray(taken) {
            return true;
        }
        resting.astray_before = Some(Instant::now());
        let gone = std::mem::take(&mut resting.connections);
        drop(resting);
        // The lock is needed for none of them.
        drop(gone);
        true
    }

    fn resting(&self) -> MutexGuard<'_, Resting<DB>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection is asked for a sign of life. Unless it answers, though it had a moment, those that were
/// last used before it are given up: what made it silent, as a firewall that forgets what is idle, most likely did so to
/// them, and each would cost another caller its deadline.
struct Asked<'a, DB: sqlx::Database> {
    at_hand: &'a AtHand<DB>,
    /// When it was last used; `None` once it has answered.
    used_at: Option<Instant>,
    asked_at: Instant,
}

impl<DB: sqlx::Database> Drop for Asked<'_, DB> {
    fn drop(&mut self) {
        let Some(used_at) = self.used_at else {
            return;
        };
        // A client may go away while its answer is on the way.
        if self.asked_at.elapsed() < SILENCE_MIN {
            return;
        }
        let gone = self.at_hand.resting().used_before(used_at);
        // The lock is needed for none of them.
        drop(gone);
    }
}

impl<DB: sqlx::Database> Resting<DB> {
    /// A connection of this runtime's, if there is one or may be one more; else another's.
    fn next(&mut self, runtime: Option<Id>, now: Instant, turns: &Semaphore) -> Next<DB> {
        let own = |taken: &Taken<DB>| taken.runtime == runtime;
        if let Some(last) = self.connections.iter().rposition(own) {
            return Next::Use(self.connections.remove(last));
        }
        let since = |moment: Instant| now.saturating_duration_since(moment);
        let refused = self.refused_at.is_some_and(|at| since(at) < EXCHANGE_EVERY);
        // Who has a turn has a connection, or is about to: so many may yet be opened.
        if self.connections.is_empty()
            || self.connections.len() <= turns.available_permits() && !refused
        {
            return Next::Open;
        }
        let others = self.connections.len() > 1;
        if others && !refused && since(self.exchanged_at) >= EXCHANGE_EVERY {
            self.exchanged_at = now;
            // The one that is least missed.
            return Next::Exchange(self.connections.remove(0));
        }
        self.connections.pop().map_or(Next::Open, Next::Use)
    }

    fn leads_astray(&self, taken: &Taken<DB>) -> bool {
        self.astray_before.is_some_and(|at| taken.opened_at < at)
    }

    fn has(&self, runtime: Id) -> bool {
        self.runtimes.iter().any(|known| known.id == runtime)
    }

    /// Takes out what was last used before then.
    fn used_before(&mut self, moment: Instant) -> Vec<Taken<DB>> {
        let before = |taken: &mut Taken<DB>| taken.used_at < moment;
        self.connections.extract_if(.., before).collect()
    }

    /// Takes out what is of this runtime.
    fn taken_out(&mut self, runtime: Id) -> Vec<Taken<DB>> {
        self.runtimes.retain(|known| known.id != runtime);
        let its = |taken: &mut Taken<DB>| taken.runtime == Some(runtime);
        self.connections.extract_if(.., its).collect()
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
            self.close(taken);
            return;
        }
        let mut resting = self.0.resting();
        if resting.leads_astray(&taken) {
            drop(resting);
            self.close(taken);
            return;
        }
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

/// In the middle between now and then.
fn half_way(until: Instant) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / 2
}

async fn within<F: Future>(until: Instant, waited_for: F) -> Result<F::Output, sqlx::Error> {
    let answer = tokio::time::timeout_at(until, waited_for).await;
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
            at_hand.close_rested(self.runtime);
        }
    }
}

/// What rests of the runtime that ends goes with it.
impl<DB: sqlx::Database> Drop for Watch<DB> {
    fn drop(&mut self) {
        let Some(at_hand) = self.at_hand.upgrade() else {
            return;
        };
        let gone = at_hand.resting().taken_out(self.runtime);
        // It needs the lock for none of them.
        drop(gone);
    }
}

/// So long a connection has to give a sign of life to somebody who waits for it. A manager waits for
/// two seconds, or one and a half for a write: there is time to open another.
const SIGN_MAX: Duration = Duration::from_millis(500);

/// After so long a question without an answer says something of the connection.
const SILENCE_MIN: Duration = Duration::from_millis(25);

/// So long it has if nobody waits, and to close.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// So long a connection to a server is used: a server's, or a balancer's, idea of where it is to
/// lead may change.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);

/// So long after it was opened a connection is not closed because it leads astray: to a server that
/// takes no writes for hours, new ones are opened no more often than this.
pub(crate) const ASTRAY_AFTER: Duration = Duration::from_secs(5);

/// How often a connection of one runtime's gives way to one of another's that has none at hand; so
/// long none is opened, either, after one could not be.
const EXCHANGE_EVERY: Duration = Duration::from_secs(60);

/// So long one is being opened at most where there are others.
const OPENING_MAX: Duration = Duration::from_secs(1);

/// So long it may rest.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);

#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[path = "at_hand_tests.rs"]
mod tests;
