//! PostgreSQL: a pool whose statements the server gives up in time.

use session_core::Error;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::{check_parameters, connected, failed, opener, statement_millis};
use crate::config::SqlConfig;
use crate::dialect::Database;
use crate::pool::SqlPool;

pub(super) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    check_parameters(url, &PARAMETERS)?;
    let millis = statement_millis(config)?;
    let mut options: PgConnectOptions = url.parse().map_err(failed)?;
    // Who turns the cache of statements off is behind a proxy that hands each transaction to
    // another connection; such a one refuses settings of a connection.
    if !url.contains("statement-cache-capacity=0") {
        options = options.options([("statement_timeout", millis.to_string())]);
    }
    let opener = opener::<sqlx::Postgres>(config.connections, config);
    let opener = opener.connect_lazy_with(options.disable_statement_logging());
    connected(Database::Postgres, opener).await
}

/// Those that sqlx reads.
const PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "options[…]",
];
