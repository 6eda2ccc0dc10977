//! Sessions in files: one small log of checksummed versions per session, safe across threads,
//! processes and crashes.
//!
//! Rules:
//!
//! - A write is acknowledged when its bytes are with the operating system, so it survives
//!   `kill -9`; with [`Durability::Disk`], when they are on the disk, so it survives a power cut.
//! - Of writers that share a session, on any threads and in any processes, each sees the version
//!   of the one before it. The lock is the session's own file; there are no lock files per
//!   session. Readers see a whole version and take no lock, except when they come upon the end of
//!   a file that is just being written.
//! - A crash at any moment costs no acknowledged version. Damage is told apart from a crash:
//!   it is reported as [`Corrupt`](session_core::StoreErrorKind::Corrupt), and the file is kept.
//! - No path is formed from anything but a parsed id or a hash. Below the folder no symbolic link
//!   is followed, and what is not a regular file with one name is refused. Folders have mode
//!   0700, files 0600.
//! - A full disk or quota is [`Full`](session_core::StoreErrorKind::Full); a file beyond the
//!   system's limit, or a record beyond 64 MiB,
//!   [`TooLarge`](session_core::StoreErrorKind::TooLarge); the stored version stays as it was.
//!
//! Caveat: the folder belongs on a local file system of a Unix. A network file system may
//! acknowledge what it has not stored and may not know locks. Hard-linked copies of the folder
//! (`cp -al`) make its sessions unavailable while they exist: copy the bytes instead.
//!
//! ```
//! use session_core::{Clock, Created, Expiry, Record, Store, Token};
//! use session_fs::FsStore;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = FsStore::open(dir.path())?;
//! let token = Token::random()?;
//! let expiry = Expiry::new(Some(Duration::from_secs(3600)), None);
//! let record = Record::new(token.digest(), Clock::system().now(), expiry)?;
//! assert_eq!(store.create(&token.id(), &record).await?, Created::Done);
//! assert_eq!(store.load(&token.id()).await?, Some(record));
//! # Ok(())
//! # }
//! ```
//!
//! # The folder
//!
//! ```text
//! DIR/sessions/5a/5a0c…32 hex digits….session   one per session; the name is configurable
//! DIR/owners/e1/e1f4…64 hex…/5a0c….session      empty; one per session with an owner, of its name
//! DIR/sweep.lock                                empty; locked by the one who sweeps
//! DIR/ping                                      empty; written to by `ping`
//! ```
//!
//! The digits of a session's file are its id's 16 bytes; those of an owner's folder are BLAKE3 of
//! the owner's text. `DIR` is made on first use. If it is deleted under a running store, its
//! sessions have ended, and it is made anew.
//!
//! # A session's file
//!
//! A file is a sequence of frames. All of a frame is text; a frame holding 2 bytes:
//!
//! ```text
//! SKF1 R 5a0c9d6e1b7f48239a5ce07d3b1284f6 00000002 00000000 2f4fdbcd
//! {}
//! f16b2505 00000002
//! ```
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 3 | `SKF` |
//! | 3 | 1 | format: `1`. Later formats keep the first 67 bytes as they are here |
//! | 4 | 1 | space |
//! | 5 | 1 | kind: `R` a record, `T` a touch |
//! | 6 | 1 | space |
//! | 7 | 32 | the session's id, lower-case hex (as all that follows) |
//! | 39 | 1 | space |
//! | 40 | 8 | n: length of the payload in bytes |
//! | 48 | 1 | space |
//! | 49 | 8 | `T`: how many bytes before this frame the record's frame starts; `R`: 0 |
//! | 57 | 1 | space |
//! | 58 | 8 | CRC-32 (IEEE) of bytes 0 to 57 |
//! | 66 | 1 | newline |
//! | 67 | n | the payload |
//! | 67 + n | 1 | newline |
//! | 68 + n | 8 | CRC-32 of bytes 0 to 66 + n |
//! | 76 + n | 1 | space |
//! | 77 + n | 8 | n again, so that a frame can be found from its end |
//! | 85 + n | 1 | newline |
//!
//! The payload of `R` is the record as JSON, in the form that `session_core` documents. That of
//! `T` is `{"accessed":  1764000000000,"expires":  1764086400000}`, each padded with spaces to 15
//! characters, `expires` possibly `null`: the record's `accessed` is the later of the two, and
//! its expiry follows from its own limits.
//!
//! The file's last frame counts: if it is `R`, the session is its payload; if it is `T`, the
//! session is the `R` that it names, touched. In Python:
//!
//! ```python
//! import json
//!
//! def load(path):
//!     raw = open(path, "rb").read()
//!     at = len(raw) - 86 - int(raw[-9:-1], 16)
//!     touch = None
//!     if raw[at + 5:at + 6] == b"T":
//!         touch = json.loads(raw[at + 67:-19])
//!         at -= int(raw[at + 49:at + 57], 16)
//!     record = json.loads(raw[at + 67:at + 67 + int(raw[at + 40:at + 48], 16)])
//!     if touch:
//!         record["accessed"] = max(record["accessed"], touch["accessed"])
//!     return record
//! ```
//!
//! # Writing
//!
//! Under the file's lock (`flock`), and after a look whether it is still the file of that name. A
//! lock that another has is looked at again every 1 to 8 ms, and after ten seconds the session is
//! [`Unavailable`](session_core::StoreErrorKind::Unavailable): whoever has it was stopped in the
//! middle. No thread waits for it, so other sessions go on; and after its caller has gone an
//! operation that is under way is done to its end, and none is begun. A disk that hangs takes at
//! most 64 threads.
//!
//! - `create` makes an empty file if there is none, locks it, and writes the first frame. A file
//!   without a whole frame is nobody's session: a reader sees none, a creator may take it, and
//!   the sweep removes it ten minutes after it was last written.
//! - `update` appends a frame. When 16 KiB (or the new frame's length, if that is more) of
//!   superseded frames have gathered before the live one, the new frame is written over them, at
//!   the front, and the file is cut to its length. Until the cut the file ends in the old frame,
//!   which therefore counts; after it there is only the new one. This takes no second file, and
//!   costs a fraction of replacing the file by `rename`, for which ext4 waits until the new
//!   file's blocks are allocated.
//! - `touch` appends a touch; after 4 KiB of them (or the record's length), the record.
//! - `delete` empties the file, removes the owner's marker, and then the name. A waiting
//!   writer finds the name gone, or another file under it, and begins again.
//! - A write that fails half-way is cut off again.
//!
//! A file is thus at most about four times as long as its largest record, or 24 KiB.
//!
//! # What a crash leaves, and what damage is
//!
//! A writer that dies leaves the beginning of a frame at the end of the file; a power cut may
//! leave zeros in the place of sectors that were not written. So, if the file does not end in a
//! frame whose checksums are right, let R be what follows the last such frame, without a stretch
//! of zeros at its end that begins at a multiple of 512 bytes of the file or is all of R. The end
//! is *torn* if R is a proper beginning of one frame of this id: shorter than a first line and
//! equal to the beginning of one as far as its id, or a whole first line whose checksum is right,
//! and fewer bytes than it announces. Then the last whole frame counts, or, if there is none,
//! there is no session. The next writer cuts R off before it appends.
//!
//! Anything else is *damage*: a frame that is complete in length but not in its checksums was
//! once acknowledged, and to go on from the version before it could bring back a secret that was
//! replaced. Damage before the live record's frame does not matter. The file is kept;
//! `delete` with [`Only::Any`](session_core::Only::Any) removes it; the sweep does so only if
//! the record's frame is whole and its expiry can be read, as that of a newer format.
//!
//! JSON holds no newline inside a string, so no text that a session holds passes for a frame.
//!
//! # Reading
//!
//! A load asks Linux for what it has in memory (`RESOLVE_CACHED`, `RWF_NOWAIT`) on the calling
//! thread; a session in use, of up to 256 KiB of file, is answered so. Everything else but what
//! follows is one hand-over to a blocking thread, so that a deadline holds with a disk that hangs.
//!
//! An `update` that keeps the owner, and a `touch`, are tried on a thread of the runtime: if the
//! file, no longer than that, is in memory and its lock is free, and the runtime has two threads
//! or more and [`Durability::Os`] is asked for. An append cannot be asked not to wait, so at most half of the
//! threads append at a time, each in a task of its own, under the eye of a watchman who keeps the
//! runtime awake and turns to blocking threads while a write hangs. On a runtime of one thread
//! (`current_thread`, an actix-web worker) and on tmpfs every write is handed over.
//!
//! # The owner index
//!
//! A marker is written before the record that names the owner and removed after it, under the
//! record's lock, so none is ever missing. One too many, as a killed process leaves it, is dropped
//! when the owner's sessions are next listed, after a look at the record under its lock. (If
//! there is no file to lock, an empty one is made and removed: a creator waits for it.)
//!
//! # Durability
//!
//! | | survives | costs |
//! |---|---|---|
//! | [`Durability::Os`] (default) | `kill -9` | a system call |
//! | [`Durability::Disk`] | also a power cut | `fdatasync` of the file; for a new or removed name also `fsync` of its folder |
//!
//! Those who wait for the same file or folder share one sync. After a sync that failed, the system
//! has forgotten what was not written: each who waited gets `Unavailable`, and the version may or
//! may not be there.
//!
//! With `Disk`, who reads a session while it is brought to the disk is told when it is there: waited
//! for as a lock is, by no thread and for ten seconds. After a sync
//! that failed, the next who comes for the session writes its live record again, in its place, and
//! syncs it; until that succeeds, the session is `Unavailable`. So a load, a `Gone` and an owner's
//! list tell of nothing that a power cut could take back. This is known within the process: another
//! one may see a version before its writer's sync has ended.

#[cfg(not(unix))]
compile_error!(
    "session-fs needs a Unix: its locks, and what it knows of a crash, are Unix's; elsewhere turn off session-kit's default feature `fs`"
);

mod config;
mod store;

mod cached;
mod records;
mod removal;
mod scan;
mod sweep;
mod watch;

mod file;
mod folder;
mod log;
mod owners;
mod paths;
mod syncs;
mod unsynced;

mod failure;

pub use config::{Durability, FsConfig};
pub use store::FsStore;
