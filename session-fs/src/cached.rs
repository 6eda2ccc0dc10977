//! Loading what the kernel has in its memory, without a hand-over to another thread.
//!
//! A session in use is in the page cache, and reading it from there takes a few microseconds:
//! less than handing the work to a blocking thread and back. Linux can be asked to open a file
//! only if no directory has to be read (`RESOLVE_CACHED`) and to read bytes only if they are in
//! memory (`RWF_NOWAIT`), so this never waits for a disk. Whatever is not a plain hit is left to
//! the blocking thread: absent, cold, torn, damaged, refused, or a kernel that cannot be asked.
//! A write that is made at once (`watch.rs`) opens and reads in the same way.
//!
//! # Source
//!
//! `openat2(2)` (Linux 5.12 for `RESOLVE_CACHED`), `preadv2(2)`.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::OFlags;
use session_core::{Record, SessionId};

use crate::config::Durability;
use crate::file;
use crate::folder::Folders;
use crate::log::{self, Bytes, Last};
use crate::records::Records;

/// Longer files are left to the blocking thread: copying and reading them would keep the calling
/// thread from others' work.
pub(crate) const INLINE_BYTES_MAX: u64 = 256 << 10;

impl Records {
    /// The record, if it can be read without waiting; `None` says nothing.
    pub(crate) fn load_cached(&self, id: &SessionId) -> Option<Record> {
        if !self.memory.is_served() {
            return None;
        }
        let path = self.template.path(id);
        let file = self
            .memory
            .open(&*self.root.held()?, &path, OFlags::RDONLY)?;
        let meta = file.metadata().ok()?;
        file::check(&meta).ok()?;
        // Without a name it was just deleted.
        let is_short = meta.nlink() > 0 && meta.len() <= INLINE_BYTES_MAX;
        let len = is_short.then_some(meta.len())?;
        let record = self.memory.last(&file, len, id)?.record().ok()?;
        // Asked after it was read: what is in memory need not be on the disk.
        let may_be_told = self.durability == Durability::Os || self.unsynced.is_synced(id);
        may_be_told.then_some(record)
    }
}

/// What is known of reading from the kernel's memory.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Cleared when the file system turns out not to know the question (tmpfs, for one).
    served: AtomicBool,
    /// How much to read at first: as much as the last session took, so that one read mostly does.
    window: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            served: AtomicBool::new(cfg!(target_os = "linux")),
            window: AtomicUsize::new(WINDOWS[0]),
        }
    }
}

/// Least and most read at first.
const WINDOWS: [usize; 2] = [1 << 10, 16 << 10];
/// Room for some touches to come.
const ROOM: usize = 512;

impl Memory {
    /// Whether the file system can be asked for what is in memory alone.
    pub(crate) fn is_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Opens a session's file, if no directory has to be read for it.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(&self, folders: &Folders, path: &str, access: OFlags) -> Option<File> {
        use rustix::fs::{Mode, ResolveFlags};
        use rustix::io::Errno;

        let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED;
        let flags = access | crate::folder::OPEN_FILE;
        match rustix::fs::openat2(&folders.sessions, path, flags, Mode::empty(), how) {
            Ok(file) => Some(File::from(file)),
            Err(error) => {
                // The kernel, or what guards it, does not know the question.
                if matches!(error, Errno::NOSYS | Errno::INVAL | Errno::PERM) {
                    self.served.store(false, Ordering::Relaxed);
                }
                None
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open(&self, _: &Folders, _: &str, _: OFlags) -> Option<File> {
        None
    }

    /// The live record of a file of `len` bytes, if it ends in a whole frame and is in memory.
    pub(crate) fn last(&self, file: &File, len: u64, id: &SessionId) -> Option<Last> {
        let cached = Cached {
            file,
            served: &self.served,
        };
        let window = self.window.load(Ordering::Relaxed);
        let last = log::read_end_from(&cached, len, id, window).ok()??;
        let next = (last.span() as usize + ROOM).clamp(WINDOWS[0], WINDOWS[1]);
        if next != window {
            self.window.store(next, Ordering::Relaxed);
        }
        Some(last)
    }
}

/// A file that is read only as far as it is in memory.
struct Cached<'a> {
    file: &'a File,
    served: &'a AtomicBool,
}

impl Bytes for Cached<'_> {
    #[cfg(target_os = "linux")]
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        use rustix::io::{Errno, ReadWriteFlags};

