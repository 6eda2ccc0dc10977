//! MySQL and MariaDB: a pool whose statements the server commits, and gives up in time.

use std::sync::Arc;

use session_core::Error;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use super::{check_parameters, connected, failed, opener, server, statement_millis};
use crate::config::SqlConfig;
use crate::dialect::Database;
use crate::pool::SqlPool;

pub(super) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    check_parameters(url, &PARAMETERS)?;
    let options: MySqlConnectOptions = url.parse().map_err(|error| failed(None, error))?;
    let server = server(
        url,
        options.get_host(),
        options.get_port(),
        options.get_socket(),
    );
    let settings: Arc<str> = settings(statement_millis(config)?).into();
    let opener = opener::<sqlx::MySql>(config.connections, config)
        .after_connect(move |connection, _| {
            let settings = AssertSqlSafe(Arc::clone(&settings));
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        .connect_lazy_with(options.disable_statement_logging());
    connected(Database::MySql, server.as_deref(), opener).await
}

/// A server may be set not to commit by itself: what was done would be undone when its connection
/// ends. Each of the two reads its own kind of comment.
fn settings(millis: u32) -> String {
    let seconds = f64::from(millis) / 1000.0;
    let whole = (millis / 1000).max(1);
    format!(
        "SET SESSION autocommit = 1, SESSION innodb_lock_wait_timeout = {whole} \
         /*M!, SESSION max_statement_time = {seconds} */ \
         /*!80000 , SESSION max_execution_time = {millis} */"
    )
}

/// Those that sqlx reads.
const PARAMETERS: [&str; 14] = [
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "charset",
    "collation",
    "statement-cache-capacity",
    "socket",
    "timezone",
    "time-zone",
];
