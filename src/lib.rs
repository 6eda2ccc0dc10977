//! Web sessions that lose no update and stay dead after logout: one [`Session`] over memory,
//! files, an embedded database, SQL or Redis, for axum and actix-web.
//!
//! Pick a framework and a store by feature, open the store by its URL, add one layer, and ask for
//! the session where it is needed:
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod shown {
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//! use session_kit::axum::{Error, Session, SessionLayer};
//! use session_kit::{SessionConfig, SessionManager, connect};
//!
//! async fn count(session: Session) -> Result<String, Error> {
//!     let n = session.transact(|s| {
//!         let n = s.get::<u64>("count")?.unwrap_or(0) + 1;
//!         s.insert("count", n)?;
//!         Ok(n)
//!     }).await?;
//!     Ok(n.to_string())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = connect("memory:").await?;
//!     let sessions = SessionManager::new(store, SessionConfig::builder().build()?);
//!     // Removes expired records, for as long as this is kept.
//!     let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
//!     let app = Router::new().route("/", get(count)).layer(SessionLayer::new(sessions));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     let app = app.into_make_service_with_connect_info::<SocketAddr>();
//!     Ok(axum::serve(listener, app).await?)
//! }
//! # pub fn run() { let _ = main(); } }
//! # fn main() {}
//! ```
//!
//! The cookie is `__Host-sid` and `Secure`, which some browsers and most other clients send over HTTPS
//! only. To develop over plain HTTP, as here, both have to change: `.secure(false).cookie_name("sid")`.
//!
//! Under actix-web the handler is the same, but for `session_kit::actix` in its imports, and the
//! layer wraps the application: `App::new().wrap(SessionLayer::new(sessions.clone()))`.
//!
//! Why a request failed is told to `tracing` alone, so an application installs a subscriber first:
//! `tracing_subscriber::fmt::init()`.
//!
//! [`guide`] has the options and calls of other session libraries, and what each is here; and
//! [a list](guide::deploying) of what to see to before others use an application.
//! `examples/` has smaller and larger programs; `cargo run` at the repository's root starts the
//! largest.
//!
//! What is re-exported here has examples of its own crate's: for `session_core::` write
//! `session_kit::`, and for `session_axum::`, `session_actix::`, `session_fs::`, `session_shelf::`,
//! `session_sql::`, `session_redis::` and `session_import::` write `session_kit::axum::`,
//! `session_kit::actix::` and so on.
//!
//! # Features
//!
//! | feature | gives | pulls in | default |
//! |---|---|---|---|
//! | – | the session, its manager and configuration, [`MemoryStore`], [`connect`] | tokio | always |
//! | `axum` | `session_kit::axum`: the layer and the extractors `Session` and `LazySession` | axum 0.8 | yes |
//! | `actix` | `session_kit::actix`: the same for actix-web | actix-web 4, without its default features | no |
//! | `fs` | `session_kit::fs` and `file:` URLs: sessions in files | rustix | yes |
//! | `shelf` | `session_kit::shelf` and `shelf:` URLs: sessions in an embedded database | sled | no |
//! | `redb` | the same on another engine, `redb:` URLs | redb | no |
//! | `sqlite`, `postgres`, `mysql` | `session_kit::sql` and URLs of these names; `mysql` is MariaDB, too | sqlx 0.9 | no |
//! | `redis` | `session_kit::redis` and `redis:`, `redis+unix:`, `redis+sentinel:` URLs | redis 1 | no |
//! | `redis-cluster` | `redis+cluster:` URLs | nothing more | no |
//! | `redis-pool` | a `deadpool_redis` pool of the application's own, or `?pool=16` in a URL | deadpool-redis 0.23 | no |
//! | `tls` | TLS to the servers of the stores that are on | rustls with ring | no |
//! | `encrypt` | `session_kit::wrap::Encrypted`: what is stored is sealed | chacha20poly1305 | no |
//! | `cached` | `session_kit::wrap::Cached`: a bounded cache in front of a slow store | nothing | no |
//! | `metrics` | counters of events, counters and histograms of `session_kit::wrap::Traced` | metrics 0.24 | no |
//! | `sealed` | `SessionManager::sealed`, `sealed_with_revocations`: sessions kept by their clients, sealed in the cookie | chacha20poly1305 | no |
//! | `import` | `session_kit::import`: sessions of web.py and Beaker, their pickles read without calling anything | miniz_oxide, hmac, sha1 | no |
//! | `conformance` | `session_kit::conformance`: the suites that check a store or an adapter of your own | tokio's `test-util` | no |
//!
//! Turning on a feature adds names and changes no behaviour, but for `tls`: where the URL of a SQL
//! database names no mode, sqlx then tries TLS first, and without the feature connects in plain text.

mod connect;
pub mod guide;

pub use connect::connect;
#[cfg(feature = "actix")]
pub use session_actix as actix;
#[cfg(feature = "axum")]
pub use session_axum as axum;
pub use session_core::*;
#[cfg(feature = "fs")]
pub use session_fs as fs;
#[cfg(feature = "import")]
pub use session_import as import;
#[cfg(feature = "redis")]
pub use session_redis as redis;
#[cfg(any(feature = "shelf", feature = "redb"))]
pub use session_shelf as shelf;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use session_sql as sql;

/// The README's examples compile.
#[cfg(all(doctest, feature = "actix", feature = "axum", feature = "fs"))]
#[doc = include_str!("../README.md")]
struct Readme;