        let mut bytes = vec![0; len];
        let mut whole = [io::IoSliceMut::new(&mut bytes)];
        match rustix::io::preadv2(self.file, &mut whole, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == len => Ok(bytes),
            Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
            Err(Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => {
                if error == Errno::OPNOTSUPP || error == Errno::NOSYS {
                    self.served.store(false, Ordering::Relaxed);
                }
                Err(error.into())
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read(&self, _: u64, _: usize) -> io::Result<Vec<u8>> {
        self.served.store(false, Ordering::Relaxed);
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use session_core::{Clock, Created, Data, Expiry, Token};

    use super::*;
    use crate::FsConfig;
    use crate::unsynced::Seen;

    struct Shelf {
        _dir: tempfile::TempDir,
        records: Records,
        id: SessionId,
        record: Record,
        path: PathBuf,
    }

    fn with_a_session() -> Shelf {
        with_a_session_in(tempfile::tempdir().unwrap())
    }

    fn with_a_session_in(dir: tempfile::TempDir) -> Shelf {
        let records = Records::new(&FsConfig::new(dir.path())).unwrap();
        let token = Token::random().unwrap();
        let mut record = Record::new(token.digest(), Clock::system().now(), Expiry::NEVER).unwrap();
        record.data = Data::parse(r#"{"count":1}"#).unwrap();
        let id = token.id();
        let created = records.within(|records, folders| records.create(folders, &id, &record));
        assert!(matches!(created, Ok(Created::Done)));
        let path = dir.path().join("sessions").join(records.template.path(&id));
        Shelf {
            _dir: dir,
            records,
            id,
            record,
            path,
        }
    }

    impl Shelf {
        /// A plain hit; where the file system of this machine's temporary folder cannot be
        /// asked, as tmpfs, the store has noticed and reads nothing this way.
        fn assert_hit(&self) {
            let loaded = self.records.load_cached(&self.id);
            if self.records.memory.is_served() {
                assert_eq!(loaded.as_ref(), Some(&self.record));
            } else {
                eprintln!("{} has no RWF_NOWAIT", self.path.display());
                assert_eq!(loaded, None);
            }
        }
    }

    #[test]
    fn what_is_in_memory_is_read_at_once() {
        with_a_session().assert_hit();
    }

    #[test]
    fn a_file_system_that_cannot_be_asked_is_asked_once() {
        let disk = std::path::Path::new("/dev/shm");
        if disk.is_dir() {
            let shelf = with_a_session_in(tempfile::tempdir_in(disk).unwrap());
            shelf.assert_hit();
            shelf.assert_hit();
        }
    }

    #[test]
    fn what_is_long_is_left_to_the_blocking_thread() {
        let mut shelf = with_a_session();
        let text = "x".repeat(INLINE_BYTES_MAX as usize);
        let mut long = shelf.record.clone();
        long.version = long.version.next().unwrap();
        long.data = Data::parse(&format!(r#"{{"text":"{text}"}}"#)).unwrap();
        let (id, expected) = (shelf.id, shelf.record.version);
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).build().unwrap();
        // To write it, or over it, is left to that thread as well.
        let assert_left = |new: &Record, expected| {
            runtime.block_on(async {
                let Some(watch) = shelf.records.watch() else {
                    return assert!(!shelf.records.memory.is_served());
                };
                let done = shelf.records.at_once(&watch, |records, folders, pace| {
                    records.update(folders, &id, new, expected, pace)
                });
                assert!(matches!(done, Err(crate::failure::Failure::WouldWait)));
            });
        };
        assert_left(&long, expected);
        let updated = shelf.records.within(|records, folders| {
            records.update(folders, &id, &long, expected, crate::watch::Pace::Waiting)
        });
        assert!(matches!(updated, Ok(session_core::Written::Done)));
        assert_eq!(shelf.records.load_cached(&id), None);
        let mut short = shelf.record.clone();
        short.version = long.version.next().unwrap();
        assert_left(&short, long.version);
        shelf.record = long;
        let loaded = shelf
            .records
            .within(|records, folders| records.load(folders, &id, &Seen::default()));
        assert!(matches!(loaded, Ok(Some(record)) if record == shelf.record));
    }

    #[test]
    fn before_first_use_nothing_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(&FsConfig::new(dir.path().join("new"))).unwrap();
        assert_eq!(records.load_cached(&SessionId::random().unwrap()), None);
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn what_is_no_plain_hit_is_left_to_the_blocking_thread() {
        let shelf = with_a_session();
        let left = || assert_eq!(shelf.records.load_cached(&shelf.id), None);
        let whole = std::fs::read(&shelf.path).unwrap();

        std::fs::hard_link(&shelf.path, shelf.path.with_extension("second")).unwrap();
        left();
        std::fs::remove_file(shelf.path.with_extension("second")).unwrap();
        shelf.assert_hit();

        let mut file = std::fs::File::options()
            .append(true)
            .open(&shelf.path)
            .unwrap();
        file.write_all(b"SKF1 R").unwrap();
        left();
        std::fs::write(&shelf.path, &whole[..whole.len() - 1]).unwrap();
        left();
        std::fs::remove_file(&shelf.path).unwrap();
        left();
        std::fs::write(shelf.path.with_extension("elsewhere"), &whole).unwrap();
        symlink(shelf.path.with_extension("elsewhere"), &shelf.path).unwrap();
        left();
        std::fs::remove_file(&shelf.path).unwrap();
        std::fs::create_dir(&shelf.path).unwrap();
        left();
    }
}
