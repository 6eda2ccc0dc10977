//! A login that answers with its token, for apps that are no browser.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderMap, USER_AGENT, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::http::Transport;
use session_kit::{Owner, SessionConfig, SessionConfigBuilder, SessionManager};

/// How long an app may lie unused.
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

#[derive(Serialize)]
struct SignedIn {
    token: String,
}

async fn login(
    State(sessions): State<SessionManager>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(given): Json<Credentials>,
) -> Result<Response, Error> {
    if !is_password_of(&given.name, &given.password) {
        return Ok((StatusCode::FORBIDDEN, "wrong name or password\n").into_response());
    }
    // What a list of devices shows.
    let agent = headers.get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let new = sessions.begin(Some(peer.ip()), agent)?;
    new.login(Owner::new(given.name)?);
    new.remember(MONTH)?;
    let token = new.issue().await?.token;
    // No layer sees that there is a token in this body.
    let no_store = [(CACHE_CONTROL, "no-store")];
    Ok((no_store, Json(SignedIn { token })).into_response())
}

/// The sessions of apps, which send `Authorization: Bearer TOKEN`.
pub fn config() -> SessionConfigBuilder {
    SessionConfig::builder().transport(Transport::Bearer("x-session-token".to_owned()))
}

/// The login, outside of the layer since it asks for no session, and what is behind it.
pub fn routes(sessions: SessionManager) -> Router {
    Router::new()
        .route("/api/account", get(account))
        .route("/api/logout", post(logout))
        .layer(SessionLayer::new(sessions.clone()))
        .route("/api/login", post(login))
        .with_state(sessions)
}

async fn account(session: Session) -> Response {
    let sign_in = [(WWW_AUTHENTICATE, "Bearer")];
    match session.owner() {
        Some(user) => format!("the account of {user}\n").into_response(),
        None => (StatusCode::UNAUTHORIZED, sign_in).into_response(),
    }
}

async fn logout(session: Session) -> StatusCode {
    session.logout();
    StatusCode::NO_CONTENT
}

/// Stands in for a look at the database and a password hash such as Argon2.
fn is_password_of(name: &str, password: &str) -> bool {
    (name, password) == ("ada", "lovelace")
}
