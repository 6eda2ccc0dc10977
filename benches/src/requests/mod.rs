//! Requests in process: what a session costs above the bare framework.
//!
//! A request is made, sent through the application in process and awaited; what a session costs
//! is the difference to [`bare`](Framework::bare), the same routes, handlers and headers without
//! a session layer.

mod actix;
mod axum;
mod measured;

use std::fmt;
use std::time::Duration;

use session_core::{Error, KeyRing, MemoryStore, Session, SessionConfig, SessionManager};

pub use actix::Actix;
pub use axum::Axum;
pub use measured::{Counter, FIGURES, measure_all};

/// An application of the routes of [`Work`] and `/fill/small` and `/fill/large`, under one
/// framework.
#[expect(async_fn_in_trait, reason = "benches run on one thread")]
pub trait Framework {
    /// Its name.
    const NAME: &'static str;
    /// The application.
    type App;
    /// A request that is ready to be sent.
    type Request;
    /// What comes back.
    type Response;

    /// The routes without sessions.
    async fn bare() -> Self::App;

    /// The routes with sessions.
    async fn with_sessions(manager: &SessionManager) -> Self::App;

    /// A request for `path`, with a cookie as the session layer set it.
    fn request(path: &'static str, cookie: Option<&str>) -> Self::Request;

    /// Sends one request through the application.
    async fn send(app: &mut Self::App, request: Self::Request) -> Self::Response;

    /// The value of `Set-Cookie`.
    fn set_cookie(response: &Self::Response) -> Option<&str>;

    /// Makes a session of this size and returns its cookie, as a browser would send it back.
    ///
    /// # Panics
    ///
    /// If no cookie is set.
    async fn filled(app: &mut Self::App, size: Size) -> String {
        let path = match size {
            Size::Small => "/fill/small",
            Size::Large => "/fill/large",
        };
        let response = Self::send(app, Self::request(path, None)).await;
        let text = Self::set_cookie(&response).expect("a session was made");
        text.split(';')
            .next()
            .expect("split yields at least one part")
            .to_owned()
    }
}

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

fn read(session: &Session) -> Result<&'static str, Error> {
    let value: Option<String> = session.get("key01")?;
    Ok(if value.is_some() { "ok" } else { "none" })
}

fn write(session: &Session) -> Result<&'static str, Error> {
    session.insert("key01", "wwwwwwwwwwwwwwwwwwwwwwwww")?;
    Ok("ok")
}

fn fill(session: &Session, size: &str) -> Result<&'static str, Error> {
    let size = if size == "large" {
        Size::Large
    } else {
        Size::Small
    };
    for (key, value) in size.entries() {
        session.insert(&key, value)?;
    }
    Ok("ok")
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
