//! Sessions in an embedded database: one path, nothing to run.
//!
//! Rules:
//!
//! - A write is acknowledged when it survives `kill -9`; with [`Durability::Disk`], and always on
//!   redb, when it survives a power cut.
//! - A record, its place in its owner's list and its place in the order of expiry change
//!   together or not at all.
//! - One process at a time has a database open, and in it one store. Who comes second is told so.
//! - One thread writes, for all who wait together. Reading takes no lock that outlasts a lookup.
//! - After an error of the engine, a panic in it included, the caller is told, and the next
//!   operation opens the database again: no restart is needed. While its file is not at its path,
//!   every operation is [`Unavailable`](session_core::StoreErrorKind::Unavailable); a database
//!   that was deleted is not made anew before the next start.
//! - A record has at most 64 MiB; a larger one is
//!   [`TooLarge`](session_core::StoreErrorKind::TooLarge).
//!
//! Caveat: the database belongs on a local file system of a Unix.
//!
//! ```
//! use session_core::{Clock, Created, Expiry, Record, Store, Token};
//! use session_shelf::ShelfStore;
//! use std::time::Duration;
//!
//! # #[cfg(feature = "sled")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = ShelfStore::sled(dir.path())?; // or ShelfStore::redb("sessions.redb")
//! let token = Token::random()?;
//! let expiry = Expiry::new(Some(Duration::from_secs(3600)), None);
//! let record = Record::new(token.digest(), Clock::system().now(), expiry)?;
//! assert_eq!(store.create(&token.id(), &record).await?, Created::Done);
//! assert_eq!(store.load(&token.id()).await?, Some(record));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "sled"))] fn main() {}
//! ```
//!
//! # Which engine
//!
//! redb, unless single saves have to be as cheap as they can be: it is maintained, small, keeps a
//! stable file format, gives room back, and survives a power cut in any case.
//!
//! | | sled (feature `sled`, default) | redb (feature `redb`) |
//! |---|---|---|
//! | version | 0.34.7 of 2021, the last stable one | 4.4 |
//! | brings in | itself and 14 crates, two of them reported as unmaintained: `fxhash` (RUSTSEC-2025-0057) and `instant` (RUSTSEC-2024-0384), by `parking_lot` 0.11 | itself alone |
//! | a path is | a folder, with the folder `sled` in it | a file |
//! | a save costs | writing its log | one `fdatasync` |
//! | room of deleted sessions | is used again at times, and hardly ever given back: in a test the database kept 29 of its 43 MiB after 99 % had been deleted and it had been closed | is used again, and given back |
//! | a full disk | creating, updating and touching are refused while less than 8 MiB are free, so that deleting, reading and opening go on, and where others take that room, deleting while less than 4 MiB are; deleting does not bring the room back | deleting goes on, and what it frees is used. The file doubles, up to 4 GiB at a time: `Full` means that there is no room for that |
//! | reports of damage | some are open, after unclean stops of containers among others | none known for 4.4 |
//! | opening after a crash | reads the end of the log | reads the whole file |
//!
//! [`migrate`] copies one into the other, either way.
//!
//! # Durability
//!
//! | | sled | redb |
//! |---|---|---|
//! | [`Durability::Os`] (default) | flushed: its log is written, and the disk has been asked to take it. A power cut may cost the last half second | as `Disk` |
//! | [`Durability::Disk`] | flushed, and then `fdatasync` of the log and `fsync` of large values, which it keeps in files of their own | `fdatasync` |
//!
//! sled left alone keeps what it is told in the process for up to half a second, and on Linux its
//! `flush` is `sync_file_range`, which leaves the disk's own cache and the file's length alone.
//! redb could be told not to wait for the disk, but then it reuses pages that the state on the
//! disk still needs, and a power cut may cost the whole file; its other kind of commit
//! (`Durability::None`) is lost with the process. So it always waits.
//!
//! What stands between two acknowledgements, by `strace -f -y -e
//! trace=pwrite64,sync_file_range,fdatasync,fsync,write`; the tests look for the same:
//!
//! ```text
//! sled, Os:   pwrite64(4</at/sled/db>, …)   sync_file_range(4</at/sled/db>, …)
//! sled, Disk: that twice, then fdatasync(5</at/sled/db>)
//! redb:       six times pwrite64(3</at/sessions.redb>, …), then fdatasync(3</at/sessions.redb>)
//! ```
//!
//! After a write that failed for another reason than a full disk, the database's files are written
//! once more as they are when it is opened again (not on sled with `Os`): the system shows what it
//! could not bring to the disk, and has forgotten it.
//!
//! sled shows a version a moment before it is flushed. So a load of a session that is being written
//! waits for that, and an owner's list for the group under way; if it fails, they ask the database
//! that was opened again. A listing of all may see a session, and one record of a group before the
//! next, before that.
//!
//! # Keys and values
//!
//! The same in both engines: sled's default tree, or redb's table `shelf` of `&[u8]` to `&[u8]`. (In
//! sled a second tree, `session-shelf journal`, holds the group that is being written, under the key
//! `g`; it is empty when the database is closed.)
//!
//! | key | value |
//! |---|---|
//! | `r`, id | the record as JSON, in the form that `session_core` documents, as it was last created or updated |
//! | `m`, id | its marks: `1764000000000 1764086400000 user-17` |
//! | `o`, owner, a zero byte, id | empty: the owner's list |
//! | `e`, moment, id | empty: the order of expiry |
//! | `s` | `{"layout":1,"state":"ready"}`; `filling` while a migration fills the database |
//! | `p` | a digit that `ping` changes |
//!
//! An id has 16 bytes. A moment is milliseconds since 1970 UTC in 8 bytes, the most significant
//! first, with the first bit turned over, so that earlier ones come first.
//!
//! The marks are what a touch moves, so that it does not write the data again, and what leads to
//! the record's entries when the record itself cannot be read: the time of access, the expiry (`-`
//! for never) and, after a second space, the owner, if there is one. The record's time of access
//! is the later one of its own and that of its marks.
//!
//! # Writing
//!
//! Writes wait in a queue of 1,024; the thread takes up to 256 of them, decides and applies one
//! after the other in one transaction (redb) or as one group (sled), waits for it to be safe, and
//! answers. A write that nobody waits for any more is not begun. If the engine fails, those that
//! were begun are told, and the others are done after it was opened again. `Full` is said only
//! where the database, opened again, shows that nothing was written.
//!
//! On sled a group of up to 64 KiB is first noted as one value in a tree of its own (`session-shelf
//! journal`), so that after a crash it is made whole when the database is opened; a larger one is a
//! batch of sled's, whose log is written in two turns.
//!
//! A record that was loaded or written lately is kept in memory as well ([`ShelfConfig::cache_bytes`])
//! and answered from there, on the caller's thread: nobody else has the database open, and one thread
//! writes, so it is what is stored. While it is being written it is not there. If the database's file
//! is moved away or deleted, the next write fails, and within 10 milliseconds every load.
//!
//! All other reading is a lookup on a blocking thread. A page in memory is found within a microsecond, but
//! nobody can know beforehand that it is there; and in sled a reader waits for a batch that is
//! just being applied, which may wait for the disk.
//!
//! # What others may read
//!
//! Records hold personal data. The folder `sled` is made, or set, to mode 0700, its files and
//! redb's to 0600. Folders above are made with 0700 if they are missing, and else left as they
//! are.

// Without an engine there is nothing to offer.
#![cfg(any(feature = "redb", feature = "sled"))]

#[cfg(not(unix))]
compile_error!(
    "session-shelf needs a Unix: how it keeps a database to one process is Unix's; turn off session-kit's features `shelf` and `redb`"
);

mod config;
mod migrate;
mod store;

mod layout;
mod recent;
mod records;
mod writer;
mod writes;

mod engine;
mod keys;
mod marks;
mod place;
mod shelf;

mod failure;

#[cfg(test)]
mod tests;

pub use config::{Durability, ShelfConfig};
pub use migrate::migrate;
pub use store::ShelfStore;
