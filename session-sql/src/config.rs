//! The options of the store, and what an acknowledged write survives.

use std::time::Duration;

use session_core::Error;

use crate::table::TableName;

/// What an acknowledged write to SQLite survives.
///
/// A server's durability is its own configuration's: PostgreSQL's `synchronous_commit`, MySQL's
/// and MariaDB's `innodb_flush_log_at_trx_commit`. Both survive a power cut by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, by `kill -9` too: the bytes are with the operating system
    /// (`synchronous = NORMAL`).
    ///
    /// A power cut may cost the last seconds; the database stays whole.
    #[default]
    Os,
    /// A power cut too: the bytes are on the disk (`synchronous = FULL`).
    ///
    /// # Cost
    ///
    /// One `fsync` a write.
    Disk,
}

/// The options of a [`SqlStore`](crate::SqlStore).
///
/// ```no_run
/// use session_sql::{Durability, SqlConfig, SqlStore};
/// use std::time::Duration;
///
/// # async fn open() -> Result<(), session_core::Error> {
/// let config = SqlConfig::new()
///     .table("shop_sessions")
///     .connections(20)
///     .statement_timeout(Duration::from_secs(10));
/// let store = SqlStore::connect_with("postgres://shop@db.internal/shop", config).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqlConfig {
    pub(crate) table: String,
    pub(crate) connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) durability: Durability,
}

impl SqlConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Self::TABLE.to_owned(),
            connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            durability: Durability::default(),
        }
    }

    /// The default of [`table`](Self::table).
    pub const TABLE: &'static str = "sessions";

    /// The table to keep sessions in: `name`, or `schema.name`.
    ///
    /// Each part is an ASCII letter or `_` and up to 62 more letters, digits and `_`. It is
    /// always quoted, so PostgreSQL keeps its letter case.
    ///
    /// # Default
    ///
    /// [`TABLE`](Self::TABLE).
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// The most connections of a pool that [`SqlStore::connect_with`] opens; 0 counts as 1.
    ///
    /// With SQLite these are readers, and there is one writer more.
    ///
    /// # Default
    ///
    /// 10.
    ///
    /// [`SqlStore::connect_with`]: crate::SqlStore::connect_with
    #[must_use]
    pub fn connections(mut self, most: u32) -> Self {
        self.connections = most.max(1);
        self
    }

    /// How long an operation waits for a connection of such a pool; who gives up earlier, as a
    /// manager at its deadline does, waits no longer than that.
    ///
    /// Opening one takes no longer either. Where who asked has given up it goes on for at most half a
    /// minute, and brings a connection for who comes next; one at a time does, and any other ends.
    ///
    /// # Default
    ///
    /// 5 seconds.
    #[must_use]
    pub fn acquire_timeout(mut self, wait: Duration) -> Self {
        self.acquire_timeout = wait;
        self
    }

    /// When the server gives up a statement of such a pool.
    ///
    /// This bounds what becomes of statements that nobody waits for any more. PostgreSQL:
    /// `statement_timeout`; MariaDB: `max_statement_time`; MySQL: `max_execution_time`, which
    /// is about reading only; at most 24 days, and never zero, which a server would take for no
    /// limit: opening the store is `Invalid` then. SQLite: how long a writer waits for another
    /// process's (`busy_timeout`), at most 5 seconds.
    ///
    /// # Default
    ///
    /// 30 seconds.
    #[must_use]
    pub fn statement_timeout(mut self, wait: Duration) -> Self {
        self.statement_timeout = wait;
        self
    }

    /// What an acknowledged write to SQLite survives; other databases have their own settings.
    ///
    /// # Default
    ///
    /// [`Durability::Os`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    pub(crate) fn checked_table(&self) -> Result<TableName, Error> {
        TableName::parse(&self.table)
    }
}

impl Default for SqlConfig {
    fn default() -> Self {
        Self::new()
    }
}
