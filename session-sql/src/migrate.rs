//! Making the table, and later versions of it.

use std::time::Duration;

use session_core::{Error, ErrorKind, StoreErrorKind};

use crate::dialect::Words;
use crate::pool::Lease;
use crate::statements::Statement;
use crate::store::SqlStore;
use crate::table::VERSIONS;

impl SqlStore {
    /// Makes the table, or brings it up to this version's layout; does nothing if it is.
    ///
    /// Any number of processes may call it at once, at their start. Which layout a table has is
    /// kept in the table `session_kit_schema` beside it. A user who may neither make nor alter
    /// tables can call it when there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: there is a table of this name that was not made by this function
    /// or the text of [`schema`](Self::schema), or it is of a newer version's layout; it is left
    /// alone. [`ErrorKind::Unavailable`]: the database refused, or it was not done within a
    /// minute; half a migration is never left behind that another call would not complete.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.migrate_within(MIGRATION_MAX).await
    }

    async fn migrate_within(&self, limit: Duration) -> Result<(), Error> {
        let migrated = tokio::time::timeout(limit, self.make_missing()).await;
        migrated.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Unavailable,
                format!("migrating failed: it was not done within {limit:?}"),
            ))
        })
    }

    async fn make_missing(&self) -> Result<(), Error> {
        let lease = self.connections.lease().await;
        let mut lease = lease.map_err(|error| self.unmigrated(error))?;
        if self.missing_steps(&mut *lease).await? == 0 {
            return Ok(());
        }
        let words = self.connections.database().words();
        // Whatever happens from here on: an open transaction, or a lock, ends with its connection.
        lease.close_on_drop(true);
        self.take_lock(&mut *lease).await?;
        self.run(&mut *lease, words.begin).await?;
        self.run(&mut *lease, &[words.versions]).await?;
        let missing = self.missing_steps(&mut *lease).await?;
        let (from, to) = (words.steps.len() - missing, words.steps.len());
        for version in from..to {
            // Where definitions commit by themselves, whoever comes after a crash must know the
            // table for ours, and makes this step again.
            self.run(&mut *lease, &[&note(words, version)]).await?;
            self.run(&mut *lease, words.steps[version]).await?;
        }
        if missing > 0 {
            self.run(&mut *lease, &[&note(words, to)]).await?;
        }
        self.run(&mut *lease, words.commit).await?;
        lease.close_on_drop(false);
        Ok(())
    }

    /// The statements that make the table and note its version, for who runs migrations of their
    /// own; `migrate` then finds nothing to do.
    ///
    /// ```
    /// # use session_sql::{SqlStore, sqlx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::SqlitePool::connect("sqlite::memory:").await?;
    /// let sql = SqlStore::from_pool(pool).schema();
    /// assert!(sql.starts_with("CREATE TABLE IF NOT EXISTS \"session_kit_schema\""));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn schema(&self) -> String {
        let words = self.connections.database().words();
        let steps = words.steps.iter().copied().flatten().copied();
        let note = note(words, words.steps.len());
        [words.versions]
            .into_iter()
            .chain(steps)
            .chain([note.as_str()])
            .map(|template| self.render(template) + ";\n")
            .collect()
    }

    /// How many steps the table lacks.
    async fn missing_steps(&self, lease: &mut dyn Lease) -> Result<usize, Error> {
        let database = self.connections.database();
        let words = database.words();
        let versions: Statement = database.render(words.tables, &self.table.versions()).into();
        let is_there: Statement = self.render(words.tables).into();
        let known = words.steps.len();
        let is_there = self.number(lease, &is_there).await? != Some(0);
        let version = if self.number(lease, &versions).await? == Some(0) {
            None
        } else {
            self.number(lease, &self.render(VERSION).into()).await?
        };
        match version.map(usize::try_from) {
            None if is_there => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "migrating failed: there is a table `{}` that is not known to hold sessions of this library (`{VERSIONS}` does not list it): choose another name",
                    self.table
                ),
            )),
            Some(Ok(version)) if version <= known && is_there => Ok(known - version),
            Some(version) if is_there => {
                let version = version.unwrap_or(usize::MAX);
                Err(Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "migrating failed: the table `{}` has layout {version}, this version knows up to {known}: use a newer one",
                        self.table
                    ),
                ))
            }
            // Dropped by hand, perhaps.
            _ => Ok(known),
        }
    }

    async fn take_lock(&self, lease: &mut dyn Lease) -> Result<(), Error> {
        let Some(lock) = self.connections.database().words().lock else {
            return Ok(());
        };
        if self.number(lease, &lock.into()).await? == Some(1) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "migrating failed: another process has been migrating for 20 seconds",
        ))
    }

    async fn run(&self, lease: &mut dyn Lease, templates: &[&str]) -> Result<(), Error> {
        for template in templates {
            let statement = Statement::from(self.render(template));
            let run = lease.run(&statement).await;
            run.map_err(|error| self.unmigrated(error))?;
        }
        Ok(())
    }

    async fn number(
        &self,
        lease: &mut dyn Lease,
        statement: &Statement,
    ) -> Result<Option<i64>, Error> {
        let number = lease.number(statement).await;
        number.map_err(|error| self.unmigrated(error))
    }

    fn render(&self, template: &str) -> String {
        self.connections.database().render(template, &self.table)
    }

    fn unmigrated(&self, error: sqlx::Error) -> Error {
        let error = self.error("migrating", error);
        let kind = match error.kind() {
            StoreErrorKind::Full => ErrorKind::Full,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, error.to_string()).caused_by(error)
    }
}

const VERSION: &str = "SELECT version FROM {versions} WHERE table_name = '{bare_table}'";

/// Longer than the wait for another process, and than any statement of an own pool.
const MIGRATION_MAX: Duration = Duration::from_secs(60);

fn note(words: &Words, version: usize) -> String {
    words.note.replace("{version}", &version.to_string())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_migration_that_takes_too_long_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let store = SqlStore::connect(&url).await.unwrap();
        let lease = store.connections.lease().await;
        let only_writer = lease.unwrap_or_else(|error| panic!("{error}"));
        let limit = Duration::from_millis(50);
        let error = store.migrate_within(limit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            "migrating failed: it was not done within 50ms"
        );
        drop(only_writer);
        store.migrate().await.unwrap();
    }
}
