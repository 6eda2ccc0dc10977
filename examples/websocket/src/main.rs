//! A WebSocket and a stream of events that use a session and end with it.
//!
//! Both outlive their request, and keep its `Session`: `transact` stores at once, `reload`
//! fetches what others have stored. A signed-out user must not go on talking, so the socket waits
//! for `ended`, which resolves at once when this process ends the session and within a second when
//! another one does; the stream reloads every second and ends when there is nothing to load.
//!
//! Neither looking nor reloading is an access: an open socket alone does not keep a session from
//! running out. What is said on it does, by `touch`.
//!
//! ```sh
//! cargo run -p websocket      # and open http://127.0.0.1:8080 in two tabs
//! at=http://127.0.0.1:8080
//! curl -c jar -d name=ada $at/login                  # hello ada
//! curl -N -b jar $at/events                          # data: 0, and so on as messages are sent
//! curl -b jar -X POST $at/logout-everywhere          # goodbye, everywhere: the stream ends
//! ```

use std::convert::Infallible;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use futures_util::stream;
use serde::Deserialize;
use session_kit::axum::{CsrfLayer, Error, Session, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{ErrorKind, Key, Owner, SessionConfig, SessionManager, connect};
use tokio::net::TcpListener;
use tokio::time::interval;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// How many messages have been sent in this session, on all of its sockets.
const COUNT: Key<u64> = Key::new("count");

/// How soon a socket notices that another process has ended its session; a look costs one load.
const EVERY: Duration = Duration::from_secs(1);

/// `GET /socket`
async fn open_socket(session: Session, upgrade: WebSocketUpgrade) -> Response {
    if session.owner().is_none() {
        return (StatusCode::UNAUTHORIZED, "please sign in\n").into_response();
    }
    upgrade.on_upgrade(|socket| serve_socket(socket, session))
}

async fn serve_socket(mut socket: WebSocket, session: Session) {
    let outcome = tokio::select! {
        ended = session.ended(EVERY) => ended.map_err(Error::from),
        left = talk(&mut socket, &session) => left,
    };
    let (code, reason) = match outcome {
        Err(error) if error.kind() != ErrorKind::Gone => {
            (close_code::AGAIN, "sessions are unavailable at the moment")
        }
        _ => (close_code::POLICY, "the session has ended"),
    };
    let reason = reason.into();
    // A client that has left does not hear it.
    let _ = socket
        .send(Message::Close(Some(CloseFrame { code, reason })))
        .await;
}

/// Counts messages until the client leaves.
async fn talk(socket: &mut WebSocket, session: &Session) -> Result<(), Error> {
    while let Some(Ok(message)) = socket.recv().await {
        // Whatever it is, the user is there: the session must not expire under an open socket.
        session.touch().await?;
        let Message::Text(text) = message else {
            continue;
        };
        let count = session
            .transact(|s| {
                let count = s.get(COUNT)?.unwrap_or(0) + 1;
                s.insert(COUNT, count)?;
                Ok(count)
            })
            .await?;
        if socket
            .send(format!("{count}: {text}").into())
            .await
            .is_err()
        {
            break;
        }
    }
    Ok(())
}

/// `GET /events`: the count, every second, until the session ends.
async fn events(session: Session) -> Response {
    if session.owner().is_none() {
        return (StatusCode::UNAUTHORIZED, "please sign in\n").into_response();
    }
    let counts = stream::unfold((session, interval(EVERY)), async |(session, mut looks)| {
        looks.tick().await;
        // The stream ends with its session. An `EventSource` then asks anew and gets the 401.
        session.reload().await.ok()?;
        let count = session.get(COUNT).ok()?.unwrap_or(0);
        let event = Event::default().data(count.to_string());
        Some((Ok::<_, Infallible>(event), (session, looks)))
    });
    Sse::new(counts).into_response()
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// Without a password, which `examples/axum-login` has.
async fn login(session: Session, Form(form): Form<Name>) -> Result<String, Error> {
    let hello = format!("hello {}\n", form.name);
    session.login(Owner::new(form.name)?);
    Ok(hello)
}

async fn logout_everywhere(
    State(sessions): State<SessionManager>,
    session: Session,
) -> Result<&'static str, Error> {
    if let Some(user) = session.owner() {
        sessions.revoke_owner(&user, session.id().as_ref()).await?;
    }
    session.logout();
    Ok("goodbye, everywhere\n")
}

async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
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
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(connect(&store).await?, config);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    // A form of another site could sign the visitor in as somebody else, and a socket that its page opens
    // would be the visitor's: browsers say where a request is from.
    let guard = CsrfGuard::builder().headers_only(true).build()?;
    let app = Router::new()
        .route("/", get(page))
        .route("/login", post(login))
        .route("/logout-everywhere", post(logout_everywhere))
        .route("/socket", get(open_socket))
        .route("/events", get(events))
        .layer(CsrfLayer::new(guard))
        .layer(SessionLayer::new(sessions.clone()))
        .with_state(sessions);

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
