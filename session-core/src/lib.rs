//! The session, its rules, and the store contract.

mod session;
mod commit;
mod plan;
mod data;
mod operations;
mod key;
mod record;
mod format;
mod id;
mod keys;
mod expiry;
mod clock;
mod config;
mod store;
mod manager;
mod queue;
mod deadline;
mod csrf;
mod flash;
mod error;
pub mod http;

pub use clock::{Clock, ManualClock, Timestamp};
pub use config::{
    OnCorrupt, OnExpired, OnGone, OnOutage, SessionConfig, SessionConfigBuilder,
};
pub use data::Data;
pub use error::{Error, ErrorKind, StoreError, StoreErrorKind};
pub use expiry::Expiry;
pub use flash::Flash;
pub use id::{BadToken, Digest, IdText, Secret, SessionId, Signed, Token};
pub use key::{IntoKey, Key};
pub use keys::{KeyRing, TokenKeys};
pub use manager::{SessionInfo, SessionManager};
pub use operations::Draft;
pub use record::{Generation, Owner, Previous, Record, Version};
pub use session::Session;
pub use store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};
