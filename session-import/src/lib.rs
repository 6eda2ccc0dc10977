//! Moving sessions in from web.py and Beaker, while their users stay signed in.
//!
//! Rules:
//!
//! - **Nothing is called.** Both libraries keep sessions as Python's pickle, which is a program:
//!   loading one may run anything. Here only what builds data is followed. A value that Python
//!   would make by calling something stays behind, its key is listed in [`Imported::skipped`]
//!   with the reason, and the session's other values come over.
//! - **No input crashes or swells.** Time and memory grow with the length of the input, which is at
//!   most [`BYTES_MAX`]; lists nested or repeated without end cost nothing. Of the values that stay
//!   behind the first [`SKIPPED_MAX`] are listed and the others counted. The worst input known
//!   takes 85 MB for a moment.
//! - **No path is formed from anything but a checked id.**
//! - **No old id is adopted.** The old cookie is presented once, its record is read, the values go
//!   into a new session under a new secret, and the old record is removed.
//!
//! Caveat: whoever can write into the old store can write into sessions, as before; nothing else.
//!
//! # Moving in
//!
//! On a request with an old cookie and no session of ours:
//!
//! ```
//! use session_core::{Clock, Error, Owner, Session};
//! use session_import::web_py::DiskStore;
//! use std::time::Duration;
//! use tokio::task::block_in_place;
//!
//! /// The time-out of the old application, whose store keeps sessions for longer.
//! const OLD_TIMEOUT: Duration = Duration::from_secs(86_400);
//!
//! async fn move_in(session: &Session, old_store: &DiskStore, cookie: &str) -> Result<(), Error> {
//!     // It waits for the disk, on a runtime of several threads.
//!     let Some(old) = block_in_place(|| old_store.read(cookie))? else {
//!         return Ok(());
//!     };
//!     let now = Clock::system().now();
//!     if old.accessed_at.is_none_or(|at| now.since(at) > OLD_TIMEOUT) {
//!         return Ok(());
//!     }
//!     let user = old.get::<String>("user")?;
//!     for skipped in &old.skipped {
//!         eprintln!("{skipped}");
//!     }
//!     old.into_session(session)?;
//!     if let Some(user) = user {
//!         session.login(Owner::new(user)?);
//!     }
//!     // The values are stored before anything is removed. The login comes with the answer: if that
//!     // fails, the user signs in again.
//!     session.save().await?;
//!     let removed = block_in_place(|| old_store.remove(cookie)).unwrap_or_else(|error| {
//!         eprintln!("{error}");
//!         false
//!     });
//!     if !removed {
//!         // Another request with the same cookie was faster, and keeps what it took; or the old
//!         // session could come over again, so it must not come over at all.
//!         session.destroy();
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The example `moving-in` is a whole application that does so.
//!
//! # Python's values as JSON
//!
//! | Python | JSON |
//! |---|---|
//! | `None`, `True`, `False`, `str`, finite `float` | as Python's own `json` has them |
//! | `int` within 64 bits, with or without sign | a number |
//! | `int` beyond, of up to 1,024 bits | text of its decimal digits |
//! | `list`, `tuple`, `set`, `frozenset` | an array |
//! | `dict`, `OrderedDict`, `defaultdict`, web.py's `Storage` | an object; keys that are integers, truth values or `None` become text |
//! | `bytes`, `bytearray` | text: base64url without padding |
//! | `str` of Python 2 | text, if it is UTF-8 |
//! | NaN and infinities; longer integers; text with half a surrogate pair; other keys | stays behind |
//! | objects: `datetime`, `Decimal`, classes of one's own | stays behind, with the class's name |
//! | what holds itself, or is nested deeper than [`DEPTH_MAX`] | stays behind |
//!
//! What was JSON already (Beaker's `data_serializer = json`) stays as it is written, but that NaN
//! and infinities stay behind.

mod base64;
mod error;
mod files;
mod imported;
mod pickle;

pub mod beaker;
pub mod web_py;

pub use error::{ImportError, ImportErrorKind};
pub use imported::{BYTES_MAX, DEPTH_MAX, Imported, Reason, SKIPPED_MAX, Skipped};
