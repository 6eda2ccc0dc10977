//! The store: each operation is one statement, and a second one only where the first met no row
//! and has to say why.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Created, Cursor, Error, Only, Owner, Page, Record, SessionId, Store, StoreError,
    StoreErrorKind, Timestamp, Touch, Version, Written,
};

use crate::config::SqlConfig;
use crate::connection::Value;
use crate::dialect::Database;
use crate::failure::{self, Fate, store_error};
use crate::link::{Met, Repeat, Unanswered};
use crate::pool::{Connections, SqlPool};
use crate::row::Row;
use crate::statements::{Statement, Statements};
use crate::table::TableName;

/// Sessions in a table of a SQL database; cheap to clone, the clones share their connections.
///
/// Needs a tokio runtime (actix-web's is one). Any number of stores, in any number of processes,
/// may work on one table.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) connections: Arc<dyn Connections>,
    pub(crate) table: Arc<TableName>,
    pub(crate) statements: Arc<Statements>,
}

impl SqlStore {
    /// A store in the database of this URL, with the default options: `sqlite:FILE`,
    /// `postgres://user:password@host/database` or `mysql://user:password@host/database`.
    ///
    /// What follows `sqlite:` is a path as it is written, so `sqlite://FILE`, which would name a host,
    /// is refused; the file is made if there is none, with mode 0600. The other two take the parameters
    /// that sqlx documents for
    /// [`PgConnectOptions`](https://docs.rs/sqlx/0.9/sqlx/postgres/struct.PgConnectOptions.html)
    /// and [`MySqlConnectOptions`](https://docs.rs/sqlx/0.9/sqlx/mysql/struct.MySqlConnectOptions.html).
    /// The table is made by [`migrate`](Self::migrate).
    ///
    /// ```
    /// use session_sql::SqlStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("sessions.db");
    /// # let path = path.display();
    /// let store = SqlStore::connect(&format!("sqlite:{path}")).await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](session_core::ErrorKind::Invalid): the URL cannot be used, has a
    /// parameter that sqlx does not know, or names a database whose feature is off. [`ErrorKind::Unavailable`](session_core::ErrorKind::Unavailable):
    /// no connection could be made. The password is in no message.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(url, SqlConfig::new()).await
    }

    /// As [`connect`](Self::connect), with these options.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect), and `Invalid` for an option that is not acceptable.
    pub async fn connect_with(url: &str, config: SqlConfig) -> Result<Self, Error> {
        let table = config.checked_table()?;
        let pool = crate::open::open(url, &config).await?;
        Ok(Self::new(pool, table))
    }

    /// A store in the table `sessions`, with a pool of the application's own: `sqlx::SqlitePool`,
    /// `sqlx::PgPool` or `sqlx::MySqlPool`.
    ///
    /// Its connections must commit each statement by itself. Where a server of MySQL's kind is set to
    /// `autocommit = 0`, let `after_connect` execute `SET SESSION autocommit = 1`. A pool of
    /// PostgreSQL's keeps its cache of statements; the crate's documentation says why, under PgBouncer.
    ///
    /// ```
    /// use session_sql::{SqlStore, sqlx};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sqlx::sqlite::SqlitePoolOptions::new()
    ///     .max_connections(1)
    ///     .connect("sqlite::memory:")
    ///     .await?;
    /// let store = SqlStore::from_pool(pool);
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_pool(pool: impl Into<SqlPool>) -> Self {
        let table = TableName::parse(SqlConfig::TABLE).expect("the default is a name");
        Self::new(pool.into(), table)
    }

    /// As [`from_pool`](Self::from_pool), with another table; the options that are about
    /// connections do not apply.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](session_core::ErrorKind::Invalid): the table's name is not acceptable.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a configuration is used once"
    )]
    pub fn from_pool_with(pool: impl Into<SqlPool>, config: SqlConfig) -> Result<Self, Error> {
        Ok(Self::new(pool.into(), config.checked_table()?))
    }

    fn new(pool: SqlPool, table: TableName) -> Self {
        let connections = pool.connections;
        let statements = Statements::new(connections.database(), &table);
        Self {
            connections,
            table: Arc::new(table),
            statements: Arc::new(statements),
        }
    }

    /// The table's name, as it was given.
    #[must_use]
    pub fn table(&self) -> String {
        self.table.to_string()
    }

    pub(crate) fn error(&self, operation: &'static str, error: sqlx::Error) -> StoreError {
        store_error(operation, self.connections.database(), &self.table, error)
    }

    /// Why a conditional statement met no row.
    async fn look(&self, operation: &'static str, id: &str) -> Result<Written, StoreError> {
        let found = self
            .connections
            .number(&self.statements.look, &[id.into()])
            .await;
        let found = found.map_err(|failed| self.error(operation, failed.error))?;
        why_not(operation, found)
    }

    /// The error of a write of `bytes`.
    ///
    /// MySQL closes the connection on what is too long for it, often while it is being sent.
    async fn write_error(
        &self,
        operation: &'static str,
        failed: Unanswered,
        bytes: usize,
    ) -> StoreError {
        let may_be_too_long = failed.fate == Fate::Lost
            && self.connections.database() == Database::MySql
            && bytes > 64 * 1024;
        if may_be_too_long {
            let statement = Statement::from("SELECT CAST(@@max_allowed_packet AS SIGNED)");
            let most = self.connections.number(&statement, &[]).await;
            let most = most
                .ok()
                .flatten()
                .and_then(|most| usize::try_from(most).ok());
            if let Some(most) = most.filter(|most| bytes >= *most) {
                return StoreError::new(
                    StoreErrorKind::TooLarge,
                    format!("{operation} failed: {bytes} bytes are more than the server's max_allowed_packet of {most}"),
                )
                .caused_by(failed.error);
            }
        }
        self.error(operation, failed.error)
    }
}

