//! The smallest application: a counter for each visitor, in memory.
//!
//! ```sh
//! cargo run -p counter
//! curl -c jar -b jar http://127.0.0.1:8080/    # 1
//! curl -c jar -b jar http://127.0.0.1:8080/    # 2
//! curl http://127.0.0.1:8080/                  # 1: another visitor
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::{MemoryStore, SessionConfig, SessionManager};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

async fn count(session: Session) -> Result<String, Error> {
    // Two requests at once count to two: the closure runs again for whoever comes second.
    let n = session
        .transact(|s| {
            let n = s.get::<u64>("count")?.unwrap_or(0) + 1;
            s.insert("count", n)?;
            Ok(n)
        })
        .await?;
    Ok(format!("{n}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // Why a request failed is told here alone; stdout has the address.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .init();

    let config = SessionConfig::builder()
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(MemoryStore::new(), config);
    // Removes what has expired, for as long as this is kept.
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let app = Router::new()
        .route("/", get(count))
        .layer(SessionLayer::new(sessions));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
