//! SQL: one `SELECT` by primary key, one `UPDATE` on a version, over pools that do not test a
//! connection before they hand it out.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{MySqlPool, PgPool, Row, SqlitePool};

use super::Floor;

/// SQLite with a write-ahead log, `synchronous` as it is by default in a store: NORMAL.
#[derive(Clone, Debug)]
pub struct SqliteFloor {
    readers: SqlitePool,
    writer: SqlitePool,
    versions: Versions,
}

/// PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresFloor(PgPool, Versions);

/// MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct MySqlFloor(MySqlPool, Versions);

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
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        sqlx::query("CREATE TABLE floor (id TEXT PRIMARY KEY, version TEXT, data TEXT)")
            .execute(&writer)
            .await?;
        let readers = pool(connections).connect_with(options).await?;
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
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .test_before_acquire(false)
            .connect(url)
            .await?;
        sqlx::query("CREATE TABLE floor (id TEXT PRIMARY KEY, version TEXT, data TEXT)")
            .execute(&pool)
            .await?;
        Ok(Self(pool, Versions::default()))
    }
}

impl MySqlFloor {
    /// The database at `url`.
    ///
    /// # Errors
    ///
    /// sqlx's.
    pub async fn open(url: &str, connections: u32) -> sqlx::Result<Self> {
        let pool = MySqlPoolOptions::new()
            .max_connections(connections)
            .test_before_acquire(false)
            .connect(url)
            .await?;
        sqlx::query(
            "CREATE TABLE floor (id VARCHAR(22) PRIMARY KEY, version VARCHAR(33), data LONGTEXT)",
        )
        .execute(&pool)
        .await?;
        Ok(Self(pool, Versions::default()))
    }
}

fn name(key: usize) -> String {
    format!("{key:022}")
}

/// The version of each row. It changes with each write: MySQL writes nothing that stays the same.
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
                    .execute(&self.$writer)
                    .await;
                filled.expect("the database takes it");
            }

            async fn read(&self, key: usize) {
                let row = sqlx::query($read)
                    .bind(name(key))
                    .fetch_one(&self.$readers)
                    .await
                    .expect("the database answers");
                black_box(row.get::<String, _>(0));
            }

            async fn write(&self, key: usize, value: &str) {
                let [before, after] = self.$versions.next(key);
                let written = sqlx::query($write)
                    .bind(after)
                    .bind(value)
                    .bind(name(key))
                    .bind(before)
                    .execute(&self.$writer)
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
