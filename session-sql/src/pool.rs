//! Connections: where they come from, and how they go back whatever happens to who held them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use tokio::time::Instant;

use crate::at_hand::{ANSWER_MAX, ASTRAY_AFTER, AtHand, Taken, Turn};
use crate::connection::{Ask, Loaded, Value};
use crate::dialect::Database;
use crate::link::{Met, Repeat, Unanswered};
use crate::open::place::Place;
use crate::statements::Statement;

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

/// What is asked of whatever database a store is in; each question has a connection to itself.
#[async_trait]
pub(crate) trait Connections: Send + Sync {
    fn database(&self) -> Database;

    /// The record that a row holds, if there is one.
    async fn record(&self, statement: &Statement, id: &str) -> Result<Loaded, Unanswered>;

    /// The first column of all rows.
    async fn texts(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<String>, Unanswered>;

    /// The first column of the first row, if there is one.
    async fn number(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<i64>, Unanswered>;

    /// Runs a statement that writes.
    async fn count(
        &self,
        repeat: Repeat,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Met, Unanswered>;

    /// A connection for several statements that write.
    async fn lease(&self) -> Result<Box<dyn Lease>, sqlx::Error>;
}

/// A connection of any database, for as long as this is held.
#[async_trait]
pub(crate) trait Lease: Send {
    /// The first column of the first row, if there is one.
    async fn number(&mut self, statement: &Statement) -> Result<Option<i64>, sqlx::Error>;

    /// Runs a statement without preparing it.
    async fn run(&mut self, statement: &Statement) -> Result<(), sqlx::Error>;

    /// Whether the connection is closed instead of given back.
    fn close_on_drop(&mut self, close: bool);
}

/// SQLite has one writer at a time: a queue for one connection is fairer than its busy loop.
pub(crate) struct Pools<DB: sqlx::Database> {
    pub(crate) database: Database,
    pub(crate) readers: Source<DB>,
    pub(crate) writers: Source<DB>,
    /// Where a file of the store's own is; once another is there, nothing is asked of either.
    pub(crate) place: Option<Place>,
}

impl<DB: sqlx::Database> Pools<DB> {
    pub(crate) fn check_place(&self) -> Result<(), sqlx::Error> {
        self.place.as_ref().map_or(Ok(()), Place::check)
    }
}

/// A pool, as it is to be used.
pub(crate) enum Source<DB: sqlx::Database> {
    /// It is the store's alone.
    Own(Arc<AtHand<DB>>),
    /// The application takes from it too, and chooses when it tests connections.
    Shared(sqlx::Pool<DB>, Arc<Shed>),
}

/// When a connection of the application's was last closed because it led astray.
#[derive(Default)]
pub(crate) struct Shed(Mutex<Option<Instant>>);

impl Shed {
    /// Whether one may be closed: how old they are is not known, so one at a time, and no more
    /// often than new ones are opened in a pool of the store's own.
    fn may_close(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|at| at.elapsed() >= ASTRAY_AFTER);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

impl<DB: sqlx::Database> Source<DB> {
    pub(crate) async fn lease(&self) -> Result<Leased<DB>, sqlx::Error> {
        let held = match self {
            Self::Own(at_hand) => {
                let (taken, turn) = at_hand.take().await?;
                Held::Own(taken, turn)
            }
            Self::Shared(pool, _) => Held::Shared(pool.acquire().await?),
        };
        Ok(Leased {
            held: Some(held),
            at_rest: false,
            close: false,
        })
    }

    /// A connection was found broken.
    pub(crate) fn broke(&self) {
        if let Self::Own(at_hand) = self {
            at_hand.broke();
        }
    }

    /// The server that this one leads to takes no writes, or nothing at all: a standby, perhaps, that
    /// was the primary when it was opened, or a node that has left its cluster. It is closed if that
    /// is for the better; whether another is worth a try.
    pub(crate) fn leads_astray(&self, lease: &mut Leased<DB>) -> bool {
        match (self, &lease.held) {
            (Self::Own(at_hand), Some(Held::Own(taken, _))) => {
                lease.close = at_hand.leads_astray(taken);
                lease.at_rest = !lease.close;
                lease.close
            }
            (Self::Shared(_, shed), _) => {
                lease.close = shed.may_close();
                false
            }
            (Self::Own(_), _) => false,
        }
    }
}

impl<DB: sqlx::Database> Clone for Source<DB> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(at_hand) => Self::Own(Arc::clone(at_hand)),
            Self::Shared(pool, shed) => Self::Shared(pool.clone(), Arc::clone(shed)),
        }
    }
}

/// A connection that is given back when this is dropped.
pub(crate) struct Leased<DB: sqlx::Database> {
    /// `None` only while it is dropped.
    held: Option<Held<DB>>,
    at_rest: bool,
    close: bool,
}

enum Held<DB: sqlx::Database> {
    Own(Taken<DB>, Turn<DB>),
    Shared(PoolConnection<DB>),
}

impl<DB: sqlx::Database> Leased<DB> {
    pub(crate) fn connection(&mut self) -> &mut DB::Connection {
        self.at_rest = false;
        match &mut self.held {
            Some(Held::Own(taken, _)) => &mut taken.connection,
            Some(Held::Shared(connection)) => connection,
            None => unreachable!("a connection is taken out only when its lease ends"),
        }
    }

