//! A JSON API whose clients keep no cookies: programs, phones, devices.
//!
//! The answer to a login carries the token in the header `x-session-token`; from then on the
//! client sends it as `Authorization: Bearer TOKEN`. No cookie is ever set or read, so nothing of
//! this can be sent by another site's page either. A client must be ready for a new token in any
//! answer, and keep it like a password.
//!
//! Some clients can do neither. `/reading` is for gauges whose firmware sends one fixed header,
//! `x-device: NUMBER;TOKEN`: there the token is found by a function of our own. It is the same
//! session on the same store, under a second manager whose configuration differs in just that.
//!
//! Whatever the way, keep tokens out of addresses (`?token=…`): these are written to logs, kept
//! in histories and passed on to other sites.
//!
//! ```sh
//! cargo run -p api-without-cookies -- 127.0.0.1:8080 file:./sessions
//! at=http://127.0.0.1:8080 json='content-type: application/json'
//! curl -i -H "$json" -d '{"name":"ada","password":"lovelace"}' $at/login
//! #   x-session-token: TOKEN
//! #   {"user":"ada"}
//! curl -H 'authorization: Bearer TOKEN' -H "$json" -d '"milk"' $at/notes      # ["milk"]
//! curl -H 'authorization: Bearer TOKEN' $at/notes                             # ["milk"]
//! curl -H 'x-device: 7;TOKEN' -H "$json" -d 21.5 $at/reading                  # {"mean":21.5}
//! curl -i -H 'authorization: Bearer TOKEN' -X POST $at/logout                 # 204
//! curl -i -H 'authorization: Bearer TOKEN' $at/notes                          # 401
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::http::{RequestHead, TokenTransport, Transport};
use session_kit::{Owner, SessionConfig, SessionManager, connect};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

#[derive(Serialize)]
struct SignedIn {
    user: String,
}

async fn login(session: Session, Json(given): Json<Credentials>) -> Result<Response, Error> {
    // Stands in for a look at the database and a password hash such as Argon2.
    if (given.name.as_str(), given.password.as_str()) != ("ada", "lovelace") {
        return Ok(refused(StatusCode::FORBIDDEN, "wrong name or password"));
    }
    session.login(Owner::new(&given.name)?);
    Ok(Json(SignedIn { user: given.name }).into_response())
}

async fn logout(session: Session) -> StatusCode {
    session.logout();
    StatusCode::NO_CONTENT
}

async fn notes(session: Session) -> Result<Response, Error> {
    if session.owner().is_none() {
        return Ok(refused(StatusCode::UNAUTHORIZED, "please sign in"));
    }
    let notes: Vec<String> = session.get("notes")?.unwrap_or_default();
    Ok(Json(notes).into_response())
}

async fn note(session: Session, Json(text): Json<String>) -> Result<Response, Error> {
    if session.owner().is_some() {
        session.append("notes", text)?;
    }
    notes(session).await
}

#[derive(Serialize)]
struct Mean {
    mean: f64,
}

/// What a gauge sends: a number, which is added to the session of whoever set the gauge up.
async fn reading(session: Session, Json(value): Json<f64>) -> Result<Response, Error> {
    if session.owner().is_none() {
        return Ok(refused(StatusCode::UNAUTHORIZED, "an unknown device"));
    }
    let mean = session
        .transact(|s| {
            let (count, sum) = s.get::<(u32, f64)>("readings")?.unwrap_or((0, 0.0));
            let (count, sum) = (count + 1, sum + value);
            s.insert("readings", (count, sum))?;
            Ok(sum / f64::from(count))
        })
        .await?;
    Ok(Json(Mean { mean }).into_response())
}

#[derive(Serialize)]
struct Refusal {
    error: &'static str,
}

fn refused(status: StatusCode, error: &'static str) -> Response {
    (status, Json(Refusal { error })).into_response()
}

/// The token behind the semicolon of `x-device: NUMBER;TOKEN`.
#[derive(Debug)]
struct DeviceHeader;

impl TokenTransport for DeviceHeader {
    fn read<'a>(&self, head: &'a dyn RequestHead, found: &mut dyn FnMut(&'a [u8])) {
        head.each_header("x-device", &mut |line| {
            if let Some(end) = line.iter().position(|byte| *byte == b';') {
                found(&line[end + 1..]);
            }
        });
    }

    /// Devices are given their token by whoever sets them up; an answer tells them none.
    fn write(&self, _token: &str, _life: Option<Duration>) -> Option<(String, String)> {
        None
    }

    fn remove(&self) -> Option<(String, String)> {
        None
    }

    fn vary(&self) -> Option<String> {
        Some("x-device".to_owned())
    }
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

    let store = connect(&store).await?;
    let found = |transport| SessionConfig::builder().transport(transport).build();
    let bearer = found(Transport::Bearer("x-session-token".to_owned()))?;
    let device = found(Transport::Custom(Arc::new(DeviceHeader)))?;

    let sessions = SessionManager::new(store.clone(), bearer);
    // What has expired is the store's, whoever's it was.
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let programs = Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/notes", get(notes).post(note))
        .layer(SessionLayer::new(sessions));
    let devices = Router::new()
        .route("/reading", post(reading))
        .layer(SessionLayer::new(SessionManager::new(store, device)));
    let app = programs.merge(devices);

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
