//! One connection of any of the databases: the few kinds of questions that a store asks.

use session_core::{Record, StoreError, Timestamp};
use sqlx::{Arguments, AssertSqlSafe, Encode, Executor as _, Row as _, Type};

use crate::dialect::Database;
use crate::statements::Statement;

/// A connection that [`SqlStore::save_in`](crate::SqlStore::save_in) can write through: sqlx's
/// `SqliteConnection`, `PgConnection` and `MySqlConnection`, to which a `Transaction`
/// dereferences.
///
/// ```
/// fn takes(_: &mut impl session_sql::SqlConnection) {}
///
/// # #[cfg(feature = "sqlite")]
/// fn gives(transaction: &mut session_sql::sqlx::Transaction<'_, session_sql::sqlx::Sqlite>) {
///     takes(&mut **transaction);
/// }
/// ```
pub trait SqlConnection: Ask {}

/// What is asked of a connection; sealed, because it is not exported.
pub trait Ask: Send {
    #[doc(hidden)]
    fn database(&self) -> Database;

    /// Runs a statement and answers how many rows it met.
    #[doc(hidden)]
    fn count(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// The record that a row holds, if there is one.
    #[doc(hidden)]
    fn record(
        &mut self,
        statement: &Statement,
        id: &str,
    ) -> impl Future<Output = Result<Loaded, sqlx::Error>> + Send;

    /// The first column of all rows.
    #[doc(hidden)]
    fn texts(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<String>, sqlx::Error>> + Send;

    /// The first column of the first row, if there is one.
    #[doc(hidden)]
    fn number(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Option<i64>, sqlx::Error>> + Send;

    /// Runs a statement without parameters and without preparing it.
    #[doc(hidden)]
    fn run(
        &mut self,
        statement: &Statement,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// A row read: absent, a record, or one that cannot be decoded.
pub(crate) type Loaded = Option<Result<Record, StoreError>>;

/// A parameter of a statement.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Text or null.
    Text(Option<&'a str>),
    /// A number or null.
    Number(Option<i64>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

fn arguments<'a, A>(values: &[Value<'a>]) -> Result<A, sqlx::Error>
where
    A: Arguments,
    Option<&'a str>: Encode<'a, A::Database> + Type<A::Database>,
    Option<i64>: Encode<'a, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        match *value {
            Value::Text(text) => arguments.add(text),
            Value::Number(number) => arguments.add(number),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// A row's columns as `Statements::load` asks for them.
struct Columns<'r> {
    format: i64,
    atime: i64,
    version: &'r str,
    meta: &'r str,
    data: &'r str,
}

impl Columns<'_> {
    /// The record; `atime` and `version` count for what `meta` says of them.
    fn into_record(self) -> Result<Record, StoreError> {
        let newer = u64::try_from(self.format).is_ok_and(|format| format > Record::FORMAT);
        if newer {
            return Err(crate::failure::newer_format(self.format));
        }
        let mut record = Record::decode_parts(self.meta, self.data)?;
        record.accessed_at = Timestamp::from_unix_ms(self.atime);
        record.version = self.version.parse().map_err(crate::failure::corrupt)?;
        Ok(record)
    }
}

macro_rules! connection {
    ($connection:ty, $arguments:ty, $row:ty, $database:expr) => {
        impl SqlConnection for $connection {}

        impl Ask for $connection {
            fn database(&self) -> Database {
                $database
            }

            async fn count(
                &mut self,
                statement: &Statement,
                values: &[Value<'_>],
            ) -> Result<u64, sqlx::Error> {
                let arguments: $arguments = arguments(values)?;
                let text = AssertSqlSafe(Statement::clone(statement));
                let done = sqlx::query_with(text, arguments).execute(self).await?;
                Ok(done.rows_affected())
            }

            async fn record(
                &mut self,
                statement: &Statement,
                id: &str,
            ) -> Result<Loaded, sqlx::Error> {
                let arguments: $arguments = arguments(&[id.into()])?;
                let text = AssertSqlSafe(Statement::clone(statement));
                // All rows, though there is one: MySQL's answer is not read to its end before.
                let rows = sqlx::query_with(text, arguments).fetch_all(self).await?;
                Ok(rows.into_iter().next().map(|row: $row| {
                    let columns = || {
                        Ok::<_, sqlx::Error>(Columns {
                            format: row.try_get(0)?,
                            atime: row.try_get(1)?,
                            version: row.try_get(2)?,
                            meta: row.try_get(3)?,
                            data: row.try_get(4)?,
                        })
                    };
                    columns().map_err(crate::failure::corrupt)?.into_record()
                }))
            }

            async fn texts(
                &mut self,
                statement: &Statement,
                values: &[Value<'_>],
            ) -> Result<Vec<String>, sqlx::Error> {
                let arguments: $arguments = arguments(values)?;
                let text = AssertSqlSafe(Statement::clone(statement));
                let rows = sqlx::query_with(text, arguments).fetch_all(self).await?;
                rows.iter().map(|row: &$row| row.try_get(0)).collect()
            }

            async fn number(
                &mut self,
                statement: &Statement,
                values: &[Value<'_>],
            ) -> Result<Option<i64>, sqlx::Error> {
                let arguments: $arguments = arguments(values)?;
                let text = AssertSqlSafe(Statement::clone(statement));
                let rows = sqlx::query_with(text, arguments).fetch_all(self).await?;
                let first = rows.first();
                first.map(|row: &$row| row.try_get(0)).transpose()
            }

            async fn run(&mut self, statement: &Statement) -> Result<(), sqlx::Error> {
                self.execute(AssertSqlSafe(Statement::clone(statement)))
                    .await?;
                Ok(())
            }
        }
    };
}

#[cfg(feature = "sqlite")]
connection!(
    sqlx::SqliteConnection,
    sqlx::sqlite::SqliteArguments,
    sqlx::sqlite::SqliteRow,
    Database::Sqlite
);

#[cfg(feature = "postgres")]
connection!(
    sqlx::PgConnection,
    sqlx::postgres::PgArguments,
    sqlx::postgres::PgRow,
    Database::Postgres
);

#[cfg(feature = "mysql")]
connection!(
    sqlx::MySqlConnection,
    sqlx::mysql::MySqlArguments,
    sqlx::mysql::MySqlRow,
    Database::MySql
);
