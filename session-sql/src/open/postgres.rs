//! PostgreSQL: a pool whose statements the server gives up in time.

use std::sync::Arc;

use session_core::Error;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::{failed, pool_options};
use crate::at_hand::AtHand;
use crate::config::SqlConfig;
use crate::dialect::Database;
use crate::pool::{Pools, Source, SqlPool};
use crate::suspicion::Suspicion;

pub(super) async fn open(url: &str, config: &SqlConfig) -> Result<SqlPool, Error> {
    let mut options: PgConnectOptions = url.parse().map_err(failed)?;
    // Who turns the cache of statements off is behind a proxy that hands each transaction to
    // another connection; such a one refuses settings of a connection.
    if !url.contains("statement-cache-capacity=0") {
        let most = config.statement_timeout.as_millis().max(1).to_string();
        options = options.options([("statement_timeout", most)]);
    }
    let suspicion = Arc::new(Suspicion::new());
    let pool = pool_options::<sqlx::Postgres>(config, &suspicion)
        .connect_with(options.disable_statement_logging())
        .await
        .map_err(failed)?;
    let at_hand = AtHand::new(pool).suspecting(Arc::clone(&suspicion));
    let source = Source::Own(Arc::new(at_hand));
    Ok(SqlPool::new(Pools {
        database: Database::Postgres,
        readers: source.clone(),
        writers: source,
        suspicion: Some(suspicion),
    }))
}
