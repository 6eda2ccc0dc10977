//! From a URL to a pool. No URL, and nothing of one, gets into an error: it may hold a password.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use session_core::{Error, ErrorKind};

use crate::config::SqlConfig;
use crate::pool::SqlPool;

/// Opens a pool; at least one connection has been made then.
pub(crate) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
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

fn failed(error: sqlx::Error) -> Error {
    const OPERATION: &str = "connecting to the database failed";
    let why = match &error {
        // Its text may quote any part of the URL, so it is not even kept as the source.
        sqlx::Error::Configuration(_) => {
            return invalid(format!(
                "{OPERATION}: its URL cannot be used; look at its host, port and parameters"
            ));
        }
        sqlx::Error::PoolTimedOut => "no answer in time: it is down or cannot be reached".into(),
        error => error.to_string(),
    };
    Error::new(ErrorKind::Unavailable, format!("{OPERATION}: {why}")).caused_by(error)
}

/// What the pools of the servers have in common.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn pool_options<DB: sqlx::Database>(
    config: &SqlConfig,
    suspicion: &std::sync::Arc<crate::suspicion::Suspicion>,
) -> sqlx::pool::PoolOptions<DB> {
    use sqlx::Connection as _;

    let suspicion = std::sync::Arc::clone(suspicion);
    sqlx::pool::PoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection: &mut DB::Connection, its| {
            let concerns = suspicion.concerns(its.idle_for);
            Box::pin(async move {
                if concerns {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}