    /// What was asked of the connection has been answered, and it holds nothing more.
    pub(crate) fn is_at_rest(&mut self) {
        self.at_rest = true;
    }
}

#[async_trait]
impl<DB: sqlx::Database> Lease for Leased<DB>
where
    DB::Connection: Ask,
{
    async fn number(&mut self, statement: &Statement) -> Result<Option<i64>, sqlx::Error> {
        self.connection().number(statement, &[]).await
    }

    async fn run(&mut self, statement: &Statement) -> Result<(), sqlx::Error> {
        self.connection().run(statement).await
    }

    fn close_on_drop(&mut self, close: bool) {
        self.close = close;
    }
}

impl<DB: sqlx::Database> Drop for Leased<DB> {
    fn drop(&mut self) {
        match self.held.take() {
            Some(Held::Own(taken, turn)) => match (self.close, self.at_rest) {
                // The turn ends after its connection.
                (true, _) => drop((taken, turn)),
                (false, true) => turn.put(taken),
                (false, false) => turn.put_after_ping(taken),
            },
            Some(Held::Shared(connection)) if self.close => drop(connection.detach()),
            Some(Held::Shared(connection)) => give_back(connection),
            None => (),
        }
    }
}

/// Gives a connection back to the application's pool.
///
/// The pool asks each connection that comes back whether it still answers; that also reads what
/// a dropped question has left in it. It would wait for ever on a server that went away without
/// a word, so this waits only [`ANSWER_MAX`].
fn give_back<DB: sqlx::Database>(mut connection: PoolConnection<DB>) {
    // Without a runtime nobody can wait for an answer.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        drop(connection.detach());
        return;
    };
    let back = connection.return_to_pool();
    runtime.spawn(async move {
        let _ = tokio::time::timeout(ANSWER_MAX, back).await;
    });
}

macro_rules! from_pool {
    ($feature:literal, $pool:ty, $database:expr) => {
        #[cfg(feature = $feature)]
        impl From<$pool> for SqlPool {
            fn from(pool: $pool) -> Self {
                let source = Source::Shared(pool, Arc::default());
                Self::new(Pools {
                    database: $database,
                    readers: source.clone(),
                    writers: source,
                    place: None,
                })
            }
        }
    };
}

from_pool!("sqlite", sqlx::SqlitePool, Database::Sqlite);
from_pool!("postgres", sqlx::PgPool, Database::Postgres);
from_pool!("mysql", sqlx::MySqlPool, Database::MySql);
