//! The session, its rules, and the store contract.

mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod data;
mod error;
mod expiry;
mod format;
pub mod http;
mod id;
mod key;
mod keys;
mod memory;
mod operations;
mod record;
mod store;

pub use clock::{Clock, ManualClock, Timestamp};
pub use data::Data;
pub use error::{Error, ErrorKind, StoreError, StoreErrorKind};
pub use expiry::Expiry;
pub use id::{BadToken, Digest, IdText, Secret, SessionId, Signed, Token};
pub use key::{IntoKey, Key};
pub use keys::{KeyRing, TokenKeys};
pub use memory::{MemoryLimits, MemoryStore};
pub use operations::Draft;
pub use record::{Generation, Owner, Previous, Record, Version};
pub use store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};
