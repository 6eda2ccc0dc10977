//! Asking the database, and asking again where that is harmless.

use async_trait::async_trait;

use crate::connection::{Ask, Loaded, Value};
use crate::dialect::Database;
use crate::failure::{Fate, fate};
use crate::pool::{Connections, Lease, Pools, Source};
use crate::statements::Statement;

/// A question that got no answer, and what became of it.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) fate: Fate,
    pub(crate) error: sqlx::Error,
}

/// What may be made again without asking anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice is as good as once: it is made again also if the connection broke.
    Harmless,
    /// Only what the database says it has not done.
    OnlyIfUndone,
}

/// What a statement that writes met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) rows: u64,
    /// It had been made before, and nobody knows whether it was carried out then.
    pub(crate) after_loss: bool,
}

/// How often a statement is made that the database gives up for the sake of others, or that a server
/// refuses which is not the one to ask.
const TRIES_MAX: u32 = 5;

/// How often a connection may break under a statement that is harmless: the second is a new one, or
/// has just answered, unless it was being given back when the first broke.
const LOST_MAX: u32 = 3;

/// Runs `$ask` on a connection, and again on another if `$repeat` allows it; the answer comes with
/// whether one was lost before it.
macro_rules! ask {
    ($pools:expr, $source:expr, $repeat:expr, |$connection:ident| $ask:expr) => {{
        let (pools, source): (&Pools<_>, &Source<_>) = ($pools, $source);
        pools.check_place().map_err(|error| Unanswered {
            fate: Fate::Unavailable,
            error,
        })?;
        let (mut tries, mut lost) = (1, 0);
        loop {
            let mut lease = source.lease().await.map_err(|error| Unanswered {
                fate: Fate::Unavailable,
                error,
            })?;
            let $connection = lease.connection();
            let error = match $ask.await {
                Ok(answer) => {
                    lease.is_at_rest();
                    break Ok((answer, lost > 0));
                }
                Err(error) => error,
            };
            let fate = fate(pools.database, &error);
            if fate == Fate::Lost {
                source.broke();
                lease.close_on_drop(true);
            }
            match fate {
                Fate::Aborted if tries < TRIES_MAX => tries += 1,
                Fate::Astray if tries < TRIES_MAX && source.leads_astray(&mut lease) => {
                    tries += 1;
                }
                Fate::Lost if $repeat == Repeat::Harmless && lost < LOST_MAX => lost += 1,
                _ => break Err(Unanswered { fate, error }),
            }
        }
    }};
}

#[async_trait]
impl<DB: sqlx::Database> Connections for Pools<DB>
where
    DB::Connection: Ask,
{
    fn database(&self) -> Database {
        self.database
    }

    async fn record(&self, statement: &Statement, id: &str) -> Result<Loaded, Unanswered> {
        ask!(self, &self.readers, Repeat::Harmless, |connection| {
            connection.record(statement, id)
        })
        .map(|(answer, _)| answer)
    }

    async fn texts(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<String>, Unanswered> {
        ask!(self, &self.readers, Repeat::Harmless, |connection| {
            connection.texts(statement, values)
        })
        .map(|(answer, _)| answer)
    }

    async fn number(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<i64>, Unanswered> {
        ask!(self, &self.readers, Repeat::Harmless, |connection| {
            connection.number(statement, values)
        })
        .map(|(answer, _)| answer)
    }

    async fn count(
        &self,
        repeat: Repeat,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Met, Unanswered> {
        ask!(self, &self.writers, repeat, |connection| {
            connection.count(statement, values)
        })
        .map(|(rows, after_loss)| Met { rows, after_loss })
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, sqlx::Error> {
        self.check_place()?;
        Ok(Box::new(self.writers.lease().await?))
    }
}
