//! Connections: where they come from, and how they go back whatever happens to who held them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;

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

    /// Whether the connection is closed instead of given back.
    fn close_on_drop(&mut self, close: bool);
}

/// SQLite has one writer at a time: a queue for one connection is fairer than its busy loop.
pub(crate) struct Pools<DB: sqlx::Database> {
    pub(crate) database: Database,
    pub(crate) readers: sqlx::Pool<DB>,
    pub(crate) writers: sqlx::Pool<DB>,
    /// `None`: the pool is the application's, and so is the choice when it tests connections.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) suspicion: Option<Arc<Suspicion>>,
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
        let pool = match access {
            Access::Read => &self.readers,
            Access::Write => &self.writers,
        };
        let connection = Some(pool.acquire().await?);
        let close = false;
        Ok(Box::new(Leased::<DB> { connection, close }))
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
    connection: Option<PoolConnection<DB>>,
    close: bool,
}

impl<DB: sqlx::Database> Lease for Leased<DB>
where
    DB::Connection: Ask,
{
    fn connection(&mut self) -> &mut dyn Ask {
        let connection = self.connection.as_mut();
        &mut **connection.expect("a connection is taken out only when its lease ends")
    }

    fn close_on_drop(&mut self, close: bool) {
        self.close = close;
    }
}

/// The pool asks each connection that comes back whether it still answers; that also reads what
/// a dropped question has left in it. It would wait for ever on a server that went away without
/// a word, so this waits only [`ANSWER_MAX`].
impl<DB: sqlx::Database> Drop for Leased<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !self.close => {
                let back = connection.return_to_pool();
                runtime.spawn(async move { tokio::time::timeout(ANSWER_MAX, back).await });
            }
            // Without a runtime nobody can wait for an answer.
            _ => drop(connection.detach()),
        }
    }
}

const ANSWER_MAX: Duration = Duration::from_secs(5);

macro_rules! from_pool {
    ($feature:literal, $pool:ty, $database:expr) => {
        #[cfg(feature = $feature)]
        impl From<$pool> for SqlPool {
            fn from(pool: $pool) -> Self {
                Self::new(Pools {
                    database: $database,
                    readers: pool.clone(),
                    writers: pool,
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
