//! Removing what has expired, and what writers that died left behind.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use session_core::{SessionId, Timestamp};

use crate::config::Durability;
use crate::failure::{Failure, refused};
use crate::file::give_back;
use crate::folder::{self, Access, Folders};
use crate::paths::SWEEP_LOCK;
use crate::records::Records;

/// Ids held in memory at a time.
const CHUNK: usize = 8192;
/// How long a file without a record is left alone.
const ABANDONED: Duration = Duration::from_secs(600);

/// Where the last sweep of this process stopped, so that the next goes on from there and does
/// not look at the same live sessions first each time.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<SessionId>>);

impl Place {
    fn take(&self) -> Option<SessionId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, id: SessionId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }
}

impl Records {
    /// One lap around all folders, from where the last sweep stopped; it ends early when `limit`
    /// records are removed.
    pub(crate) fn sweep(
        &self,
        folders: &Folders,
        expired_before: Timestamp,
        limit: usize,
    ) -> Result<u64, Failure> {
        let Some(_only_sweeper) = only_sweeper(folders)? else {
            return Ok(0);
        };
        if limit == 0 {
            return Ok(0);
        }
        let start = self.sweep_place.take();
        let start_at = start.map_or(0, |id| id.as_bytes()[0]);
        let (mut removed, mut failed) = (0, None);
        // The folder of the start comes twice: its rest first, its beginning last.
        for step in 0..=usize::from(start.is_some()) + 255 {
            let first = start_at.wrapping_add(u8::try_from(step % 256).unwrap_or(0));
            let from = if step == 0 { start } else { None };
            let left = limit - removed;
            removed += self.sweep_shard(folders, first, from, expired_before, left, &mut failed)?;
            if removed >= limit {
                break;
            }
        }
        // Where some were removed the others may be so the next time.
        match failed {
            Some(error) if removed == 0 => Err(error.into()),
            _ => Ok(removed as u64),
        }
    }

    fn sweep_shard(
        &self,
        folders: &Folders,
        first: u8,
        mut after: Option<SessionId>,
        expired_before: Timestamp,
        limit: usize,
        failed: &mut Option<io::Error>,
    ) -> Result<usize, Failure> {
        let mut removed = 0;
        loop {
            let ids = self.ids_after(folders, first, after, CHUNK)?;
            for id in &ids {
                match self.sweep_one(folders, id, expired_before) {
                    Ok(swept) => removed += usize::from(swept),
                    // One bad file must not keep all others from being swept.
                    Err(Failure::Io(error)) => {
                        tracing::warn!(%id, %error, "a session file cannot be swept");
                        failed.get_or_insert(error);
                    }
                    Err(failure) => return Err(failure),
                }
                if removed >= limit {
                    self.sweep_place.set(*id);
                    break;
                }
            }
            after = ids.last().copied();
            if removed >= limit || ids.len() < CHUNK {
                break;
            }
        }
        if removed > 0 && self.durability == Durability::Disk {
            folders.sync_shard(first)?;
        }
        Ok(removed)
    }

    /// Removes a record that is due; whether it did.
    fn sweep_one(
        &self,
        folders: &Folders,
        id: &SessionId,
        expired_before: Timestamp,
    ) -> Result<bool, Failure> {
        let swept = match self.is_due(folders, id, expired_before) {
            Ok(true) => self.remove_due(folders, id, expired_before),
            Ok(false) => return Ok(false),
            // Whether it is due is not known, so nothing is known to be left undone.
            Err(Failure::Io(error)) => {
                tracing::warn!(%id, %error, "a session file cannot be read");
                return Ok(false);
            }
            Err(failure) => Err(failure),
        };
        match swept {
            // What cannot be decoded is kept; who has the lock is using the session.
            Err(Failure::Store(_) | Failure::WouldWait) => Ok(false),
            swept => swept,
        }
    }

    /// Removes a record that is due, as found again under its lock.
    fn remove_due(
        &self,
        folders: &Folders,
        id: &SessionId,
        expired_before: Timestamp,
    ) -> Result<bool, Failure> {
        let Some(file) = self.lock(folders, id, Access::Write)? else {
            return Ok(false);
        };
        let Some(last) = file.read_locked()? else {
            if is_abandoned(file.written_at()?, expired_before) {
                self.unlink(folders, id)?;
            }
            return Ok(false);
        };
        let due = matches!(last.expires_at(), Ok(Some(end)) if end <= expired_before);
        if due {
            self.end(folders, id, &file, Some(&last))?;
        }
        Ok(due)
    }

    /// Whether it is worth taking the lock.
    fn is_due(
        &self,
        folders: &Folders,
        id: &SessionId,
        expired_before: Timestamp,
    ) -> Result<bool, Failure> {
        match self.find(folders, id)? {
            Some(last) => Ok(last.expires_at()?.is_some_and(|end| end <= expired_before)),
            None => Ok(true),
        }
    }
}

fn is_abandoned(written_at_seconds: i64, expired_before: Timestamp) -> bool {
    let written_at = Timestamp::from_unix_ms(written_at_seconds.saturating_mul(1000));
    written_at.after(ABANDONED) <= expired_before
}

/// The right to sweep, over all processes.
struct OnlySweeper(OwnedFd);

impl Drop for OnlySweeper {
    fn drop(&mut self) {
        give_back(&self.0);
    }
}

/// The lock that the one sweeper holds; `None` if another has it.
fn only_sweeper(folders: &Folders) -> Result<Option<OnlySweeper>, Failure> {
    let Some(file) = folder::open_file(folders.root.as_fd(), SWEEP_LOCK, Access::Make)? else {
        return Err(Failure::FolderDeleted);
    };
    let meta = rustix::fs::fstat(&file)?;
    if !rustix::fs::FileType::from_raw_mode(meta.st_mode).is_file() {
        return Err(refused(
            "what is in the place of the sweep lock is no regular file",
        ));
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(OnlySweeper(file))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
