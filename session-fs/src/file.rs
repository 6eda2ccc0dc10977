//! One session's open file: found by its id, locked, read and written.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{AtFlags, FlockOperation, OFlags};
use session_core::{SessionId, StoreError, StoreErrorKind};

use crate::cached::INLINE_BYTES_MAX;
use crate::config::Durability;
use crate::failure::{Failure, refused};
use crate::folder::{self, Access, Folders};
use crate::log::{self, Bytes, Last, Recovered};
use crate::paths::Template;
use crate::watch::{AtOnce, Pace};

/// A log whose superseded part has reached this length, and that of the next record, is started
/// again from the front.
///
/// Four pages: a small session is rewritten every 20 to 30 updates, and a reader finds the end of
/// a long log as fast as that of a short one.
pub(crate) const DEAD_BYTES_MAX: u64 = 16 << 10;
/// Touches after a record that have reached this length, and the record's, are folded into it.
pub(crate) const TOUCH_BYTES_MAX: u64 = 4 << 10;
/// How often a file may be exchanged between being opened and being locked.
const ATTEMPTS: usize = 10_000;

/// Whom a lock keeps away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Writers.
    Shared,
    /// Writers, and readers that found the end of the log unclear.
    Exclusive,
}

/// An open file that is regular and has one name.
#[derive(Debug)]
pub(crate) struct SessionFile {
    id: SessionId,
    file: File,
    len: u64,
    locked: bool,
}

impl Drop for SessionFile {
    fn drop(&mut self) {
        if self.locked {
            give_back(&self.file);
        }
    }
}

/// Ends the lock on a file that is about to be closed.
///
/// Closing alone would not do: a process that this one is just starting holds a copy of every
/// open file until its `exec`, and the lock lasts as long as any copy.
pub(crate) fn give_back(file: impl AsFd) {
    if let Err(error) = rustix::fs::flock(file, FlockOperation::Unlock) {
        tracing::warn!(%error, "a lock cannot be given back");
    }
}

impl SessionFile {
    /// Opens the file, whatever happens to it meanwhile; `None` if there is none.
    pub(crate) fn open(
        folders: &Folders,
        template: &Template,
        id: &SessionId,
    ) -> Result<Option<Self>, Failure> {
        let Some(file) = open(folders, template, id, Access::Read)? else {
            return Ok(None);
        };
        let meta = file.metadata()?;
        check(&meta)?;
        // Without a name it was deleted after it was found: as good as not found.
        Ok((meta.nlink() > 0).then_some(Self {
            id: *id,
            file,
            len: meta.len(),
            locked: false,
        }))
    }

