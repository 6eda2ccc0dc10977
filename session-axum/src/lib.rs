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
//!
//! A middleware inside of the layer takes the session as an argument, as a handler does. Where there
//! is only the request's head, as in an extractor of one's own, it is
//! `<Session>::from_request_parts(&mut parts, &()).await`. Whoever asks first loads it, and all others
//! in the request get the same one; a [`LazySession`] is loaded only if it is needed.
//!
//! ```
//! use axum::extract::Request;
//! use axum::middleware::{Next, from_fn};
//! use axum::response::{IntoResponse, Response};
//! use axum::{Router, http::StatusCode, routing::get};
//! use session_axum::{Session, SessionLayer};
//! # use session_core::{MemoryStore, SessionConfig, SessionManager};
//!
//! async fn only_signed_in(session: Session, request: Request, next: Next) -> Response {
//!     match session.owner() {
//!         Some(_) => next.run(request).await,
//!         None => StatusCode::UNAUTHORIZED.into_response(),
//!     }
//! }
//!
//! # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
//! let app: Router = Router::new()
//!     .route("/orders", get(|| async { "yours" }))
//!     .layer(from_fn(only_signed_in))
//!     .layer(SessionLayer::new(sessions));
//! # let _ = app;
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
