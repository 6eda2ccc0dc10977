//! What sessions are and how they behave, without any framework or database.
//!
//! An application depends on `session-kit` or on an adapter such as `session-axum`; this crate
//! is for those, and for who writes a store. Three things to read first:
//!
//! - [`Session`], what a request handler holds: values, [`transact`](Session::transact),
//!   [`login`](Session::login), [`logout`](Session::logout), flashes, CSRF tokens;
//! - [`SessionConfig`] and [`SessionManager`], what an application makes once;
//! - [`Store`], what a backend implements, with a suite that checks it (feature `conformance`).
//!
//! ```
//! use session_core::{MemoryStore, Owner, SessionConfig, SessionManager};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), session_core::Error> {
//!
//! let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
//! let ada = Owner::new("ada")?;
//! for device in sessions.sessions_of(&ada).await? {
//!     println!("{} last seen {:?}", device.id, device.accessed_at);
//! }
//! let ended = sessions.revoke_owner(&ada, None).await?;
//! assert_eq!(ended, 0);
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | brings in |
//! |---|---|
//! | `cached` | [`wrap`]`::Cached`, a bounded cache in front of another store |
//! | `conformance` | the suites for stores and adapters |
//! | `encrypt` | [`wrap`]`::Encrypted`, encryption at rest: chacha20poly1305 |
//! | `metrics` | counters of [events](event) and of records swept, counters and histograms in [`wrap::Traced`]: metrics |
//! | `sealed` | `SessionManager::sealed`, sessions kept by their clients: chacha20poly1305 |

// What a handler holds, from the outside in.
mod key;
mod merged;
mod operations;
mod session;
mod state;
mod visitor;
mod whole;
mod why_new;

mod data;
mod in_json;
mod serialize;

// What is done with it.
mod access;
mod attempt;
mod commit;
mod doubt;
mod limit;
#[cfg(test)]
mod log_tests;
mod long_lived;
mod pending;
mod plan;

// What is told of it, and what is refused.
mod creation_cap;
pub mod event;
mod span;

mod csrf;
mod flash;

// What is kept.
mod format;
mod record;

mod expiry;
mod id;
mod keys;

// Where it is kept.
mod memory;
mod store;
pub mod wrap;

#[cfg(feature = "sealed")]
mod revocations;
#[cfg(feature = "sealed")]
mod revoked;
#[cfg_attr(not(feature = "sealed"), path = "sealed_off.rs")]
mod sealed;
#[cfg(any(feature = "encrypt", feature = "sealed"))]
mod sealing;

// What an application makes.
mod admin;
mod begun;
mod config;
mod manager;
mod settings;
mod sweeper;

mod clock;
mod deadline;
mod endings;
mod error;
mod queue;
mod unread;

pub mod http;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use begun::{Issued, NewSession};
pub use clock::{Clock, ManualClock, Timestamp};
pub use config::{OnCorrupt, OnExpired, OnGone, OnOutage, SessionConfig, SessionConfigBuilder};
pub use data::Data;
pub use error::{Error, ErrorKind, StoreError, StoreErrorKind};
pub use event::{Event, EventKind, Rejection, Renewal, Revocation};
pub use expiry::Expiry;
pub use flash::{Flash, FlashQueue};
pub use id::{BadToken, Digest, IdText, Secret, SessionId, Signed, Token};
pub use key::{IntoKey, Key};
pub use keys::{KeyRing, TokenKeys};
pub use limit::OnTooMany;
pub use manager::{SessionInfo, SessionManager};
pub use memory::{MemoryLimits, MemoryStore};
pub use operations::Draft;
pub use pending::PendingSave;
pub use record::{Generation, Owner, Previous, Record, Version};
pub use session::Session;
pub use settings::Setting;
pub use store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};
pub use sweeper::Sweeper;
pub use why_new::WhyNew;