    /// Opens and locks the file that the name stands for now; `None` if there is none.
    ///
    /// The lock is on the file and ends with this value. If another has it, this is
    /// [`Failure::WouldWait`], at any pace. Who gets it may find the file deleted, or another under
    /// its name, and begins again.
    pub(crate) fn lock(
        folders: &Folders,
        template: &Template,
        id: &SessionId,
        access: Access,
        lock: Lock,
        pace: Pace<'_>,
    ) -> Result<Option<Self>, Failure> {
        let path = template.path(id);
        let how = match lock {
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        for _ in 0..ATTEMPTS {
            let file = match pace {
                Pace::Waiting => open(folders, template, id, access)?,
                // What is not there, or not known to be, needs a closer look.
                Pace::AtOnce(AtOnce { memory, .. }) => {
                    let file = memory.open(folders, &path, OFlags::RDWR);
                    Some(file.ok_or(Failure::WouldWait)?)
                }
            };
            let Some(file) = file else {
                return Ok(None);
            };
            match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, how)) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(Failure::WouldWait),
                Err(error) => return Err(error.into()),
            }
            let mut file = Self {
                id: *id,
                file,
                len: 0,
                locked: true,
            };
            let meta = file.file.metadata()?;
            check(&meta)?;
            if meta.nlink() == 0 {
                if let Pace::AtOnce(_) = pace {
                    return Err(Failure::WouldWait);
                }
                continue;
            }
            match rustix::fs::statat(&folders.sessions, path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(named) if (named.st_dev, named.st_ino) == (meta.dev(), meta.ino()) => {
                    file.len = meta.len();
                    return Ok(Some(file));
                }
                Ok(_) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused("the file was exchanged again and again"))
    }

    /// Lets others write, and keeps the file open.
    pub(crate) fn unlock(&self) -> Result<(), Failure> {
        Ok(rustix::fs::flock(&self.file, FlockOperation::Unlock)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the file was last written, in seconds since 1970.
    pub(crate) fn written_at(&self) -> Result<i64, Failure> {
        Ok(self.file.metadata()?.mtime())
    }

    /// The live record, if the file ends in a whole frame.
    pub(crate) fn read_end(&self) -> Result<Option<Last>, Failure> {
        Ok(log::read_end(&self.file, self.len, &self.id)?)
    }

    /// The live record of a locked file that is not long, ends in a whole frame and is in memory.
    pub(crate) fn read_at_once(&self, at_once: AtOnce<'_>) -> Result<Last, Failure> {
        if self.len > INLINE_BYTES_MAX {
            return Err(Failure::WouldWait);
        }
        let last = at_once.memory.last(&self.file, self.len, &self.id);
        last.ok_or(Failure::WouldWait)
    }

    /// The live record of a locked file; `None` if no version was ever acknowledged.
    ///
    /// # Errors
    ///
    /// `Corrupt` and `NewerFormat`.
    pub(crate) fn read_locked(&self) -> Result<Option<Last>, Failure> {
        if self.len == 0 {
            return Ok(None);
        }
        if let Some(last) = self.read_end()? {
            return Ok(Some(last));
        }
        if self.len > log::FILE_BYTES_MAX {
            return Err(Failure::corrupt("the session file is too long to be one"));
        }
        match log::recover(&self.file.read(0, self.len as usize)?, &self.id) {
            Recovered::Absent => Ok(None),
            Recovered::Live(last) => Ok(Some(last)),
            Recovered::Damaged => Err(Failure::corrupt(
                "the session file is damaged at its end; it is kept as it is",
            )),
            Recovered::Newer => Err(Failure::Store(StoreError::new(
                StoreErrorKind::NewerFormat,
                "the session file is of a newer format than SKF1",
            ))),
        }
    }

    /// Makes `frame` the first of an empty file.
    pub(crate) fn begin(&self, frame: &[u8]) -> Result<(), Failure> {
        if self.len > 0 {
            self.file.set_len(0)?;
        }
        self.write(frame, 0, 0)
    }

    /// Adds `frame`, which holds a record: at the end, or, when the superseded part has grown
    /// past its bound, at the front, in the place of that part.
    ///
    /// In front the new frame does not count while the file still ends in the old one: cutting
    /// the file to the new frame's length is the one step that makes it the last.
    pub(crate) fn add_record(
        &self,
        last: &Last,
        frame: &[u8],
        durability: Durability,
    ) -> Result<(), Failure> {
        let len = frame.len() as u64;
        if last.record_at < len.max(DEAD_BYTES_MAX) {
            return self.append(last, frame);
        }
        self.cut_torn_end(last)?;
        let sync = durability == Durability::Disk;
        if sync {
            // The superseded part may hold the last version that a power cut leaves.
            self.sync()?;
        }
        self.file.write_all_at(frame, 0)?;
        if sync {
            self.sync()?;
        }
        self.file.set_len(len)?;
        if sync {
            self.sync_all()?;
        }
        Ok(())
    }

    /// Adds `frame` at the end.
    pub(crate) fn append(&self, last: &Last, frame: &[u8]) -> Result<(), Failure> {
        self.cut_torn_end(last)?;
        self.write(frame, last.end, last.end)
    }

    /// Cuts off what a writer that died left after the last whole frame: behind it the next
    /// frame would not be the beginning of anything.
    fn cut_torn_end(&self, last: &Last) -> Result<(), Failure> {
        if self.len > last.end {
            tracing::warn!(
                id = %self.id,
                bytes = self.len - last.end,
                "cutting off the torn end of a session file"
            );
            self.file.set_len(last.end)?;
        }
        Ok(())
    }

    fn write(&self, frame: &[u8], offset: u64, len_before: u64) -> Result<(), Failure> {
        self.file.write_all_at(frame, offset).map_err(|error| {
            // If this fails too, what is left is a torn end, which the next writer cuts off.
            let _ = self.file.set_len(len_before);
            error.into()
        })
    }

    /// Empties the file: the record is gone, its name and lock are still there.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        Ok(self.file.set_len(0)?)
    }

    /// Writes the live record's bytes once more, as they are.
    pub(crate) fn write_again(&self, last: &Last) -> Result<(), Failure> {
        let bytes = self.file.read(last.record_at, last.span() as usize)?;
        // Whatever it is, what was said to be stored may not be.
        let written = self.file.write_all_at(&bytes, last.record_at);
        written.map_err(Failure::Sync)
    }

    /// Brings the file's bytes and its length to the disk.
    pub(crate) fn sync_all(&self) -> Result<(), Failure> {
        self.file.sync_all().map_err(Failure::Sync)
    }

    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.file.sync_data().map_err(Failure::Sync)
    }
}

impl Bytes for File {
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

fn open(
    folders: &Folders,
    template: &Template,
    id: &SessionId,
    access: Access,
) -> Result<Option<File>, Failure> {
    let path = template.path(id);
    let found = folder::open_file(folders.sessions.as_fd(), &path, access)?;
    if found.is_some() {
        return Ok(found.map(File::from));
    }
    folders.check_present()?;
    if access != Access::Make {
        return Ok(None);
    }
    folders.make_shard(id.as_bytes()[0])?;
    let found = folder::open_file(folders.sessions.as_fd(), &path, access)?;
    Ok(found.map(File::from))
}

/// Refuses what we did not make. A second name could be a file outside our folder.
pub(crate) fn check(meta: &Metadata) -> Result<(), Failure> {
    if !meta.is_file() {
        return Err(refused(
            "what is in a session file's place is no regular file",
        ));
    }
    if meta.nlink() > 1 {
        return Err(refused("the session file has a second name (hard link)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Durability;
    use crate::folder::Root;

    #[test]
    fn a_lock_ends_though_a_process_that_is_just_starting_has_a_copy_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned(), Durability::Os);
        let folders = root.folders().unwrap();
        let (template, id) = (Template::new("%s").unwrap(), SessionId::random().unwrap());
        for lock in [Lock::Exclusive, Lock::Shared] {
            let locked =
                SessionFile::lock(&folders, &template, &id, Access::Make, lock, Pace::Waiting);
            let locked = locked.unwrap().unwrap();
            // What a fork copies: both stand for one opening of the file, which has the lock.
            let copy = locked.file.try_clone().unwrap();
            let other = open(&folders, &template, &id, Access::Read);
            let other = other.unwrap().unwrap();
            let is_free =
                || rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok();
            assert!(!is_free());
            drop(locked);
            assert!(is_free());
            drop(copy);
        }
    }
}
