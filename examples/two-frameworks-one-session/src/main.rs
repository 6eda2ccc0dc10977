//! An axum application and an actix-web application that share their sessions.
//!
//! Here one program serves both, each on a port of its own. As two programs they only need a
//! store that both can open (`file:`, `sqlite:`, a database or Redis) and the same
//! configuration. A browser sends its cookie to every port of a host, and to both applications
//! behind one reverse proxy.
//!
//! ```sh
//! cargo run -p two-frameworks-one-session -- 127.0.0.1:8080 127.0.0.1:8081 file:./sessions
//! curl -c jar -b jar http://127.0.0.1:8080/    # axum counts 1
//! curl -c jar -b jar http://127.0.0.1:8081/    # actix-web counts 2
//! curl -c jar -b jar http://127.0.0.1:8080/    # axum counts 3
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use axum::Router;
use axum::routing::get;
use session_kit::{Error, Session, SessionConfig, SessionManager, connect};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// What both do; of two requests at once, also of one under each, none is lost.
async fn count(session: &Session) -> Result<u64, Error> {
    session
        .transact(|s| {
            let n = s.get::<u64>("count")?.unwrap_or(0) + 1;
            s.insert("count", n)?;
            Ok(n)
        })
        .await
}

async fn under_axum(
    session: session_kit::axum::Session,
) -> Result<String, session_kit::axum::Error> {
    Ok(format!("axum counts {}\n", count(&session).await?))
}

async fn under_actix(
    session: session_kit::actix::Session,
) -> Result<String, session_kit::actix::Error> {
    Ok(format!("actix-web counts {}\n", count(&session).await?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // Why a request failed is told here alone; stdout has the address.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .init();

    let mut args = std::env::args().skip(1);
    let mut next = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let (first, second) = (next("127.0.0.1:8080"), next("127.0.0.1:8081"));

    let config = SessionConfig::builder()
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(connect(&next("memory:")).await?, config);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));

    let layer = session_kit::axum::SessionLayer::new(sessions.clone());
    let app = Router::new().route("/", get(under_axum)).layer(layer);
    let listener = TcpListener::bind(first).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let axum = async { axum::serve(listener, app).await };

    let app = move || {
        let layer = session_kit::actix::SessionLayer::new(sessions.clone());
        let route = web::get().to(under_actix);
        App::new().wrap(layer).route("/", route)
    };
    let server = HttpServer::new(app).bind(second)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    let actix = server.run();

    // Ctrl-C stops both: actix-web listens for it and ends, and so does the program.
    tokio::select! {
        ended = axum => Ok(ended?),
        ended = actix => Ok(ended?),
    }
}
