//! Sessions for axum: a [`SessionLayer`], the extractors [`Session`] and [`LazySession`], and a
//! [`CsrfLayer`] against other sites' requests.
//!
//! The layer may wrap a router, a sub-router or a single route; added twice it works once. A
//! handler that extracts no session costs no store access and no look at the cookies. Serve with
//! `into_make_service_with_connect_info::<SocketAddr>()`, so that the client's address is known.
//!
//! ```
//! use axum::{Router, routing::get};
//! use session_axum::{Error, Session, SessionLayer};
//! use session_core::{MemoryStore, SessionConfig, SessionManager};
//!
//! async fn count(session: Session) -> Result<String, Error> {
//!     let n = session
//!         .transact(|s| {
//!             let n = s.get::<u64>("count")?.unwrap_or(0) + 1;
//!             s.insert("count", n)?;
//!             Ok(n)
//!         })
//!         .await?;
//!     Ok(n.to_string())
//! }
//!
//! let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
//! let app: Router = Router::new().route("/", get(count)).layer(SessionLayer::new(sessions));
//! # Ok::<(), session_core::Error>(())
//! ```

mod csrf;
mod extract;
mod head;
mod layer;

pub use csrf::{CsrfFuture, CsrfLayer, CsrfService};
pub use extract::{Error, LazySession, Session};
pub use layer::{ReplyBody, ResponseFuture, SessionLayer, SessionService};
pub use session_core::http::Main;
