//! Connections: where they come from, and how they go back whatever happens to who held them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;

use crate::at_hand::{AtHand, Taken, Turn};
use crate::connection::Ask;
use crate::dialect::Database;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::suspicion::Suspicion;

/// A pool of an application's own, to keep sessions in the database it leads to.
///
/// Made from `sqlx::SqlitePool`, `sqlx::PgPool` or `sqlx::MySqlPool`, with `into()`. How it
/// connects, and how many connections it has, is the application's choice.
#[derive(Clone)]
pub struct SqlPool {
    pub(crate) connections: Arc<dyn Connections>,
}

impl fmt::Debug for SqlPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqlPool")
            .field(&self.connections.database())
            .finish()
    }
}

impl SqlPool {
    pub(crate) fn new(connections: impl Connections + 'static) -> Self {
        Self {
            connections: Arc::new(connections),
        }
    }
}

/// Where the connections of one store come from.
#[async_trait]
pub(crate) trait Connections: Send + Sync {
    fn database(&self) -> Database;

    /// A connection, for as long as the answer is held.
    async fn lease(&self, access: Access) -> Result<Box<dyn Lease>, sqlx::Error>;

    /// A connection was found broken.
    fn broke(&self);
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A connection that is given back when it is dropped.
pub(crate) trait Lease: Send {
    fn connection(&mut self) -> &mut dyn Ask;

    /// What was asked of the connection has been answered, and it holds nothing more.
    fn is_at_rest(&mut self);

    /// Whether the connection is closed instead of given back.
    fn close_on_drop(&mut self, close: bool);
}

/// SQLite has one writer at a time: a queue for one connection is fairer than its busy loop.
pub(crate) struct Pools<DB: sqlx::Database> {
    pub(crate) database: Database,
    pub(crate) readers: Source<DB>,
    pub(crate) writers: Source<DB>,
    /// `None`: the pool is the application's, and so is the choice when it tests connections.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) suspicion: Option<Arc<Suspicion>>,
}

/// A pool, as it is to be used.
pub(crate) enum Source<DB: sqlx::Database> {
    /// It is the store's alone: no other waits for what is at hand.
    Own(Arc<AtHand<DB>>),
    /// The application takes from it too.
    Shared(sqlx::Pool<DB>),
}

impl<DB: sqlx::Database> Clone for Source<DB> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(at_hand) => Self::Own(Arc::clone(at_hand)),
            Self::Shared(pool) => Self::Shared(pool.clone()),
        }
    }
}

#[async_trait]
impl<DB: sqlx::Database> Connections for Pools<DB>
where
    DB::Connection: Ask,
{
    fn database(&self) -> Database {
        self.database
    }

    async fn lease(&self, access: Access) -> Result<Box<dyn Lease>, sqlx::Error> {
        let source = match access {
            Access::Read => &self.readers,
            Access::Write => &self.writers,
        };
        let (taken, turn) = match source {
            Source::Own(at_hand) => {
                let (taken, turn) = at_hand.take().await?;
                (taken, Some(turn))
            }
            Source::Shared(pool) => (Taken::from(pool.acquire().await?), None),
        };
        Ok(Box::new(Leased::<DB> {
            taken: Some(taken),
            turn,
            at_rest: false,
            close: false,
        }))
    }

    fn broke(&self) {
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        if let Some(suspicion) = &self.suspicion {
            suspicion.raise();
        }
    }
}

struct Leased<DB: sqlx::Database> {
    /// `None` only while it is dropped.
    taken: Option<Taken<DB>>,
    /// `None`: the pool is shared with the application.
    turn: Option<Turn<DB>>,
    at_rest: bool,
    close: bool,
}

impl<DB: sqlx::Database> Lease for Leased<DB>
where
    DB::Connection: Ask,
{
    fn connection(&mut self) -> &mut dyn Ask {
        self.at_rest = false;
        let taken = self.taken.as_mut();
        let taken = taken.expect("a connection is taken out only when its lease ends");
        &mut *taken.connection
    }

    fn is_at_rest(&mut self) {
        self.at_rest = true;
    }

    fn close_on_drop(&mut self, close: bool) {
        self.close = close;
    }
}

impl<DB: sqlx::Database> Drop for Leased<DB> {
    fn drop(&mut self) {
        let Some(taken) = self.taken.take() else {
            return;
        };
        match self.turn.take() {
            _ if self.close => drop(taken.connection.detach()),
            Some(turn) if self.at_rest => turn.put(taken),
            turn => give_back(taken.connection, turn),
        }
    }
}

/// Gives a connection back to its pool.
///
/// The pool asks each connection that comes back whether it still answers; that also reads what
/// a dropped question has left in it. It would wait for ever on a server that went away without
/// a word, so this waits only [`ANSWER_MAX`].
pub(crate) fn give_back<DB: sqlx::Database>(
    mut connection: PoolConnection<DB>,
    turn: Option<Turn<DB>>,
) {
    // Without a runtime nobody can wait for an answer.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        drop(connection.detach());
        return;
    };
    let back = connection.return_to_pool();
    runtime.spawn(async move {
        let _ = tokio::time::timeout(ANSWER_MAX, back).await;
        drop(turn);
    });
}

/// So long a connection has to give a sign of life.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(5);

macro_rules! from_pool {
    ($feature:literal, $pool:ty, $database:expr) => {
        #[cfg(feature = $feature)]
        impl From<$pool> for SqlPool {
            fn from(pool: $pool) -> Self {
                Self::new(Pools {
                    database: $database,
                    readers: Source::Shared(pool.clone()),
                    writers: Source::Shared(pool),
                    #[cfg(any(feature = "postgres", feature = "mysql"))]
                    suspicion: None,
                })
            }
        }
    };
}

from_pool!("sqlite", sqlx::SqlitePool, Database::Sqlite);
from_pool!("postgres", sqlx::PgPool, Database::Postgres);
from_pool!("mysql", sqlx::MySqlPool, Database::MySql);
