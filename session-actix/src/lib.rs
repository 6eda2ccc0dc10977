//! Sessions for actix-web: a [`SessionLayer`], the extractors [`Session`] and [`LazySession`], and a
//! [`CsrfLayer`] against other sites' requests.
//!
//! The layer may wrap an application, a scope or a resource; added twice it works once. A handler
//! that extracts no session costs no store access and no look at the cookies. Build the
//! [`SessionManager`](session_core::SessionManager) once, outside of the closure that makes the
//! application for each worker, so that all workers share its sessions.
//!
//! ```
//! use actix_web::{App, HttpServer, web};
//! use session_actix::{Error, Session, SessionLayer};
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
//! let server = HttpServer::new(move || {
//!     App::new()
//!         .wrap(SessionLayer::new(sessions.clone()))
//!         .route("/", web::get().to(count))
//! });
//! # let _ = server;
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! # Where actix-web differs
//!
//! - The session is saved also if a middleware inside of the layer fails with `Err`: the cookie is
//!   added to the response that this error becomes. A middleware outside of the layer that makes a
//!   response of its own from such an error drops the cookie, so the layer belongs outside of it.
//! - An `Option<Session>` is `None` for any failure, for actix-web decides so. Only a missing layer
//!   lets the handler's answer stand; after a failed load the client gets that error whatever the
//!   handler answered. To tell the two apart, extract a `Result<Session, Error>`.
//! - The arguments of a handler are extracted all at once, so a body may be read before it is known
//!   whether the session can be loaded. A handler that minds extracts a
//!   [`Payload`](actix_web::web::Payload) and reads it itself.
//! - By default a client that closes its half of the connection does not end its request, which
//!   then runs and saves to its end; [`h1_allow_half_closed`] changes that.
//! - A middleware gets the session by `request.extract::<Session>().await` or
//!   `<Session>::extract(&request).await`.
//! - A [`CsrfLayer`] changes the request, which actix-web forbids while a middleware further out holds a
//!   clone of it.
//!
//! [`h1_allow_half_closed`]: actix_web::HttpServer::h1_allow_half_closed

mod csrf;
mod extract;
mod head;
mod layer;

pub use csrf::{CsrfFuture, CsrfLayer, CsrfService};
pub use extract::{Error, Extracting, LazySession, Session};
pub use layer::{ResponseFuture, SessionLayer, SessionService};
pub use session_core::http::Main;
