//! Wrappers: each is itself a [`Store`](crate::Store) around any other.
//!
//! | wrapper | feature | what it adds |
//! |---|---|---|
//! | `Cached` | `cached` | a bounded cache in memory for sessions that are read often |
//! | `Encrypted` | `encrypt` | encryption at rest, with keys that rotate |
//! | [`Traced`] | none; `metrics` adds counters and times | a span and an event for each operation |
//!
//! They stack. From the outside in, `Cached` comes before `Encrypted`, so that a hit is not
//! decrypted again (what is cached is plain, in memory only), and `Traced` goes where one wants
//! to look: outermost it sees what sessions wait for, innermost what the backend does.
//!
//! ```
//! use session_core::wrap::Traced;
//! use session_core::{MemoryStore, SessionConfig, SessionManager};
//!
//! let store = Traced::new(MemoryStore::new()).named("memory");
//! let sessions = SessionManager::new(store, SessionConfig::builder().build()?);
//! # let _ = sessions;
//! # Ok::<(), session_core::Error>(())
//! ```

#[cfg(feature = "cached")]
mod cached;
#[cfg(feature = "encrypt")]
mod encrypted;
#[cfg(test)]
mod stepped;
mod traced;

#[cfg(feature = "cached")]
pub use self::cached::Cached;
#[cfg(feature = "encrypt")]
pub use self::encrypted::Encrypted;
pub use self::traced::Traced;
