//! The smallest application under actix-web: a counter for each visitor, in memory.
//!
//! ```sh
//! cargo run -p counter-actix
//! curl -c jar -b jar http://127.0.0.1:8080/    # 1
//! curl -c jar -b jar http://127.0.0.1:8080/    # 2
//! curl http://127.0.0.1:8080/                  # 1: another visitor
//! ```

use std::error::Error as StdError;
use std::time::Duration;

use actix_web::web::get;
use actix_web::{App, HttpServer};
use session_kit::actix::{Error, Session, SessionLayer};
use session_kit::{MemoryStore, SessionConfig, SessionManager};
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

#[actix_web::main]
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
    // One manager: the closure below makes an application for each worker thread.
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let app = move || {
        App::new()
            .wrap(SessionLayer::new(sessions.clone()))
            .route("/", get().to(count))
    };

    let address = std::env::args().nth(1);
    let server = HttpServer::new(app).bind(address.as_deref().unwrap_or("127.0.0.1:8080"))?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    Ok(server.run().await?)
}
