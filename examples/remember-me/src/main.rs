//! Staying signed in: the box under the password decides how long the cookie and the session
//! live.
//!
//! - Not ticked: the browser forgets the cookie when it is closed (no `Max-Age`), and the session
//!   ends after 30 minutes without a request.
//! - Ticked: the cookie has a `Max-Age` of 30 days, the session ends after 30 days without a
//!   request, and each visit begins both anew.
//!
//! A token that lives for a month is worth stealing. With `renew_every` the client gets a new one
//! every hour in which it comes, and the one before it dies soon after: a copy works for an hour
//! and not for a month, or its user is suddenly signed out and knows. Whatever is worth more than
//! that asks for the password again.
//!
//! ```sh
//! cargo run -p remember-me -- 127.0.0.1:8080 file:./sessions
//! at=http://127.0.0.1:8080
//! curl -i -d 'name=ada&password=lovelace' $at/login
//! #   set-cookie: sid=TOKEN; Path=/; HttpOnly; SameSite=Lax
//! curl -i -c jar -d 'name=ada&password=lovelace&remember=on' $at/login
//! #   set-cookie: sid=TOKEN; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax
//! curl -b jar $at/
//! #   hello ada, come again within 43200 minutes
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::axum::{CsrfLayer, Error, Session, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{Owner, SessionConfig, SessionManager, connect};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

const MINUTE: Duration = Duration::from_secs(60);
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// Present when the box "stay signed in" is ticked.
    remember: Option<String>,
}

async fn login(session: Session, Form(form): Form<Credentials>) -> Result<Response, Error> {
    // Stands in for a look at the database and a password hash such as Argon2.
    if (form.name.as_str(), form.password.as_str()) != ("ada", "lovelace") {
        return Ok((StatusCode::FORBIDDEN, "wrong name or password\n").into_response());
    }
    session.login(Owner::new(form.name)?);
    // Not ticked is an answer, too: of who signed in before, the box may have been ticked.
    session.remember(form.remember.map(|_| REMEMBERED))?;
    Ok("signed in\n".into_response())
}

async fn home(session: Session) -> String {
    let (Some(user), Some(ends)) = (session.owner(), session.expires_at()) else {
        return "hello stranger\n".to_owned();
    };
    let left = SystemTime::from(ends).duration_since(SystemTime::now());
    let minutes = left.unwrap_or_default().as_secs().div_ceil(60);
    format!("hello {user}, come again within {minutes} minutes\n")
}

async fn logout(session: Session) -> &'static str {
    session.logout();
    "goodbye\n"
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
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let store = args.next().unwrap_or_else(|| "memory:".to_owned());

    let config = SessionConfig::builder()
        .timeout(30 * MINUTE)
        .renew_every(60 * MINUTE)
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(connect(&store).await?, config);
    let _sweeper = sessions.start_sweeper(MINUTE);
    // A form of another site could sign the visitor in as somebody else: browsers say where it is from.
    let guard = CsrfGuard::builder().headers_only(true).build()?;
    let app = Router::new()
        .route("/", get(home))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .layer(CsrfLayer::new(guard))
        .layer(SessionLayer::new(sessions));

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
