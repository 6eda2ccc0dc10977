//! An application on a store of its own, which `store.rs` has.
//!
//! A store is one trait with nine methods; `tests/conformance.rs` runs the suite that says whether
//! it is right. This one is a map behind a lock: begin with it, and replace the map.
//!
//! ```sh
//! cargo test -p custom-store
//! cargo run -p custom-store
//! curl -c jar -b jar http://127.0.0.1:8080/    # visit 1
//! curl -c jar -b jar http://127.0.0.1:8080/    # visit 2
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::{SessionConfig, SessionManager};
use tokio::net::TcpListener;

mod store;

use store::MapStore;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

async fn visits(session: Session) -> Result<String, Error> {
    // What is shown is what was stored: two visits at once are not both the first.
    let visits = session
        .transact(|s| {
            let visits = s.get::<u64>("visits")?.unwrap_or(0) + 1;
            s.insert("visits", visits)?;
            Ok(visits)
        })
        .await?;
    Ok(format!("visit {visits}\n"))
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
    let sessions = SessionManager::new(MapStore::default(), config);
    // Calls the store's `sweep`, for as long as this is kept.
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let app = Router::new()
        .route("/", get(visits))
        .layer(SessionLayer::new(sessions));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
