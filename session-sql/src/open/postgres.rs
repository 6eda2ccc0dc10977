//! PostgreSQL: a pool whose statements the server gives up in time.

use std::num::NonZeroUsize;

use session_core::Error;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::{
    CONNECTING, check_parameters, connected, failed, invalid, opener, parameters, server,
    statement_millis,
};
use crate::config::SqlConfig;
use crate::dialect::Database;
use crate::pool::SqlPool;

pub(super) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    check_parameters(url, &PARAMETERS)?;
    check_cache(url)?;
    let millis = statement_millis(config)?;
    let options: PgConnectOptions = url.parse().map_err(|error| failed(None, error))?;
    let server = server(
        url,
        options.get_host(),
        options.get_port(),
        options.get_socket(),
    );
    let options = options.options([("statement_timeout", millis.to_string())]);
    let opener = opener::<sqlx::Postgres>(config.connections, config);
    let opener = opener.connect_lazy_with(options.disable_statement_logging());
    connected(Database::Postgres, server.as_deref(), opener).await
}

/// Refuses a URL that turns the cache of statements off, in whatever spelling.
///
/// sqlx then prepares a statement under a new name each time and closes none. Who wants it off is
/// behind a proxy that hands each transaction to another connection, where the name may be another
/// client's statement.
fn check_cache(url: &str) -> Result<(), Error> {
    let refused = parameters(url)
        .filter(|(name, _)| *name == CACHE)
        .any(|(_, capacity)| capacity.parse::<NonZeroUsize>().is_err());
    if refused {
        return Err(invalid(format!(
            "{CONNECTING}: its URL has a `{CACHE}` that is no number above 0: leave it out; \
             behind PgBouncer use session mode, or from its version 1.21 on `max_prepared_statements`"
        )));
    }
    Ok(())
}

const CACHE: &str = "statement-cache-capacity";

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
    CACHE,
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
