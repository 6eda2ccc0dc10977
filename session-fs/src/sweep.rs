//! Removing what has expired, and what writers that died left behind.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
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
/// Ids looked at in one step.
pub(crate) const AT_ONCE: usize = 256;
/// How long a file without a record is left alone.
const ABANDONED: Duration = Duration::from_secs(600);

/// Where the last step of a sweep of this process stopped, so that the next sweep goes on from there
/// and does not look at the same live sessions first each time. `None` after a whole lap.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<SessionId>>);

impl Place {
    pub(crate) fn get(&self) -> Option<SessionId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, id: Option<SessionId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// One lap around all folders, from where the last sweep stopped, between two steps.
#[derive(Clone, Debug)]
pub(crate) struct Lap {
    /// The lap is this sweeper's as long as it lasts.
    _only_sweeper: Arc<OnlySweeper>,
    start: Option<SessionId>,
    /// The folder it is in, counted from that of the start.
    folder: usize,
    /// The last id looked at in it.
    after: Option<SessionId>,
    /// The last id looked at in any.
    last: Option<SessionId>,
    /// What was listed of it, and how much of that was looked at.
    listed: Arc<[SessionId]>,
    looked_at: usize,
    /// Whether nothing comes after what was listed.
    is_all: bool,
}

/// What a step came to.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) removed: usize,
    /// Why a record that is due is still there.
    pub(crate) failed: Option<io::Error>,
    /// `None` after the last step.
    pub(crate) next: Option<Lap>,
}

impl Lap {
    /// The first byte of the ids in the folder it is in; `None` after the last one.
    ///
    /// The folder of the start comes twice: its rest first, its beginning last.
    fn first(&self) -> Option<u8> {
        let start_at = self.start.map_or(0, |id| id.as_bytes()[0]);
        let last = usize::from(self.start.is_some()) + 255;
        let step = u8::try_from(self.folder % 256).unwrap_or(0);
        (self.folder <= last).then(|| start_at.wrapping_add(step))
    }

    fn has_looked_at(&mut self, ids: usize) {
        self.looked_at += ids;
        self.after = self.listed[..self.looked_at].last().copied().or(self.after);
        self.last = self.after;
    }

    fn next_folder(&mut self) {
        self.folder += 1;
        self.after = None;
        self.is_all = false;
    }
}

impl Records {
    /// The beginning of a lap; `None` while another process or store sweeps.
    pub(crate) fn begin_lap(&self, folders: &Folders) -> Result<Option<Lap>, Failure> {
        let Some(only_sweeper) = only_sweeper(folders)? else {
            return Ok(None);
        };
        let start = self.sweep_place.get();
        Ok(Some(Lap {
            _only_sweeper: Arc::new(only_sweeper),
            start,
            folder: 0,
            after: start,
            last: start,
            listed: Arc::new([]),
            looked_at: 0,
            is_all: false,
        }))
    }

    /// Goes on with a lap: past [`AT_ONCE`] ids, or until `limit` records are removed.
    pub(crate) fn sweep_step(
        &self,
        folders: &Folders,
        lap: &Lap,
        expired_before: Timestamp,
        limit: usize,
    ) -> Result<Swept, Failure> {
        let (mut lap, mut swept) = (lap.clone(), Swept::default());
        let mut looked = 0;
        while looked < AT_ONCE && swept.removed < limit {
            let Some(first) = lap.first() else {
                self.sweep_place.set(None);
                return Ok(swept);
            };
            let listed = Arc::clone(&lap.listed);
            let ids = &listed[lap.looked_at..];
            if ids.is_empty() && lap.is_all {
                lap.next_folder();
            } else if ids.is_empty() {
                lap.listed = self.ids_after(folders, first, lap.after, CHUNK)?.into();
                lap.looked_at = 0;
                lap.is_all = lap.listed.len() < CHUNK;
                // A folder costs something too.
                looked += 1;
            } else {
                let some = &ids[..ids.len().min(AT_ONCE - looked)];
                let left = limit - swept.removed;
                let (seen, removed) =
                    self.sweep_some(folders, some, expired_before, left, &mut swept.failed)?;
                looked += seen;
                lap.has_looked_at(seen);
                swept.removed += removed;
                if removed > 0 && self.durability == Durability::Disk {
                    folders.sync_shard(first)?;
                }
            }
        }
        self.sweep_place.set(lap.last);
        swept.next = Some(lap);
        Ok(swept)
    }

    /// Removes what is due of these, up to `limit`; how many it has looked at and removed.
    fn sweep_some(
        &self,
        folders: &Folders,
        ids: &[SessionId],
        expired_before: Timestamp,
        limit: usize,
        failed: &mut Option<io::Error>,
    ) -> Result<(usize, usize), Failure> {
        let (mut looked, mut removed) = (0, 0);
        for id in ids {
            looked += 1;
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
                break;
            }
        }
        Ok((looked, removed))
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
#[derive(Debug)]
pub(crate) struct OnlySweeper(OwnedFd);

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
