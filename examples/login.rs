//! Signing in and out, on whatever store a URL names.
//!
//! `login` gives the client a new secret and binds the session to the user, so that a planted or
//! stolen token from before is worth nothing after it.
//!
//! ```sh
//! cargo run --example login -- 127.0.0.1:8080 file:./sessions
//! curl -c jar -b jar -d name=ada -d password=lovelace http://127.0.0.1:8080/login
//! curl -c jar -b jar http://127.0.0.1:8080/
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::{Owner, SessionConfig, SessionManager, connect};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// Present when the box "stay signed in" is ticked.
    remember: Option<String>,
}

async fn home(session: Session) -> String {
    match session.owner() {
        Some(user) => format!("hello {user}\n"),
        None => "hello stranger\n".to_owned(),
    }
}

async fn login(session: Session, Form(form): Form<Credentials>) -> Result<Response, Error> {
    // A real application compares with a password hash from its database.
    if (form.name.as_str(), form.password.as_str()) != ("ada", "lovelace") {
        return Ok((StatusCode::FORBIDDEN, "wrong name or password\n").into_response());
    }
    session.login(Owner::new(form.name)?);
    if form.remember.is_some() {
        session.remember(Duration::from_secs(30 * 24 * 60 * 60))?;
    }
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: Session) -> Redirect {
    session.logout();
    Redirect::to("/")
}

/// Ends this user's sessions on all devices, this one included.
async fn logout_everywhere(
    State(sessions): State<SessionManager>,
    session: Session,
) -> Result<Redirect, Error> {
    if let Some(user) = session.owner() {
        sessions.revoke_owner(&user, session.id().as_ref()).await?;
        session.logout();
    }
    Ok(Redirect::to("/"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let url = args.next().unwrap_or_else(|| "memory:".to_owned());

    let config = SessionConfig::builder()
        .timeout(Duration::from_secs(30 * 60))
        .absolute_timeout(Duration::from_secs(12 * 60 * 60))
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(connect(&url).await?, config);
    let sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let app = Router::new()
        .route("/", get(home))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/logout-everywhere", post(logout_everywhere))
        .layer(SessionLayer::new(sessions.clone()))
        .with_state(sessions);

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    sweeper.stop().await;
    Ok(())
}
