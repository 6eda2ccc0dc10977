//! A save inside a transaction of the application's own.

use session_core::{PendingSave, StoreError, StoreErrorKind, Written};

use crate::connection::SqlConnection;
use crate::failure::{Fate, fate};
use crate::row::Row;
use crate::store::{SqlStore, why_not};

impl SqlStore {
    /// Writes a prepared save through a connection of the application's, as part of whatever
    /// transaction is open on it.
    ///
    /// [`Written::Done`]: it takes effect when the transaction is committed; call
    /// [`PendingSave::confirm`] then. [`Written::Conflict`] and [`Written::Gone`]: nothing was
    /// written; roll back, call [`PendingSave::abort`], `reload` the session and begin again, or
    /// give up.
    ///
    /// The session's row stays locked until the transaction ends: let this be its last statement.
    ///
    /// ```no_run
    /// use session_core::{Session, Written};
    /// use session_sql::{SqlStore, sqlx};
    ///
    /// /// Stores the order and empties the basket, both or neither.
    /// async fn place_order(
    ///     pool: &sqlx::PgPool,
    ///     store: &SqlStore,
    ///     session: &Session,
    ///     item: &str,
    /// ) -> Result<bool, Box<dyn std::error::Error>> {
    ///     session.remove("basket");
    ///     let Some(pending) = session.prepare_save().await? else {
    ///         return Ok(false);
    ///     };
    ///     let mut transaction = pool.begin().await?;
    ///     sqlx::query("INSERT INTO orders (item) VALUES ($1)")
    ///         .bind(item)
    ///         .execute(&mut *transaction)
    ///         .await?;
    ///     if store.save_in(&mut *transaction, &pending).await? != Written::Done {
    ///         transaction.rollback().await?;
    ///         pending.abort();
    ///         return Ok(false);
    ///     }
    ///     // Should its answer be lost, `pending` is dropped: the next save finds out.
    ///     transaction.commit().await?;
    ///     pending.confirm()?;
    ///     Ok(true)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for `Store::update`; roll back then. `Unavailable` also if the connection leads to
    /// another kind of database than the store's.
    pub async fn save_in<C: SqlConnection>(
        &self,
        connection: &mut C,
        pending: &PendingSave,
    ) -> Result<Written, StoreError> {
        const OPERATION: &str = "saving the session";
        let database = self.connections.database();
        if connection.database() != database {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                format!(
                    "{OPERATION} failed: the sessions are in {}, the transaction is in {}",
                    database.name(),
                    connection.database().name()
                ),
            ));
        }
        let (id, statements) = (pending.id(), &self.statements);
        let row = Row::new(&id, pending.record());
        let met = match pending.expected() {
            None => connection.count(&statements.create, &row.to_create()).await,
            Some(expected) => {
                let expected = expected.to_string();
                let values = row.to_update(&expected);
                connection.count(&statements.update, &values).await
            }
        };
        match met {
            Ok(0) => {
                let found = connection
                    .number(&statements.look, &[row.id().into()])
                    .await;
                why_not(
                    OPERATION,
                    found.map_err(|error| self.error(OPERATION, error))?,
                )
            }
            Ok(_) => Ok(Written::Done),
            Err(error) => match fate(database, &error) {
                // Another was first, and nothing is written.
                Fate::Duplicate | Fate::Aborted => Ok(Written::Conflict),
                _ => Err(self.error(OPERATION, error)),
            },
        }
    }
}