/// What is to be said of a row that a condition did not fit, by its format.
pub(crate) fn why_not(operation: &'static str, format: Option<i64>) -> Result<Written, StoreError> {
    let known = i64::try_from(Record::FORMAT).unwrap_or(i64::MAX);
    match format {
        None => Ok(Written::Gone),
        Some(format) if format > known => {
            let error = failure::newer_format(format);
            Err(
                StoreError::new(error.kind(), format!("{operation} failed: {error}"))
                    .caused_by(error),
            )
        }
        Some(_) => Ok(Written::Conflict),
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("database", &self.connections.database())
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        const OPERATION: &str = "creating the session";
        let row = Row::new(id, record);
        let statement = &self.statements.create;
        let created = self
            .connections
            .count(Repeat::OnlyIfUndone, statement, &row.to_create())
            .await;
        match created {
            Ok(Met { rows: 0, .. }) => Ok(Created::Taken),
            Ok(_) => Ok(Created::Done),
            Err(failed) if failed.fate == Fate::Duplicate => Ok(Created::Taken),
            Err(failed) => Err(self.write_error(OPERATION, failed, row.bytes()).await),
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        const OPERATION: &str = "loading the session";
        let loaded = self
            .connections
            .record(&self.statements.load, id.encode().as_str())
            .await;
        match loaded.map_err(|failed| self.error(OPERATION, failed.error))? {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(error)) => Err(StoreError::new(
                error.kind(),
                format!("{OPERATION} failed: {error}"),
            )
            .caused_by(error)),
        }
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        const OPERATION: &str = "updating the session";
        let row = Row::new(id, record);
        let expected = expected.to_string();
        let statement = &self.statements.update;
        let met = self
            .connections
            .count(Repeat::OnlyIfUndone, statement, &row.to_update(&expected))
            .await;
        match met {
            Ok(Met { rows: 0, .. }) => self.look(OPERATION, row.id()).await,
            Ok(_) => Ok(Written::Done),
            // Others write here, and nothing is written: it is to be read again.
            Err(failed) if failed.fate == Fate::Aborted => Ok(Written::Conflict),
            Err(failed) => Err(self.write_error(OPERATION, failed, row.bytes()).await),
        }
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        const OPERATION: &str = "touching the session";
        let (id, accessed) = (id.encode(), touch.accessed_at.as_unix_ms());
        let values: [Value<'_>; 4] = [
            accessed.into(),
            accessed.into(),
            id.as_str().into(),
            i64::from(touch.generation.0).into(),
        ];
        let statement = &self.statements.touch;
        match self
            .connections
            .count(Repeat::Harmless, statement, &values)
            .await
        {
            Ok(Met { rows: 0, .. }) => self.look(OPERATION, id.as_str()).await,
            Ok(_) => Ok(Written::Done),
            Err(failed) => Err(self.error(OPERATION, failed.error)),
        }
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        const OPERATION: &str = "deleting the session";
        let id = id.encode();
        let any: [Value<'_>; 1] = [id.as_str().into()];
        let of: [Value<'_>; 2];
        let (statement, values): (_, &[Value<'_>]) = match only {
            Only::Any => (&self.statements.delete, &any),
            Only::Generation(generation) => {
                of = [any[0], i64::from(generation.0).into()];
                (&self.statements.delete_of_generation, &of)
            }
        };
        match self
            .connections
            .count(Repeat::Harmless, statement, values)
            .await
        {
            Ok(Met {
                rows: 0,
                after_loss,
            }) => {
                let written = match only {
                    Only::Any => Written::Gone,
                    Only::Generation(_) => self.look(OPERATION, id.as_str()).await?,
                };
                Ok(match written {
                    // Most likely it was this one whose answer was lost.
                    Written::Gone if after_loss => Written::Done,
                    written => written,
                })
            }
            Ok(_) => Ok(Written::Done),
            Err(failed) => Err(self.error(OPERATION, failed.error)),
        }
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        const OPERATION: &str = "listing the owner's sessions";
        let values = [owner.as_str().into()];
        let found = self
            .connections
            .texts(&self.statements.owned_by, &values)
            .await;
        let found = found.map_err(|failed| self.error(OPERATION, failed.error))?;
        Ok(self.ids(&found))
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        const OPERATION: &str = "listing sessions";
        let limit = limit.clamp(1, PAGE_MAX);
        let after = cursor.position().unwrap_or_default();
        let values = [after.into(), number(limit).into()];
        let found = self.connections.texts(&self.statements.scan, &values).await;
        let found = found.map_err(|failed| self.error(OPERATION, failed.error))?;
        let next = if found.len() < limit {
            None
        } else {
            found.last()
        };
        Ok(Page {
            ids: self.ids(&found),
            next: next.map(Cursor::at),
        })
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        const OPERATION: &str = "sweeping";
        let before = expired_before.as_unix_ms();
        let values = [before.into(), number(limit).into(), before.into()];
        let statement = &self.statements.sweep;
        match self
            .connections
            .count(Repeat::OnlyIfUndone, statement, &values)
            .await
        {
            Ok(removed) => Ok(removed.rows),
            // Another sweep is at work on the same rows.
            Err(failed) if failed.fate == Fate::Aborted => Ok(0),
            Err(failed) => Err(self.error(OPERATION, failed.error)),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "asking the database";
        let statement = &self.statements.ping;
        let asked = self
            .connections
            .count(Repeat::Harmless, statement, &[])
            .await;
        match asked {
            Ok(_) => Ok(()),
            Err(failed) => Err(self.error(OPERATION, failed.error)),
        }
    }
}

impl SqlStore {
    /// The ids among what is in the key's column; what is none was put there by someone else.
    fn ids(&self, texts: &[String]) -> Vec<SessionId> {
        let ids: Vec<_> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        if ids.len() < texts.len() {
            let others = texts.len() - ids.len();
            tracing::warn!(target: "session", table = %self.table, others, "rows whose key is no session id are left alone");
        }
        ids
    }
}

/// A page's longest list, whatever is asked for.
const PAGE_MAX: usize = 10_000;

fn number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
