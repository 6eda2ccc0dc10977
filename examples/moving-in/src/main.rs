//! Moving in from web.py, while users stay signed in.
//!
//! A visitor who comes with web.py's cookie, and without one of ours, brings the old session: its
//! values go into a new one, under a new secret, and the old one is removed. Nothing of the old
//! store works as a cookie of ours, and the old cookie works once.
//!
//! A browser may send several requests at once, all of them with the old cookie. One moves in; the
//! others must not begin sessions of their own, whose cookies would replace the one that it gets. They
//! are sent back, once, and find it in the browser by then.
//!
//! ```sh
//! cp -r session-import/tests/vectors/web_py/python3-plain /tmp/old-sessions
//! cargo run -p moving-in -- 127.0.0.1:8080 /tmp/old-sessions file:./sessions
//! old=webpy_session_id=0123456789abcdef0123456789abcdef01234567
//! curl -L -c jar -b jar -H "Cookie: $old" http://127.0.0.1:8080/     # hello ada, visit 4
//! curl -c jar -b jar http://127.0.0.1:8080/                          # hello ada, visit 5
//! curl -L -c other -b other -H "Cookie: $old" http://127.0.0.1:8080/ # hello stranger, visit 1
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::import::ImportErrorKind;
use session_kit::import::web_py::DiskStore;
use session_kit::{Clock, Owner, SessionConfig, SessionManager, connect};
use tokio::net::TcpListener;
use tokio::task::block_in_place;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// web.py's `cookie_name`.
const OLD_COOKIE: &str = "webpy_session_id";

/// Tells who was sent back already.
const SENT_BACK: &str = "moving_in";

/// web.py's `timeout`. Its store keeps sessions for up to twice as long.
const OLD_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

async fn home(session: Session) -> Result<String, Error> {
    let count = session
        .transact(|s| {
            let count = s.get::<u64>("count")?.unwrap_or(0) + 1;
            s.insert("count", count)?;
            Ok(count)
        })
        .await?;
    Ok(match session.owner() {
        Some(user) => format!("hello {user}, visit {count}\n"),
        None => format!("hello stranger, visit {count}\n"),
    })
}

async fn logout(session: Session) -> &'static str {
    session.logout();
    "goodbye\n"
}

/// Lets visitors with an old session move in, before anything else looks at the request.
async fn move_in(
    State(old_store): State<DiskStore>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    // Most requests have no old cookie, and cost no more than this look.
    let Some(old_id) = cookie(request.headers(), OLD_COOKIE) else {
        return Ok(next.run(request).await);
    };
    let was_sent_back = cookie(request.headers(), SENT_BACK).is_some();
    let (mut parts, body) = request.into_parts();
    let session = Session::from_request_parts(&mut parts, &()).await?;
    let old = if session.is_new() {
        bring(&session, &old_store, &old_id).await?
    } else {
        Old::OfNoUse
    };
    // The browser comes back at once, method and body as before (RFC 9110 section 15.4.8).
    let target = parts.uri.path_and_query().map_or("/", |uri| uri.as_str());
    let again = Redirect::temporary(&on_this_site(target));
    let mut response = match old {
        // The new cookie goes with this answer, whatever the handler would have answered.
        Old::Moved => again.into_response(),
        // No session begins here: its cookie could replace the one that is on its way with the answer
        // to another request. Only if that takes longer than this way back and here again, the
        // visitor has to sign in once more.
        Old::Gone if !was_sent_back => {
            let mark = format!("{SENT_BACK}=1; Path=/; Max-Age=10; HttpOnly");
            return Ok(([(SET_COOKIE, mark)], again).into_response());
        }
        Old::Gone | Old::OfNoUse => next.run(Request::from_parts(parts, body)).await,
    };
    // Moved, dead or of no use beside ours: the old cookie need not come again.
    let removal = HeaderValue::from_static("webpy_session_id=; Path=/; Max-Age=0; HttpOnly");
    response.headers_mut().append(SET_COOKIE, removal);
    Ok(response)
}

/// What became of the session that the old cookie names.
enum Old {
    Moved,
    /// Another request took it, perhaps one of the same browser's a moment ago, or it never was.
    Gone,
    /// It is too old, cannot be read, or there is one of ours.
    OfNoUse,
}

/// Copies the old session into `session`, stores it, and only then removes the old one.
async fn bring(session: &Session, old_store: &DiskStore, old_id: &str) -> Result<Old, Error> {
    let old = match block_in_place(|| old_store.read(old_id)) {
        Ok(Some(old)) => old,
        Ok(None) => return Ok(Old::Gone),
        Err(error) if error.kind() == ImportErrorKind::Unavailable => {
            return Err(session_kit::Error::from(error).into());
        }
        // It stays where it is, to be looked into; the visitor signs in again.
        Err(error) => {
            eprintln!("{error}");
            return Ok(Old::OfNoUse);
        }
    };
    let now = Clock::system().now();
    if old.accessed_at.is_none_or(|at| now.since(at) > OLD_TIMEOUT) {
        return Ok(Old::OfNoUse);
    }
    for skipped in &old.skipped {
        eprintln!("moving in: {skipped}");
    }
    // Where the old application kept who is signed in.
    let user = old.get::<String>("user")?;
    old.into_session(session)?;
    if let Some(user) = user {
        session.login(Owner::new(user)?);
    }
    // The values are stored before anything is removed. The login comes with the answer: if that
    // fails, the visitor signs in again.
    session.save().await?;
    let removed = block_in_place(|| old_store.remove(old_id)).unwrap_or_else(|error| {
        eprintln!("{error}");
        false
    });
    if !removed {
        // Another request with the same cookie was faster, and keeps what it brought. Nor may
        // anything come over that could come over again.
        session.destroy();
        return Ok(Old::Gone);
    }
    Ok(Old::Moved)
}

/// The target as a place to be sent to. To a browser `//host` and `/\host` are other sites, and
/// whoever makes up a link chooses how its path begins.
fn on_this_site(target: &str) -> String {
    format!("/{}", target.trim_start_matches(['/', '\\']))
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut values =
        lines.flat_map(|line| session_kit::http::values(line.as_bytes(), name.as_bytes()));
    String::from_utf8(values.next()?.to_vec()).ok()
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
    let old_sessions = args.next().unwrap_or_else(|| "./old-sessions".to_owned());
    let url = args.next().unwrap_or_else(|| "memory:".to_owned());

    let config = SessionConfig::builder()
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(connect(&url).await?, config);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let old_store = DiskStore::open(old_sessions)?;
    let app = Router::new()
        .route("/", get(home))
        .route("/logout", post(logout))
        .layer(from_fn_with_state(old_store, move_in))
        .layer(SessionLayer::new(sessions));

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
