//! From a URL to a pool. Of a URL no more gets into an error than the file, or the server, that it
//! leads to: it may hold a password.

#[cfg(feature = "mysql")]
mod mysql;
pub(crate) mod place;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(any(feature = "postgres", feature = "mysql"))]
use std::sync::Arc;
use std::time::Duration;

use session_core::{Error, ErrorKind};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::at_hand::AtHand;
use crate::config::SqlConfig;
use crate::pool::SqlPool;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::pool::{Pools, Source};

/// Opens a pool; at least one connection has been made then.
pub(crate) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    match scheme {
        // What else follows would be the database's name, which errors quote.
        "postgres" | "postgresql" | "mysql" | "mariadb" if !rest.starts_with("//") => Err(invalid(
            format!("`//` and a server must follow `{scheme}:`"),
        )),
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite::open(url, config).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => postgres::open(url, config).await,
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => mysql::open(url, config).await,
        _ => Err(not_built_in(scheme)),
    }
}

fn not_built_in(scheme: &str) -> Error {
    let feature = match scheme {
        "sqlite" => "sqlite",
        "postgres" | "postgresql" => "postgres",
        "mysql" | "mariadb" => "mysql",
        _ => {
            return invalid("a database's URL begins with `sqlite:`, `postgres://` or `mysql://`");
        }
    };
    invalid(format!(
        "such a database needs the feature `{feature}` of session-sql"
    ))
}

fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, why)
}

/// `place` is the file, or what [`server`] says.
fn failed(place: Option<&str>, error: sqlx::Error) -> Error {
    let why = match &error {
        // Its text may quote any part of the URL, so it is not even kept as the source.
        sqlx::Error::Configuration(_) => {
            return invalid(format!(
                "{CONNECTING}: its URL cannot be used; look at its host, port and parameters"
            ));
        }
        sqlx::Error::PoolTimedOut => "no answer in time: it is down or cannot be reached".into(),
        error => error.to_string(),
    };
    let why = match place {
        None => format!("{CONNECTING}: {why}"),
        Some(place) => format!("{CONNECTING}: {place}: {why}"),
    };
    Error::new(ErrorKind::Unavailable, why).caused_by(error)
}

/// Where a URL leads to, if it can be told. An `@` after the host may be one of a password that was not
/// written as a URL demands, and what was taken for host and port the rest of it.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn server(url: &str, host: &str, port: u16, socket: Option<&std::path::PathBuf>) -> Option<String> {
    let url = url.split_once("://").map_or(url, |(_, url)| url);
    let behind = url.split_once(['/', '?', '#']).map_or("", |(_, rest)| rest);
    // Nor is what else no host's name has, as of a password that was encoded together with the host.
    if behind.contains('@') || host.contains(['@', '%']) {
        return None;
    }
    Some(match socket {
        Some(socket) => socket.display().to_string(),
        None => format!("{host}:{port}"),
    })
}

/// Refuses a URL that has a parameter besides these, in the words of the database's own programs.
///
/// sqlx passes over a strange one: a misspelt `sslmode` would leave the connections open to
/// everybody. Of PostgreSQL's it logs the value too, and that of `sslpassword` is a secret.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn check_parameters(url: &str, known: &[&str]) -> Result<(), Error> {
    for (name, _) in parameters(url) {
        let is_known = |known: &&str| match known.strip_suffix("[…]") {
            // Brackets may be written as they are, or in the way of what a URL has no room for.
            Some(family) => name.strip_prefix(family).is_some_and(|rest| {
                rest.starts_with('[')
                    || rest
                        .get(..3)
                        .is_some_and(|hex| hex.eq_ignore_ascii_case("%5B"))
            }),
            None => name == *known,
        };
        if !known.iter().any(is_known) {
            return Err(invalid(format!(
                "{CONNECTING}: its URL has {}, and the known ones are {}",
                unknown(name),
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// The names and values in a URL, as they are written.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let parameters = parameters.split('&').filter(|text| !text.is_empty());
    parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

/// A parameter is named if it looks like one: what follows a `?` may be the rest of a password.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn unknown(name: &str) -> String {
    let legal = |byte: u8| byte.is_ascii_lowercase() || b"-_".contains(&byte);
    if !name.is_empty() && name.len() <= 32 && name.bytes().all(legal) {
        format!("the unknown parameter `{name}`")
    } else {
        "a parameter with a strange name".to_owned()
    }
}

const CONNECTING: &str = "connecting to the database failed";

/// The options of what opens connections. It keeps none, and looks after none.
fn opener<DB: sqlx::Database>(connections: u32, config: &SqlConfig) -> sqlx::pool::PoolOptions<DB> {
    sqlx::pool::PoolOptions::new()
        .max_connections(connections)
        // Moments are counted from now: what the clock cannot express is as good as a year.
        .acquire_timeout(
            config
                .acquire_timeout
                .min(Duration::from_secs(365 * 24 * 60 * 60)),
        )
        .idle_timeout(None)
        .max_lifetime(None)
}

/// When a server gives up a statement, in milliseconds: at least one, and at most what each of them
/// takes, PostgreSQL the least.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn statement_millis(config: &SqlConfig) -> Result<u32, Error> {
    if config.statement_timeout.is_zero() {
        return Err(invalid(
            "the statement timeout is zero, which a server would take for no limit at all",
        ));
    }
    let millis = u32::try_from(config.statement_timeout.as_millis()).unwrap_or(u32::MAX);
    Ok(millis.clamp(1, i32::MAX.unsigned_abs()))
}

/// The connections of a server, of which one is open.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn connected<DB: sqlx::Database>(
    database: crate::dialect::Database,
    server: Option<&str>,
    opener: sqlx::Pool<DB>,
) -> Result<SqlPool, Error>
where
    DB::Connection: crate::connection::Ask,
{
    let suspicion = crate::suspicion::Suspicion::new();
    let at_hand = Arc::new(AtHand::new(opener, Some(suspicion)));
    let (first, turn) = at_hand
        .take()
        .await
        .map_err(|error| failed(server, error))?;
    turn.put(first);
    let source = Source::Own(at_hand);
    Ok(SqlPool::new(Pools {
        database,
        readers: source.clone(),
        writers: source,
        place: None,
    }))
}
