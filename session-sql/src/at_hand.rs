//! Connections at hand: those whose last question was answered a moment ago.
//!
//! sqlx asks each connection that comes back to its pool for a sign of life: a second round trip
//! for each statement. Here a connection that is known to be at rest does not go back at once;
//! who needs one next takes it as it is. Those that have rested for a second, may be dead, or may
//! hold the rest of an answer go through the pool, and so by all of its rules.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use tokio::sync::Semaphore;

use crate::pool::{ANSWER_MAX, give_back};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::suspicion::Suspicion;

pub(crate) struct AtHand<DB: sqlx::Database> {
    pool: sqlx::Pool<DB>,
    /// As many as the pool may have connections: who has one finds a connection at hand or in
    /// the pool, and never waits there while one comes to hand.
    turns: Semaphore,
    resting: Mutex<Resting<DB>>,
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    suspicion: Option<Arc<Suspicion>>,
}

/// The right to one connection; it ends after the connection is back.
pub(crate) struct Turn<DB: sqlx::Database>(Arc<AtHand<DB>>);

struct Resting<DB: sqlx::Database> {
    /// The one that has rested longest is first.
    connections: Vec<Taken<DB>>,
    /// Somebody looks after those that rest for long.
    watched: bool,
}

/// A connection out of the pool.
pub(crate) struct Taken<DB: sqlx::Database> {
    pub(crate) connection: PoolConnection<DB>,
    from_pool_at: Instant,
    /// It was taken to be used: what it said comes after this.
    used_at: Instant,
}

impl<DB: sqlx::Database> AtHand<DB> {
    pub(crate) fn new(pool: sqlx::Pool<DB>) -> Self {
        let most = pool.options().get_max_connections();
        Self {
            turns: Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)),
            pool,
            resting: Mutex::new(Resting {
                connections: Vec::new(),
                watched: false,
            }),
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            suspicion: None,
        }
    }

    /// As `self`, but a connection that `suspicion` concerns goes through the pool.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn suspecting(mut self, suspicion: Arc<Suspicion>) -> Self {
        self.suspicion = Some(suspicion);
        self
    }

    /// A connection, waited for as long as the pool would.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<(Taken<DB>, Turn<DB>), sqlx::Error> {
        let begun = match self.try_turn() {
            None => None,
            Some(turn) => match self.trusted() {
                Ok(taken) => return Ok((taken, turn)),
                Err(suspect) => Some((turn, suspect)),
            },
        };
        let wait = self.pool.options().get_acquire_timeout();
        // On the heap: to open a connection takes many kilobytes, and most find one at hand.
        let waited = Box::pin(tokio::time::timeout(wait, async {
            let (turn, suspect) = match begun {
                Some(begun) => begun,
                None => {
                    let turn = self.turns.acquire().await;
                    turn.map_err(|_| sqlx::Error::PoolClosed)?.forget();
                    let turn = Turn(Arc::clone(self));
                    match self.trusted() {
                        Ok(taken) => return Ok((taken, turn)),
                        Err(suspect) => (turn, suspect),
                    }
                }
            };
            Ok((self.acquired(suspect).await?, turn))
        }));
        waited.await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// A connection of the pool's: `suspect`, once it has given it a sign of life.
    async fn acquired(&self, suspect: Option<Taken<DB>>) -> Result<Taken<DB>, sqlx::Error> {
        if let Some(mut suspect) = suspect {
            let back = suspect.connection.return_to_pool();
            drop(suspect);
            let _ = tokio::time::timeout(ANSWER_MAX, back).await;
        }
        self.pool.acquire().await.map(Taken::from)
    }

    fn try_turn(self: &Arc<Self>) -> Option<Turn<DB>> {
        self.turns.try_acquire().ok()?.forget();
        Some(Turn(Arc::clone(self)))
    }

    /// The connection used last.
    ///
    /// # Errors
    ///
    /// There is none, or it is to be asked for a sign of life first.
    fn trusted(&self) -> Result<Taken<DB>, Option<Taken<DB>>> {
        let taken = self.resting().connections.pop();
        match taken {
            Some(mut taken) if self.trusts(&taken) => {
                taken.used_at = Instant::now();
                Ok(taken)
            }
            suspect => Err(suspect),
        }
    }

    /// Whether it may be used without a sign of life.
    fn trusts(&self, taken: &Taken<DB>) -> bool {
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        if let Some(suspicion) = &self.suspicion {
            return !suspicion.concerns(taken.used_at.elapsed());
        }
        let _ = taken;
        true
    }

    /// Gives back what has rested for long; whether something is left to be looked after.
    fn give_back_rested(self: &Arc<Self>) -> bool {
        let mut resting = self.resting();
        while resting
            .connections
            .first()
            .is_some_and(|first| first.used_at.elapsed() >= REST_MAX)
        {
            // Without a turn left, somebody is about to take it.
            let Some(turn) = self.try_turn() else {
                break;
            };
            give_back(resting.connections.remove(0).connection, Some(turn));
        }
        resting.watched = !resting.connections.is_empty();
        resting.watched
    }

    fn close_rested(&self) {
        let mut resting = self.resting();
        resting.watched = false;
        let connections = std::mem::take(&mut resting.connections);
        drop(resting);
        for taken in connections {
            drop(taken.connection.detach());
        }
    }

    fn resting(&self) -> MutexGuard<'_, Resting<DB>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<DB: sqlx::Database> From<PoolConnection<DB>> for Taken<DB> {
    fn from(connection: PoolConnection<DB>) -> Self {
        let now = Instant::now();
        Self {
            connection,
            from_pool_at: now,
            used_at: now,
        }
    }
}

