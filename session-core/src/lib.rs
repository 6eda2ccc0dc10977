//! The session, its rules, and the store contract.

mod clock;
mod commit;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod csrf;
mod data;
mod deadline;
mod error;
mod expiry;
mod flash;
mod format;
pub mod http;
mod id;
mod key;
mod keys;
mod manager;
mod memory;
mod operations;
mod plan;
mod queue;
mod record;
mod session;
mod store;
mod sweeper;

pub use clock::{Clock, ManualClock, Timestamp};
pub use config::{OnCorrupt, OnExpired, OnGone, OnOutage, SessionConfig, SessionConfigBuilder};
pub use data::Data;
pub use error::{Error, ErrorKind, StoreError, StoreErrorKind};
pub use expiry::Expiry;
pub use flash::Flash;
pub use id::{BadToken, Digest, IdText, Secret, SessionId, Signed, Token};
pub use key::{IntoKey, Key};
pub use keys::{KeyRing, TokenKeys};
pub use manager::{SessionInfo, SessionManager};
pub use memory::{MemoryLimits, MemoryStore};
pub use operations::Draft;
pub use record::{Generation, Owner, Previous, Record, Version};
pub use session::Session;
pub use store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};
pub use sweeper::Sweeper;
