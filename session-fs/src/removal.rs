//! Ending records: on request, when an owner's sessions are listed, and for the sweep.

use std::os::fd::AsFd;

use session_core::{Only, Owner, SessionId, Written};

use crate::failure::Failure;
use crate::file::SessionFile;
use crate::folder::{self, Access, Folders};
use crate::log::Last;
use crate::owners;
use crate::records::Records;
use crate::unsynced::{Change, Seen};

impl Records {
    pub(crate) fn delete(
        &self,
        folders: &Folders,
        id: &SessionId,
        only: Only,
    ) -> Result<Written, Failure> {
        let Some(file) = self.lock(folders, id, Access::Write)? else {
            return self.gone(folders, id);
        };
        let last = match (file.read_locked(), only) {
            (Ok(None), _) => {
                let change = self.begin(id, true);
                self.unlink(folders, id)?;
                self.acknowledge_end(folders, id, file, change)?;
                return Ok(Written::Gone);
            }
            (Ok(last), _) => last,
            (Err(Failure::Store(_)), Only::Any) => None,
            (Err(failure), _) => return Err(failure),
        };
        if let (Only::Generation(generation), Some(last)) = (only, &last)
            && last.record()?.generation != generation
        {
            return Ok(Written::Conflict);
        }
        let change = self.begin(id, true);
        self.end(folders, id, &file, last.as_ref())?;
        self.acknowledge_end(folders, id, file, change)?;
        Ok(Written::Done)
    }

    /// Gone only when it is so on the disk, too.
    pub(crate) fn gone(&self, folders: &Folders, id: &SessionId) -> Result<Written, Failure> {
        match self.is_synced_now(folders, id)? {
            true => Ok(Written::Gone),
            false => Err(Failure::WouldWait),
        }
    }

    /// With `Disk`, returns when the end of a session is there.
    fn acknowledge_end(
        &self,
        folders: &Folders,
        id: &SessionId,
        file: SessionFile,
        change: Option<Change<'_>>,
    ) -> Result<(), Failure> {
        let failed = self.unsynced.failed(id);
        drop(file);
        if let Some(change) = change {
            self.sync_shard(folders, id)?;
            change.done();
            // What had failed before ended with it.
            if let Some(failed) = failed {
                self.unsynced.mended(id, failed);
            }
        }
        Ok(())
    }

    /// Removes a record whose lock is held, then its marker, then its name.
    ///
    /// Emptying the file ends the record while its lock is still there for others to wait on:
    /// were the name removed first, another could create the session anew, and lose its marker
    /// to us. The owner of an undecodable record is unknown; its marker is dropped when that
    /// owner's sessions are next listed.
    pub(crate) fn end(
        &self,
        folders: &Folders,
        id: &SessionId,
        file: &SessionFile,
        last: Option<&Last>,
    ) -> Result<(), Failure> {
        let owner = last
            .and_then(|last| last.record().ok())
            .and_then(|record| record.owner);
        if let Some(owner) = owner {
            file.clear()?;
            owners::remove(folders, &owner, &self.template.name(id))?;
        }
        self.unlink(folders, id)
    }

    /// Removes the name of a file whose lock is held.
    pub(crate) fn unlink(&self, folders: &Folders, id: &SessionId) -> Result<(), Failure> {
        if let Some(shard) = folders.shard(id.as_bytes()[0])? {
            folder::unlink(shard.as_fd(), &self.template.name(id))?;
        }
        Ok(())
    }

    pub(crate) fn owned_by(
        &self,
        folders: &Folders,
        owner: &Owner,
        seen: &Seen<Vec<SessionId>>,
    ) -> Result<Vec<SessionId>, Failure> {
        self.when_synced(folders, seen, || {
            let ids = self.markers(folders, owner)?;
            // Who finds no session takes the owner's for ended. Asked after it was listed.
            Ok((ids, self.unsynced.removals()))
        })
    }

    /// The sessions whose markers are right, or may be.
    fn markers(&self, folders: &Folders, owner: &Owner) -> Result<Vec<SessionId>, Failure> {
        let mut ids = owners::list(folders, owner, &self.template)?;
        let mut failed = None;
        ids.retain(|id| {
            failed.is_some()
                || self.is_owned(folders, owner, id).unwrap_or_else(|failure| {
                    failed = Some(failure);
                    true
                })
        });
        failed.map_or(Ok(ids), Err)
    }

    /// Whether the marker is right, or may be; a ghost is dropped.
    fn is_owned(&self, folders: &Folders, owner: &Owner, id: &SessionId) -> Result<bool, Failure> {
        let found = self.find(folders, id);
        match found.and_then(|last| Ok(last.map(|last| last.record()).transpose()?)) {
            Ok(Some(record)) if record.owner.as_ref() == Some(owner) => return Ok(true),
            Ok(_) => {}
            // It cannot be read, so it may be the owner's, and must be found to be revoked.
            Err(Failure::Store(_) | Failure::WouldWait) => return Ok(true),
            Err(failure) => return Err(failure),
        }
        match self.drop_ghost(folders, owner, id) {
            // Somebody is just writing it, or removing it.
            Err(Failure::WouldWait | Failure::Syncing) => Ok(true),
            is_owned => is_owned,
        }
    }

    /// Looks at the record under its lock, and drops a marker that is not its own. `true` if it
    /// is.
    ///
    /// Of a record that is not there the lock is made: an empty file is no record, and whoever
    /// wants to create one waits for it.
    fn drop_ghost(
        &self,
        folders: &Folders,
        owner: &Owner,
        id: &SessionId,
    ) -> Result<bool, Failure> {
        let Some(file) = self.lock(folders, id, Access::Make)? else {
            return Err(Failure::FolderDeleted);
        };
        // Which owner is on the disk is not known.
        if let Some(failed) = self.unsynced.failed(id) {
            self.mend(folders, id, &file, failed)?;
        }
        match file.read_locked() {
            Ok(Some(last)) => match last.record() {
                Ok(record) if record.owner.as_ref() != Some(owner) => {
                    owners::remove(folders, owner, &self.template.name(id))?;
                    Ok(false)
                }
                _ => Ok(true),
            },
            Ok(None) => {
                tracing::debug!(%id, "dropping a marker of the owner index without a record");
                owners::remove(folders, owner, &self.template.name(id))?;
                self.unlink(folders, id)?;
                Ok(false)
            }
            Err(Failure::Store(_)) => Ok(true),
            Err(failure) => Err(failure),
        }
    }
}