impl<DB: sqlx::Database> Turn<DB> {
    /// Ends it, and keeps its connection, which is at rest, for who needs one next.
    pub(crate) fn put(self, taken: Taken<DB>) {
        let runtime = tokio::runtime::Handle::try_current();
        let (Ok(runtime), true) = (runtime, taken.from_pool_at.elapsed() < AWAY_MAX) else {
            return give_back(taken.connection, Some(self));
        };
        let at_hand = &self.0;
        let mut resting = at_hand.resting();
        resting.connections.push(taken);
        let was_watched = std::mem::replace(&mut resting.watched, true);
        // A runtime that has just ended drops the watch at once, and that takes this lock.
        drop(resting);
        if !was_watched {
            runtime.spawn(Watch(Arc::downgrade(at_hand)).run());
        }
    }
}

impl<DB: sqlx::Database> Drop for Turn<DB> {
    fn drop(&mut self) {
        self.0.turns.add_permits(1);
    }
}

/// With the store go its connections, without a word, as those in a pool do.
impl<DB: sqlx::Database> Drop for AtHand<DB> {
    fn drop(&mut self) {
        self.close_rested();
    }
}

/// Looks once in a while at what rests; the runtime may end it at any time.
struct Watch<DB: sqlx::Database>(Weak<AtHand<DB>>);

impl<DB: sqlx::Database> Watch<DB> {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(REST_MAX).await;
            let at_hand = self.0.upgrade();
            if !at_hand.is_some_and(|at_hand| at_hand.give_back_rested()) {
                // Perhaps there is already another that watches.
                self.0 = Weak::new();
                return;
            }
        }
    }
}

/// What rests belongs to the runtime that ends, which wakes nobody for it any more.
impl<DB: sqlx::Database> Drop for Watch<DB> {
    fn drop(&mut self) {
        if let Some(at_hand) = self.0.upgrade() {
            at_hand.close_rested();
        }
    }
}

/// How long a connection rests at hand.
const REST_MAX: Duration = Duration::from_secs(1);

/// How long it is away from the pool, which is to see how old its connections are.
const AWAY_MAX: Duration = Duration::from_secs(60);

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    async fn two(folder: &tempfile::TempDir) -> Arc<AtHand<sqlx::Sqlite>> {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(folder.path().join("sessions.db"))
            .create_if_missing(true);
        let pool = sqlx::sqlite::SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_millis(100));
        let pool = pool.connect_lazy_with(options);
        Arc::new(AtHand::new(pool))
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < Duration::from_secs(60), "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_connection_at_rest_is_the_next_ones_and_later_the_pools() {
        let folder = tempfile::tempdir().unwrap();
        let at_hand = two(&folder).await;
        for _ in 0..10 {
            let (taken, turn) = at_hand.take().await.unwrap();
            turn.put(taken);
            assert_eq!((at_hand.pool.size(), at_hand.pool.num_idle()), (1, 0));
        }
        until("it is in the pool", || at_hand.pool.num_idle() == 1).await;
        assert!(at_hand.resting().connections.is_empty());
        until("nobody watches", || !at_hand.resting().watched).await;
        let (taken, turn) = at_hand.take().await.unwrap();
        assert_eq!(at_hand.pool.size(), 1);
        turn.put(taken);
        assert!(at_hand.resting().watched);
    }

    #[tokio::test]
    async fn who_waits_gets_what_comes_to_hand_first_and_no_more_than_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let at_hand = two(&folder).await;
        let (first, turn) = at_hand.take().await.unwrap();
        let (second, others) = at_hand.take().await.unwrap();
        let error = at_hand.take().await.err().unwrap();
        assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
        let (got, ()) = tokio::join!(at_hand.take(), async { others.put(second) });
        let (second, others) = got.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(at_hand.pool.size(), 2);
        give_back(first.connection, Some(turn));
        let (first, turn) = at_hand.take().await.unwrap();
        assert_eq!(at_hand.pool.size(), 2);
        drop((first, turn, second, others));
    }

    #[test]
    fn the_end_of_a_runtime_and_of_the_store_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        };
        let first = runtime().unwrap();
        let at_hand = first.block_on(async {
            let at_hand = two(&folder).await;
            let (taken, turn) = at_hand.take().await.unwrap();
            turn.put(taken);
            at_hand
        });
        let handle = first.handle().clone();
        drop(first);
        let pool = at_hand.pool.clone();
        let rests = || at_hand.resting().watched || !at_hand.resting().connections.is_empty();
        assert!(!rests() && pool.size() == 0, "with its runtime all ends");
        // So it does for who is late.
        let (taken, turn) = runtime().unwrap().block_on(at_hand.take()).unwrap();
        let entered = handle.enter();
        turn.put(taken);
        drop(entered);
        assert!(!rests() && pool.size() == 0);
        let taken = runtime().unwrap().block_on(at_hand.take()).unwrap();
        let (taken, turn) = taken;
        assert_eq!(pool.size(), 1);
        give_back(taken.connection, Some(turn));
        assert_eq!(pool.size(), 0, "without a runtime it is closed");
        runtime().unwrap().block_on(async {
            let (taken, turn) = at_hand.take().await.unwrap();
            turn.put(taken);
        });
        drop(at_hand);
        assert_eq!(pool.size(), 0);
    }
}
