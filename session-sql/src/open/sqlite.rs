//! SQLite: one writer and several readers of one file, with a write-ahead log.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{Error, ErrorKind};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::place::Place;
use super::{failed, invalid, opener};
use crate::at_hand::AtHand;
use crate::config::{Durability, SqlConfig};
use crate::dialect::Database;
use crate::pool::{Pools, Source, SqlPool};

pub(super) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    let options = options(path(url)?, config)?;
    let file = options.get_filename().to_owned();
    let shown = file.display().to_string();
    let made =
        tokio::task::spawn_blocking(move || make_file(&file).and_then(|()| Place::of(&file)));
    let made = made.await.map_err(std::io::Error::other).flatten();
    let place = made.map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            format!("opening the database's file failed: {shown}: {error}"),
        )
        .caused_by(error)
    })?;

    let own = |connections| {
        let opener = opener::<sqlx::Sqlite>(connections, config).connect_lazy_with(options.clone());
        Arc::new(AtHand::new(opener, None))
    };
    let (readers, writers) = (own(config.connections), own(1));
    let started = Instant::now();
    loop {
        match writers.take().await {
            // Another process is just turning on the write-ahead log; SQLite does not wait for that.
            Err(error) if is_busy(&error) && started.elapsed() < config.acquire_timeout => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => {
                let (first, turn) = opened.map_err(|error| failed(Some(&shown), error))?;
                turn.put(first);
                break;
            }
        }
    }
    Ok(SqlPool::new(Pools {
        database: Database::Sqlite,
        readers: Source::Own(readers),
        writers: Source::Own(writers),
        place: Some(place),
    }))
}

/// The path in a URL, refused where `session_kit::connect` refuses it.
fn path(url: &str) -> Result<&str, Error> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    if path.is_empty() {
        return Err(invalid("a path must follow `sqlite:`"));
    }
    if path == ":memory:" {
        return Err(invalid(
            "sessions in SQLite need a file: `sqlite:FILE`; to keep them in memory is what `MemoryStore` is for",
        ));
    }
    if path.starts_with("//") && !path.starts_with("///") {
        return Err(invalid(
            "`sqlite://` would name a host: write `sqlite:` and the path",
        ));
    }
    Ok(path)
}

fn options(path: &str, config: &SqlConfig) -> Result<SqliteConnectOptions, Error> {
    let absolute = std::path::absolute(path).map_err(|error| {
        invalid(format!("the path of the database cannot be used: {error}")).caused_by(error)
    })?;
    let synchronous = match config.durability {
        Durability::Os => SqliteSynchronous::Normal,
        Durability::Disk => SqliteSynchronous::Full,
    };
    Ok(SqliteConnectOptions::new()
        // An absolute path is never taken for a URI.
        .filename(absolute)
        .busy_timeout(config.statement_timeout.min(BUSY_TIMEOUT_MAX))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .disable_statement_logging())
}

/// Makes the file if there is none, and the folders it is in, for their owner only; SQLite gives the
/// files beside it the same mode.
fn make_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        let mut folders = std::fs::DirBuilder::new();
        folders.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
        folders.create(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.parse::<i32>().is_ok_and(|code| code & 0xff == 5))
}

const BUSY_TIMEOUT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection as _;

    #[cfg(unix)]
    #[test]
    fn folders_and_file_are_made_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/sessions.db");
        for _ in 0..2 {
            make_file(&path).unwrap();
        }
        for (path, expected) in [("a", 0o700), ("a/b", 0o700), ("a/b/sessions.db", 0o600)] {
            let found = std::fs::metadata(folder.path().join(path)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn the_log_is_on_and_durability_is_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        make_file(&path).unwrap();
        for (durability, expected) in [(Durability::Os, 1), (Durability::Disk, 2)] {
            let config = SqlConfig::new().durability(durability);
            let options = options(path.to_str().unwrap(), &config).unwrap();
            let mut connection = sqlx::SqliteConnection::connect_with(&options)
                .await
                .unwrap();
            let pragma = |text| sqlx::query_scalar::<_, i64>(text);
            let synchronous = pragma("PRAGMA synchronous")
                .fetch_one(&mut connection)
                .await;
            assert_eq!(synchronous.unwrap(), expected);
            let journal = sqlx::query_scalar::<_, String>("PRAGMA journal_mode");
            assert_eq!(journal.fetch_one(&mut connection).await.unwrap(), "wal");
        }
    }
}
