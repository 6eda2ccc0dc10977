//! SQL: one `SELECT` by primary key, one `UPDATE` on a version, over connections that are handed on
//! as they are: a pool of sqlx's asks each that comes back for a sign of life.

use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, MySqlConnection, PgConnection, Row as _, SqliteConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Floor;

/// SQLite with a write-ahead log, `synchronous` as it is by default in a store: NORMAL.
#[derive(Clone, Debug)]
pub struct SqliteFloor {
    readers: AtRest<SqliteConnection>,
    writer: AtRest<SqliteConnection>,
    versions: Versions,
}

/// PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresFloor(AtRest<PgConnection>, Versions);

/// MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct MySqlFloor(AtRest<MySqlConnection>, Versions);

impl SqliteFloor {
    /// A database in `file`.
    ///
    /// # Errors
    ///
    /// sqlx's.
    pub async fn open(file: &Path, connections: u32) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        let mut writer = options.connect().await?;
        sqlx::query("CREATE TABLE floor (id TEXT PRIMARY KEY, version TEXT, data TEXT)")
            .execute(&mut writer)
            .await?;
        let readers = AtRest::open(&options, connections).await?;
        let writer = AtRest::of(vec![writer]);
        let versions = Versions::default();
        Ok(Self {
            readers,
            writer,
            versions,
        })
    }
}

impl PostgresFloor {
    /// The database at `url`.
    ///
    /// # Errors
    ///
    /// sqlx's.
    pub async fn open(url: &str, connections: u32) -> sqlx::Result<Self> {
        let options: <PgConnection as Connection>::Options = url.parse()?;
        let connections = AtRest::open(&options, connections).await?;
        sqlx::query("CREATE TABLE floor (id TEXT PRIMARY KEY, version TEXT, data TEXT)")
            .execute(&mut *connections.take().await)
            .await?;
        Ok(Self(connections, Versions::default()))
    }
}

impl MySqlFloor {
    /// The database at `url`.
    ///
    /// # Errors
    ///
    /// sqlx's.
    pub async fn open(url: &str, connections: u32) -> sqlx::Result<Self> {
        let options: <MySqlConnection as Connection>::Options = url.parse()?;
        let connections = AtRest::open(&options, connections).await?;
        sqlx::query(
            "CREATE TABLE floor (id VARCHAR(22) PRIMARY KEY, version VARCHAR(33), data LONGTEXT)",
        )
        .execute(&mut *connections.take().await)
        .await?;
        Ok(Self(connections, Versions::default()))
    }
}

fn name(key: usize) -> String {
    format!("{key:022}")
}

/// Connections that nobody uses.
#[derive(Debug)]
struct AtRest<C>(Arc<(Semaphore, Mutex<Vec<C>>)>);

/// One that is used, until this is dropped.
struct Taken<'a, C> {
    /// `None` only while it is dropped.
    connection: Option<C>,
    at_rest: &'a Mutex<Vec<C>>,
    // Ends after the connection is back.
    _turn: SemaphorePermit<'a>,
}

impl<C: Connection> AtRest<C> {
    async fn open(options: &C::Options, count: u32) -> sqlx::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(C::connect_with(options).await?);
        }
        Ok(Self::of(connections))
    }
}

impl<C> AtRest<C> {
    fn of(connections: Vec<C>) -> Self {
        let turns = Semaphore::new(connections.len());
        Self(Arc::new((turns, Mutex::new(connections))))
    }

    async fn take(&self) -> Taken<'_, C> {
        let (turns, at_rest) = &*self.0;
        let turn = turns.acquire().await.expect("it is never closed");
        let connection = at_rest.lock().expect("nobody panics with it").pop();
        Taken {
            connection,
            at_rest,
            _turn: turn,
        }
    }
}

impl<C> Clone for AtRest<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for Taken<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.connection.as_ref().expect(ONE_EACH)
    }
}

impl<C> DerefMut for Taken<'_, C> {
    fn deref_mut(&mut self) -> &mut C {
        self.connection.as_mut().expect(ONE_EACH)
    }
}

impl<C> Drop for Taken<'_, C> {
    fn drop(&mut self) {
        let mut at_rest = self.at_rest.lock().expect("nobody panics with it");
        at_rest.extend(self.connection.take());
    }
}

const ONE_EACH: &str = "there are as many turns as connections";

/// The version of each row. It changes with each write, and so does the value: MySQL writes no
/// column that stays the same.
#[derive(Clone, Debug)]
struct Versions(Arc<[AtomicU64]>);

impl Default for Versions {
    fn default() -> Self {
        Self((0..KEYS_MAX).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Versions {
    fn now(&self, key: usize) -> String {
        format!("{:033}", self.0[key].load(Ordering::Relaxed))
    }

    fn next(&self, key: usize) -> [String; 2] {
        let before = self.now(key);
        self.0[key].fetch_add(1, Ordering::Relaxed);
        [before, self.now(key)]
    }
}

const KEYS_MAX: usize = 64;

/// The operations in one database's words.
macro_rules! floor {
    ($name:ident, $readers:tt, $writer:tt, $versions:tt, $fill:literal, $read:literal, $write:literal) => {
        impl Floor for $name {
            const READ: &'static str = "SELECT by key";
            const WRITE: &'static str = "UPDATE … WHERE version";

            async fn fill(&self, key: usize, value: &str) {
                let filled = sqlx::query($fill)
                    .bind(name(key))
                    .bind(self.$versions.now(key))
                    .bind(value)
                    .execute(&mut *self.$writer.take().await)
                    .await;
                filled.expect("the database takes it");
            }

            async fn read(&self, key: usize) {
                let row = sqlx::query($read)
                    .bind(name(key))
                    .fetch_one(&mut *self.$readers.take().await)
                    .await
                    .expect("the database answers");
                black_box(row.get::<String, _>(0));
            }

            async fn write(&self, key: usize, value: &str) {
                let [before, after] = self.$versions.next(key);
                let mut value = value.to_owned();
                value.replace_range(..after.len(), &after);
                let written = sqlx::query($write)
                    .bind(after)
                    .bind(value)
                    .bind(name(key))
                    .bind(before)
                    .execute(&mut *self.$writer.take().await)
                    .await
                    .expect("the database answers");
                assert_eq!(written.rows_affected(), 1, "nobody else writes");
            }
        }
    };
}

floor!(
    SqliteFloor,
    readers,
    writer,
    versions,
    "INSERT OR REPLACE INTO floor (id, version, data) VALUES (?, ?, ?)",
    "SELECT data FROM floor WHERE id = ?",
    "UPDATE floor SET version = ?, data = ? WHERE id = ? AND version = ?"
);
floor!(
    PostgresFloor,
    0,
    0,
    1,
    "INSERT INTO floor (id, version, data) VALUES ($1, $2, $3) \
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data",
    "SELECT data FROM floor WHERE id = $1",
    "UPDATE floor SET version = $1, data = $2 WHERE id = $3 AND version = $4"
);
floor!(
    MySqlFloor,
    0,
    0,
    1,
    "REPLACE INTO floor (id, version, data) VALUES (?, ?, ?)",
    "SELECT data FROM floor WHERE id = ?",
    "UPDATE floor SET version = ?, data = ? WHERE id = ? AND version = ?"
);
