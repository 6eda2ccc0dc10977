//! What goes wrong between the store and its database, and what the caller is told.

use session_core::{StoreError, StoreErrorKind};
use sqlx::Error;

use crate::dialect::Database;
use crate::table::TableName;

/// What an error says of the statement that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The database rolled it back for the sake of another: it can be made again.
    Aborted,
    /// The connection broke: it may have been carried out or not.
    Lost,
    /// A row of this key is there.
    Duplicate,
    Full,
    TooLarge,
    TableMissing,
    /// The server takes no writes, or nothing at all, so nothing was done; another may have taken its
    /// place by now.
    Astray,
    /// Refused, or not answered, for another reason.
    Unavailable,
}

/// What became of the statement that met `error`.
pub(crate) fn fate(database: Database, error: &Error) -> Fate {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => Fate::Lost,
        Error::Database(error) => match database {
            Database::Sqlite => sqlite(&error.code().unwrap_or_default(), error.message()),
            Database::Postgres => postgres(&error.code().unwrap_or_default()),
            Database::MySql => mysql(mysql_number(&**error)),
        },
        _ => Fate::Unavailable,
    }
}

fn sqlite(code: &str, message: &str) -> Fate {
    // The low byte is the kind; what is above it, the detail.
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        13 => Fate::Full,
        18 => Fate::TooLarge,
        1 if message.starts_with("no such table") => Fate::TableMissing,
        _ => Fate::Unavailable,
    }
}

fn postgres(code: &str) -> Fate {
    match code {
        "40001" | "40P01" => Fate::Aborted,
        "53100" => Fate::Full,
        "54000" => Fate::TooLarge,
        "42P01" => Fate::TableMissing,
        // The server is stopping, or was told to end this connection.
        "57P01" | "57P02" | "57P03" => Fate::Lost,
        "25006" => Fate::Astray,
        _ => Fate::Unavailable,
    }
}

fn mysql(number: u16) -> Fate {
    match number {
        // A deadlock's victim; a row that changed since the transaction's snapshot.
        1213 | 1020 => Fate::Aborted,
        1062 => Fate::Duplicate,
        1021 | 1114 => Fate::Full,
        1153 | 1301 => Fate::TooLarge,
        1146 => Fate::TableMissing,
        // Shutting down; killed; idle for too long.
        1053 | 1927 | 4031 => Fate::Lost,
        // The server's option, of a replica for one; the transaction's; InnoDB's. Of a node that is
        // not, or no more, in its Galera cluster: it does nothing but answer a ping.
        1290 | 1792 | 1836 | 1047 => Fate::Astray,
        _ => Fate::Unavailable,
    }
}

#[cfg(feature = "mysql")]
fn mysql_number(error: &(dyn sqlx::error::DatabaseError + 'static)) -> u16 {
    let error = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    error.map_or(0, sqlx::mysql::MySqlDatabaseError::number)
}

#[cfg(not(feature = "mysql"))]
fn mysql_number(_: &(dyn sqlx::error::DatabaseError + 'static)) -> u16 {
    0
}

/// The error of `operation`, with the driver's as its source.
///
/// The driver's texts name users, hosts and tables; no password is ever part of them.
pub(crate) fn store_error(
    operation: &'static str,
    database: Database,
    table: &TableName,
    error: Error,
) -> StoreError {
    let (kind, why) = match fate(database, &error) {
        Fate::Full => (StoreErrorKind::Full, error.to_string()),
        Fate::TooLarge => (StoreErrorKind::TooLarge, error.to_string()),
        Fate::TableMissing => (
            StoreErrorKind::Unavailable,
            format!(
                "the table `{table}` is missing: call `migrate()`, or make it with the text of `schema()`"
            ),
        ),
        _ => (
            StoreErrorKind::Unavailable,
            match &error {
                Error::PoolTimedOut => format!(
                    "no connection to {} in time: it is down, or all connections are in use",
                    database.name()
                ),
                error => error.to_string(),
            },
        ),
    };
    StoreError::new(kind, format!("{operation} failed: {why}")).caused_by(error)
}

pub(crate) fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "the stored row cannot be decoded").caused_by(source)
}

pub(crate) fn newer_format(format: i64) -> StoreError {
    let known = session_core::Record::FORMAT;
    StoreError::new(
        StoreErrorKind::NewerFormat,
        format!("the record is of format {format}, this version reads up to {known}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_tells_what_became_of_the_statement() {
        for (fate, codes) in [
            (Fate::Full, ["13", "13"]),
            (Fate::TooLarge, ["18", "18"]),
            // Busy, and a detail of it; read-only; constraint.
            (Fate::Unavailable, ["5", "517"]),
            (Fate::Unavailable, ["8", "1555"]),
        ] {
            for code in codes {
                assert_eq!(sqlite(code, ""), fate, "SQLite {code}");
            }
        }
        assert_eq!(sqlite("1", "no such table: sessions"), Fate::TableMissing);
        assert_eq!(sqlite("1", "no such column: atime"), Fate::Unavailable);
        for (fate, codes) in [
            (Fate::Aborted, ["40001", "40P01"]),
            (Fate::Full, ["53100", "53100"]),
            (Fate::TooLarge, ["54000", "54000"]),
            (Fate::Lost, ["57P01", "57P02"]),
            (Fate::Astray, ["25006", "25006"]),
            (Fate::Unavailable, ["53300", "57014"]),
        ] {
            for code in codes {
                assert_eq!(postgres(code), fate, "PostgreSQL {code}");
            }
        }
        for (fate, codes) in [
            (Fate::Aborted, [1213, 1020]),
            (Fate::Duplicate, [1062, 1062]),
            (Fate::Full, [1021, 1114]),
            (Fate::TooLarge, [1153, 1301]),
            (Fate::Lost, [1053, 1927]),
            (Fate::Astray, [1290, 1792]),
            (Fate::Astray, [1836, 1047]),
            (Fate::Unavailable, [1205, 1227]),
        ] {
            for code in codes {
                assert_eq!(mysql(code), fate, "MySQL {code}");
            }
        }
    }
}
