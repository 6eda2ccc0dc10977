//! Signing in and out under axum, staying signed in, and ending one's sessions on other devices.
//!
//! `login` gives the client a new secret and binds the session to the user: a token that was
//! planted or stolen before is worth nothing after it. The user's sessions can then be listed
//! and ended, on whatever store the second argument names. `examples/actix-login` has the same
//! routes under actix-web.
//!
//! ```sh
//! cargo run -p axum-login -- 127.0.0.1:8080 file:./sessions
//! at=http://127.0.0.1:8080
//! curl -c laptop -b laptop -d 'name=ada&password=wrong' $at/login       # wrong name or password
//! curl -c laptop -b laptop -d 'name=ada&password=lovelace' $at/login    # hello ada
//! curl -c phone -b phone -d 'name=ada&password=lovelace&remember=on' $at/login
//! curl -b laptop $at/devices             # two lines, the latest used first; * is the laptop itself:
//!                                        #   ID_OF_PHONE, 1 s ago, curl/8.5.0
//!                                        # * ID_OF_LAPTOP, 2 s ago, curl/8.5.0
//! curl -b laptop -d id=ID_OF_PHONE $at/devices/revoke  # ended 1; of the laptop itself: goodbye
//! curl -b phone $at/                     # hello stranger
//! curl -b laptop -X POST $at/devices/revoke-others     # ended 0
//! curl -c laptop -b laptop -X POST $at/devices/revoke-all    # goodbye, everywhere
//! curl -b laptop $at/                    # hello stranger
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::axum::{CsrfLayer, Error, Session, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{
    OnTooMany, Owner, SessionConfig, SessionConfigBuilder, SessionId, SessionManager, connect,
};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

#[cfg(test)]
mod tests;

/// Who is signed in. A handler that takes it is only for them: others are asked to sign in.
struct User(Owner);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = <Session>::from_request_parts(parts, state).await;
        let session = session.map_err(IntoResponse::into_response)?;
        let sign_in_first = || (StatusCode::UNAUTHORIZED, "please sign in\n").into_response();
        session.owner().map(Self).ok_or_else(sign_in_first)
    }
}

async fn home(session: Session) -> String {
    match session.owner() {
        Some(user) => format!("hello {user}\n"),
        None => "hello stranger\n".to_owned(),
    }
}

/// How long those stay signed in who tick the box.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// Present when the box "stay signed in" is ticked.
    remember: Option<String>,
}

async fn login(session: Session, Form(form): Form<Credentials>) -> Result<Response, Error> {
    if !is_password_of(&form.name, &form.password) {
        return Ok((StatusCode::FORBIDDEN, "wrong name or password\n").into_response());
    }
    let hello = format!("hello {}\n", form.name);
    session.login(Owner::new(form.name)?);
    session.remember(form.remember.map(|_| REMEMBERED))?;
    Ok(hello.into_response())
}

/// Stands in for a look at the database and a password hash such as Argon2.
fn is_password_of(name: &str, password: &str) -> bool {
    [("ada", "lovelace"), ("grace", "hopper")].contains(&(name, password))
}

async fn logout(session: Session) -> &'static str {
    session.logout();
    "goodbye\n"
}

/// One line for each of the user's sessions, the present one marked with a `*`.
async fn devices(
    State(sessions): State<SessionManager>,
    User(user): User,
    session: Session,
) -> Result<String, Error> {
    let mut lines = String::new();
    for device in sessions.sessions_of(&user).await? {
        let here = session.id() == Some(device.id);
        let mark = if here { '*' } else { ' ' };
        let ago = sessions.now().since(device.accessed_at).as_secs();
        let agent = device.agent.as_deref().unwrap_or("unknown");
        lines += &format!("{mark} {}, {ago} s ago, {agent}\n", device.id);
    }
    // As plain text: a user agent is whatever its client says, and must not become markup.
    Ok(lines)
}

#[derive(Deserialize)]
struct Device {
    id: String,
}

/// Ends one of the user's sessions; somebody else's is out of reach.
async fn revoke(
    State(sessions): State<SessionManager>,
    User(user): User,
    session: Session,
    Form(device): Form<Device>,
) -> Result<Response, Error> {
    let Ok(id) = device.id.parse::<SessionId>() else {
        return Ok((StatusCode::BAD_REQUEST, "no such id\n").into_response());
    };
    if session.id() == Some(id) {
        // One's own: a logout removes the cookie, too.
        session.logout();
        return Ok("goodbye\n".into_response());
    }
    let ended = sessions.revoke_of(&user, &id).await?;
    Ok(format!("ended {}\n", u8::from(ended)).into_response())
}

/// Ends the user's sessions on all other devices.
async fn revoke_others(
    State(sessions): State<SessionManager>,
    User(user): User,
    session: Session,
) -> Result<String, Error> {
    let ended = sessions.revoke_owner(&user, session.id().as_ref()).await?;
    Ok(format!("ended {ended}\n"))
}

/// Ends the user's sessions on all devices, this one included.
async fn revoke_all(
    State(sessions): State<SessionManager>,
    User(user): User,
    session: Session,
) -> Result<&'static str, Error> {
    sessions.revoke_owner(&user, session.id().as_ref()).await?;
    session.logout();
    Ok("goodbye, everywhere\n")
}

fn config() -> SessionConfigBuilder {
    SessionConfig::builder()
        .timeout(Duration::from_secs(30 * 60))
        // A sixth device signs the one out that was used longest ago.
        .owner_sessions_max(5, OnTooMany::EndOldest)
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
}

fn app(sessions: SessionManager) -> Result<Router, session_kit::Error> {
    // A form of another site could sign the visitor in as somebody else: browsers say where it is from.
    let guard = CsrfGuard::builder().headers_only(true).build()?;
    Ok(Router::new()
        .route("/", get(home))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/devices", get(devices))
        .route("/devices/revoke", post(revoke))
        .route("/devices/revoke-others", post(revoke_others))
        .route("/devices/revoke-all", post(revoke_all))
        .layer(CsrfLayer::new(guard))
        .layer(SessionLayer::new(sessions.clone()))
        .with_state(sessions))
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

    let sessions = SessionManager::new(connect(&store).await?, config().build()?);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let app = app(sessions)?;

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
