//! The workloads that the benches share.
//!
//! A request is made, sent through the router in process and awaited; what a session costs is
//! the difference to [`bare`], the same router, handlers and headers without a session layer.

use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use session_axum::{Error, Session, SessionLayer};
use session_core::{KeyRing, MemoryStore, SessionConfig, SessionManager};
use tower::{Service, ServiceExt};

/// How much a session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 3 keys, about 120 bytes.
    Small,
    /// 50 keys, about 8 KB.
    Large,
}

impl Size {
    /// Both sizes.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// The keys and values of a session of this size.
    #[must_use]
    pub fn entries(self) -> Vec<(String, String)> {
        let (keys, bytes) = match self {
            Self::Small => (3, 25),
            Self::Large => (50, 148),
        };
        (0..keys)
            .map(|n| (format!("key{n:02}"), "v".repeat(bytes)))
            .collect()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Large => "large",
        })
    }
}

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The handler asks for no session.
    Untouched,
    /// The handler reads one key.
    Read,
    /// The handler changes one key, which is saved.
    Write,
    /// The handler stores a key in a session that is new.
    New,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Untouched, Self::Read, Self::Write, Self::New];

    /// The path of the route that does it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Untouched => "/untouched",
            Self::Read => "/read",
            Self::Write => "/write",
            Self::New => "/new",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path()[1..])
    }
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(session: Session) -> Result<&'static str, Error> {
    let value: Option<String> = session.get("key01")?;
    Ok(if value.is_some() { "ok" } else { "none" })
}

async fn write(session: Session) -> Result<&'static str, Error> {
    session.insert("key01", "wwwwwwwwwwwwwwwwwwwwwwwww")?;
    Ok("ok")
}

/// The routes without sessions.
pub fn bare() -> Router {
    Work::ALL.into_iter().fold(Router::new(), |router, work| {
        router.route(work.path(), get(untouched))
    })
}

/// The routes with sessions.
pub fn with_sessions(manager: &SessionManager) -> Router {
    Router::new()
        .route("/untouched", get(untouched))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/new", get(write))
        .route(
            "/fill/{size}",
            get(
                async |axum::extract::Path(size): axum::extract::Path<String>, session: Session| {
                    let size = if size == "large" {
                        Size::Large
                    } else {
                        Size::Small
                    };
                    for (key, value) in size.entries() {
                        session.insert(&key, value)?;
                    }
                    Ok::<_, Error>("ok")
                },
            ),
        )
        .layer(SessionLayer::new(manager.clone()))
}

/// A manager of signed tokens over memory.
///
/// # Panics
///
/// If the configuration is refused.
#[must_use]
pub fn manager() -> SessionManager {
    let keys = KeyRing::generate().expect("the system gives random bytes");
    let config = SessionConfig::builder()
        .secret_key(keys)
        .timeout(Duration::from_secs(24 * 60 * 60))
        .build()
        .expect("the configuration is good");
    SessionManager::new(MemoryStore::new(), config)
}

/// A request for `path`, with a cookie as the session layer set it.
///
/// # Panics
///
/// If the header is malformed.
#[must_use]
pub fn request(path: &'static str, cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::get(path).header("user-agent", "bench/1.0");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    request
        .body(Body::empty())
        .expect("the request is well-formed")
}

/// Sends one request through the router.
///
/// # Panics
///
/// Never: a router is infallible.
pub async fn send(router: &mut Router, request: Request<Body>) -> Response<Body> {
    let ready: &mut Router = ServiceExt::<Request<Body>>::ready(router)
        .await
        .expect("infallible");
    ready.call(request).await.expect("infallible")
}

/// Makes a session of this size and returns its cookie, as a browser would send it back.
///
/// # Panics
///
/// If no cookie is set.
pub async fn filled(router: &mut Router, size: Size) -> String {
    let path = match size {
        Size::Small => "/fill/small",
        Size::Large => "/fill/large",
    };
    let response = send(router, request(path, None)).await;
    let set = response
        .headers()
        .get("set-cookie")
        .expect("a session was made");
    let text = set.to_str().expect("cookies are ASCII");
    text.split(';')
        .next()
        .expect("split yields at least one part")
        .to_owned()
}
