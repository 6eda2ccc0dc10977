//! The operations on one record, as they run on a blocking thread, or at once.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{Access as Permission, AtFlags};
use session_core::{
    Created, Owner, Record, SessionId, StoreError, StoreErrorKind, Touch, Version, Written,
};
use tokio::runtime::Handle;

use crate::cached::{INLINE_BYTES_MAX, Memory};
use crate::config::{Durability, FsConfig};
use crate::failure::{Failure, refused};
use crate::file::{Lock, SessionFile, TOUCH_BYTES_MAX};
use crate::folder::{self, Access, Folders, Root};
use crate::log::{self, Last, Touched};
use crate::owners::{self, Marked};
use crate::paths::{PING, Template};
use crate::sweep::Place as SweepPlace;
use crate::syncs::{Place, Syncs};
use crate::unsynced::{Change, Reading, Seen, Standing, Unsynced};
use crate::watch::{AtOnce, Leave, Pace, Watch, Watches};

/// The records of one folder.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) root: Root,
    pub(crate) template: Template,
    pub(crate) durability: Durability,
    pub(crate) sweep_place: SweepPlace,
    pub(crate) memory: Memory,
    watches: Watches,
    pub(crate) syncs: Syncs,
    pub(crate) unsynced: Unsynced,
}

impl Records {
    pub(crate) fn new(config: &FsConfig) -> Result<Self, session_core::Error> {
        let invalid = |message| session_core::Error::new(session_core::ErrorKind::Invalid, message);
        let template = Template::new(config.template())?;
        let dir = std::path::absolute(config.dir())
            .map_err(|error| invalid("the folder's path cannot be resolved").caused_by(error))?;
        Ok(Self {
            root: Root::new(dir, config.chosen_durability()),
            template,
            durability: config.chosen_durability(),
            sweep_place: SweepPlace::default(),
            memory: Memory::default(),
            watches: Watches::default(),
            syncs: Syncs::default(),
            unsynced: Unsynced::default(),
        })
    }

    /// Does `work` in the folder; once more if it was deleted meanwhile.
    pub(crate) fn within<T>(
        &self,
        work: impl Fn(&Self, &Folders) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let folders = self.root.folders()?;
        match work(self, &folders) {
            Err(Failure::FolderDeleted) => {
                self.root.forget(&folders);
                drop(folders);
                work(self, &*self.root.folders()?)
            }
            done => done,
        }
    }

    /// The watch under which writes may be made on the calling thread; `None` where that thread,
    /// the file system or the durability do not allow it.
    pub(crate) fn watch(&self) -> Option<Arc<Watch>> {
        let may_serve = self.durability == Durability::Os && self.memory.is_served();
        let runtime = may_serve.then(Handle::try_current)?.ok()?;
        self.watches.of(&runtime)
    }

    /// Does `work` without waiting for anything.
    pub(crate) fn at_once<T>(
        &self,
        watch: &Watch,
        work: impl Fn(&Self, &Folders, Pace<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let folders = self.root.held().ok_or(Failure::WouldWait)?;
        let memory = &self.memory;
        match work(self, &folders, Pace::AtOnce(AtOnce { watch, memory })) {
            Err(Failure::FolderDeleted) => Err(Failure::WouldWait),
            done => done,
        }
    }

    /// Whether the folder is where its path leads, and can be written to.
    pub(crate) fn ping(&self, folders: &Folders) -> Result<(), Failure> {
        folders.check_present()?;
        if !self.root.is_at_its_path(folders)? {
            return Err(refused("another folder is at the store's path"));
        }
        let needed = Permission::WRITE_OK | Permission::EXEC_OK;
        for folder in [&folders.sessions, &folders.owners] {
            rustix::fs::accessat(folder, ".", needed, AtFlags::EACCESS)?;
        }
        self.write_a_byte(folders)
    }

    /// Whether the disk has room, and takes what is written. Several may write to the file at once.
    fn write_a_byte(&self, folders: &Folders) -> Result<(), Failure> {
        let Some(file) = folder::open_file(folders.root.as_fd(), PING, Access::Make)? else {
            return Err(Failure::FolderDeleted);
        };
        // What it had before would be room enough.
        rustix::fs::ftruncate(&file, 0)?;
        let written = rustix::io::pwrite(&file, b".", 0);
        if written.is_ok() && self.durability == Durability::Disk {
            rustix::fs::fdatasync(&file)?;
        }
        rustix::fs::ftruncate(&file, 0)?;
        written?;
        Ok(())
    }

    pub(crate) fn create(
        &self,
        folders: &Folders,
        id: &SessionId,
        record: &Record,
    ) -> Result<Created, Failure> {
        let frame = encode(id, record)?;
        // Where somebody else has the other, the disk may be well, which is what is asked for.
        if let Some(other) = self.unsynced.one_too_many()
            && let Err(failure @ (Failure::Sync(_) | Failure::Syncing)) =
                self.is_synced_now(folders, &other)
        {
            return Err(failure);
        }
        let Some(file) = self.lock(folders, id, Access::Make)? else {
            return Err(Failure::FolderDeleted);
        };
        // An empty file, or the beginning of a first frame, is nobody's: its writer, who held
        // this lock, died before anything was acknowledged.
        match file.read_locked() {
            Ok(None) => {}
            Ok(Some(_)) | Err(Failure::Store(_)) => return Ok(Created::Taken),
            Err(failure) => return Err(failure),
        }
        let owner = record.owner.as_ref();
        let change = self.begin(id, false);
        let began = self.mark(folders, owner, id).and_then(|marked| {
            file.begin(&frame)
                .inspect_err(|_| self.unmark(folders, owner, id, marked))
        });
        if let Err(failure) = began {
            // If this fails too, an empty file is no session.
            let _ = self.unlink(folders, id);
            if let Some(change) = change {
                change.done();
            }
            return Err(failure);
        }
        if let Some(change) = change {
            file.unlock()?;
            self.sync_file(id, &file)?;
            self.sync_shard(folders, id)?;
            change.done();
        }
        Ok(Created::Done)
    }

    pub(crate) fn load(
        &self,
        folders: &Folders,
        id: &SessionId,
        seen: &Seen<Option<Last>>,
    ) -> Result<Option<Record>, Failure> {
        let find = || Ok((self.find(folders, id)?, vec![*id]));
        let found = self.when_synced(folders, seen, find)?;
        Ok(found.map(|last| last.record()).transpose()?)
    }

    /// What `read` finds, once the sessions that it names are on the disk as it found them.
    ///
    /// # Errors
    ///
    /// As [`is_synced`](Self::is_synced). What was found is in `seen` then, for when the operation
    /// is begun anew.
    pub(crate) fn when_synced<T>(
        &self,
        folders: &Folders,
        seen: &Seen<T>,
        read: impl Fn() -> Result<(T, Vec<SessionId>), Failure>,
    ) -> Result<T, Failure> {
        loop {
            let reading = match seen.0.take() {
                Some(reading) => reading,
                None => {
                    let (found, sessions) = read()?;
                    let begun = self.unsynced.begun();
                    Reading {
                        found,
                        sessions,
                        begun,
                    }
                }
            };
            let mut are_synced = true;
            for id in &reading.sessions {
                match self.is_synced(folders, id, reading.begun) {
                    Ok(is_synced) => are_synced &= is_synced,
                    Err(failure) => {
                        seen.0.set(Some(reading));
                        return Err(failure);
                    }
                }
            }
            if are_synced {
                return Ok(reading.found);
            }
        }
    }

    /// Whether what was read of a session, when so many changes had begun, is on the disk. If not,
    /// it is now, and has to be read again.
    ///
    /// # Errors
    ///
    /// [`Failure::Syncing`] or [`Failure::WouldWait`]: another is just bringing it there. Others: a
    /// sync failed, and the session could not be written again.
    pub(crate) fn is_synced(
        &self,
        folders: &Folders,
        id: &SessionId,
        begun: u64,
    ) -> Result<bool, Failure> {
        if self.durability == Durability::Os {
            return Ok(true);
        }
        let failed = match self.unsynced.standing(id, begun) {
            Standing::Synced => return Ok(true),
            Standing::UnderWay => return Err(Failure::Syncing),
            Standing::Failed(failed) => failed,
        };
        let mended = match self.lock(folders, id, Access::Write)? {
            Some(file) => self.mend(folders, id, &file, failed),
            None => self.mend_name(folders, id, failed),
        };
        match mended {
            // Nobody is told of a record that cannot be read: it need not be remembered.
            Err(Failure::Store(_)) => self.unsynced.mended(id, failed),
            mended => mended?,
        }
        Ok(false)
    }

    /// As [`is_synced`](Self::is_synced), of what was read before this.
    pub(crate) fn is_synced_now(&self, folders: &Folders, id: &SessionId) -> Result<bool, Failure> {
        self.is_synced(folders, id, self.unsynced.begun())
    }

    /// Brings a session to the disk whose sync failed; its lock is held.
    ///
    /// Its bytes are written once more, because the kernel has forgotten which of them did not get
    /// there. A name cannot be; but file systems keep names in their journal, and one whose
    /// journal failed takes no more.
    pub(crate) fn mend(
        &self,
        folders: &Folders,
        id: &SessionId,
        file: &SessionFile,
        failed: u64,
    ) -> Result<(), Failure> {
        match file.read_locked()? {
            Some(last) => file.write_again(&last)?,
            None => file.clear()?,
        }
        self.syncs.lead(Place::Session(*id), || file.sync_all())?;
        self.mend_name(folders, id, failed)
    }

    /// Brings a session's name, or that there is none, to the disk.
    fn mend_name(&self, folders: &Folders, id: &SessionId, failed: u64) -> Result<(), Failure> {
        let first = id.as_bytes()[0];
        self.syncs
            .lead(Place::Shard(first), || folders.sync_shard(first))?;
        self.unsynced.mended(id, failed);
        Ok(())
    }

    /// Notes a change before it is made; where nobody waits for the disk there is nothing to note.
    pub(crate) fn begin(&self, id: &SessionId, removes: bool) -> Option<Change<'_>> {
        (self.durability == Durability::Disk).then(|| self.unsynced.begin(id, removes))
    }

    /// The live record, without a lock if the file ends in a whole frame.
    ///
    /// Otherwise someone is just writing, died while writing, or the bytes are damaged: only
    /// with the lock held can that be told.
    pub(crate) fn find(&self, folders: &Folders, id: &SessionId) -> Result<Option<Last>, Failure> {
        let Some(file) = SessionFile::open(folders, &self.template, id)? else {
            return Ok(None);
        };
        if file.is_empty() {
            return Ok(None);
        }
        if let Some(last) = file.read_end()? {
            return Ok(Some(last));
        }
        let template = &self.template;
        match SessionFile::lock(
            folders,
            template,
            id,
            Access::Read,
            Lock::Shared,
            Pace::Waiting,
        )? {
            Some(file) => file.read_locked(),
            None => Ok(None),
        }
    }

    pub(crate) fn update(
        &self,
        folders: &Folders,
        id: &SessionId,
        record: &Record,
        expected: Version,
        pace: Pace<'_>,
    ) -> Result<Written, Failure> {
        let bytes = record.data.as_str().len() + record.own.as_str().len();
        if let Pace::AtOnce(_) = pace
            && bytes as u64 > INLINE_BYTES_MAX
        {
            return Err(Failure::WouldWait);
        }
        let Some((file, last)) = self.lock_live(folders, id, pace)? else {
            return self.gone(folders, id);
        };
        let stored = last.record()?;
        if stored.version != expected {
            return Ok(Written::Conflict);
        }
        let mut record = record.clone();
        record.accessed_at = record.accessed_at.max(stored.accessed_at);
        let frame = encode(id, &record)?;
        if record.owner == stored.owner {
            let leave = pace.leave()?;
            let change = self.begin(id, false);
            let added = file.add_record(&last, &frame, self.durability);
            return self.acknowledge(id, file, added, leave, change);
        }
        if let Pace::AtOnce(_) = pace {
            return Err(Failure::WouldWait);
        }
        let owner = record.owner.as_ref();
        let marked = self.mark(folders, owner, id)?;
        let change = self.begin(id, false);
        if let Err(failure) = file.add_record(&last, &frame, self.durability) {
            if failure.is_refusal() {
                self.unmark(folders, owner, id, marked);
                if let Some(change) = change {
                    change.done();
                }
            }
            return Err(failure);
        }
        if let Some(change) = change {
            self.sync_file(id, &file)?;
            change.done();
        }
        if let Some(before) = &stored.owner {
            owners::remove(folders, before, &self.template.name(id))?;
        }
        Ok(Written::Done)
    }

    pub(crate) fn touch(
        &self,
        folders: &Folders,
        id: &SessionId,
        touch: &Touch,
        pace: Pace<'_>,
    ) -> Result<Written, Failure> {
        let Some((file, last)) = self.lock_live(folders, id, pace)? else {
            return self.gone(folders, id);
        };
        let mut record = last.record()?;
        let before = record.accessed_at;
        if !record.touch(touch) {
            return Ok(Written::Conflict);
        }
        if record.accessed_at == before {
            drop(file);
            self.is_synced_now(folders, id)?;
            return Ok(Written::Done);
        }
        if last.touch_bytes() >= TOUCH_BYTES_MAX.max(last.record_len) {
            let frame = encode(id, &record)?;
            let leave = pace.leave()?;
            let change = self.begin(id, false);
            let added = file.add_record(&last, &frame, self.durability);
            self.acknowledge(id, file, added, leave, change)
        } else {
            let touched = Touched {
                accessed_at: record.accessed_at,
                expires_at: record.expires_at(),
            };
            let frame = log::touch_frame(id, last.end - last.record_at, &touched);
            let leave = pace.leave()?;
            let change = self.begin(id, false);
            let added = file.append(&last, &frame);
            self.acknowledge(id, file, added, leave, change)
        }
    }

    pub(crate) fn lock(
        &self,
        folders: &Folders,
        id: &SessionId,
        access: Access,
    ) -> Result<Option<SessionFile>, Failure> {
        let (template, how) = (&self.template, Lock::Exclusive);
        SessionFile::lock(folders, template, id, access, how, Pace::Waiting)
    }

    fn lock_live(
        &self,
        folders: &Folders,
        id: &SessionId,
        pace: Pace<'_>,
    ) -> Result<Option<(SessionFile, Last)>, Failure> {
        let (access, how) = (Access::Write, Lock::Exclusive);
        let Some(file) = SessionFile::lock(folders, &self.template, id, access, how, pace)? else {
            return Ok(None);
        };
        // What is added to it may name a frame that is not on the disk.
        if self.durability == Durability::Disk
            && let Some(failed) = self.unsynced.failed(id)
        {
            self.mend(folders, id, &file, failed)?;
        }
        let last = match pace {
            Pace::Waiting => file.read_locked()?,
            Pace::AtOnce(at_once) => Some(file.read_at_once(at_once)?),
        };
        Ok(last.map(|last| (file, last)))
    }

    /// Done; with `Disk`, after the bytes are there. Others may write meanwhile: what they add
    /// comes after this frame, so their sync covers it.
    fn acknowledge(
        &self,
        id: &SessionId,
        file: SessionFile,
        added: Result<(), Failure>,
        leave: Option<Leave<'_>>,
        change: Option<Change<'_>>,
    ) -> Result<Written, Failure> {
        if let Some(change) = change {
            match &added {
                Ok(()) => {
                    file.unlock()?;
                    self.sync_file(id, &file)?;
                    change.done();
                }
                Err(failure) if failure.is_refusal() => change.done(),
                Err(_) => drop(change),
            }
        }
        // What was written is closed under the same leave.
        drop(file);
        drop(leave);
        added.map(|()| Written::Done)
    }

    fn sync_file(&self, id: &SessionId, file: &SessionFile) -> Result<(), Failure> {
        self.syncs.join(Place::Session(*id), || file.sync())
    }

    pub(crate) fn sync_shard(&self, folders: &Folders, id: &SessionId) -> Result<(), Failure> {
        let first = id.as_bytes()[0];
        self.syncs
            .join(Place::Shard(first), || folders.sync_shard(first))
    }

    fn mark(
        &self,
        folders: &Folders,
        owner: Option<&Owner>,
        id: &SessionId,
    ) -> Result<Marked, Failure> {
        match owner {
            Some(owner) => owners::add(folders, owner, &self.template.name(id), self.durability),
            None => Ok(Marked::Before),
        }
    }

    /// Takes a marker back whose record was not written. One that stays does no harm.
    fn unmark(&self, folders: &Folders, owner: Option<&Owner>, id: &SessionId, marked: Marked) {
        if let (Some(owner), Marked::New) = (owner, marked)
            && let Err(failure) = owners::remove(folders, owner, &self.template.name(id))
        {
            tracing::debug!(?failure, %id, "a marker of the owner index stays behind");
        }
    }
}

fn encode(id: &SessionId, record: &Record) -> Result<Vec<u8>, StoreError> {
    let json = record.encode();
    if json.len() > log::RECORD_BYTES_MAX {
        return Err(StoreError::new(
            StoreErrorKind::TooLarge,
            format!(
                "the record has {} bytes, a file holds at most {}",
                json.len(),
                log::RECORD_BYTES_MAX
            ),
        ));
    }
    Ok(log::record_frame(id, json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::{Clock, Expiry, Only, Token};

    /// What was waited for after each of: create, update, touch, delete.
    fn waits(durability: Durability) -> [Vec<Place>; 4] {
        let dir = tempfile::tempdir().unwrap();
        let config = FsConfig::new(dir.path()).durability(durability);
        let records = Records::new(&config).unwrap();
        let (token, now) = (Token::random().unwrap(), Clock::system().now());
        let id = token.id();
        let record = Record::new(token.digest(), now, Expiry::NEVER).unwrap();
        let mut update = record.clone();
        update.version = record.version.next().unwrap();
        let touch = Touch {
            generation: record.generation,
            accessed_at: now.after(std::time::Duration::from_secs(1)),
        };
        let steps: [&dyn Fn(&Folders) -> bool; 4] = [
            &|folders| records.create(folders, &id, &record).unwrap() == Created::Done,
            &|folders| {
                let written = records.update(folders, &id, &update, record.version, Pace::Waiting);
                written.unwrap() == Written::Done
            },
            &|folders| records.touch(folders, &id, &touch, Pace::Waiting).unwrap() == Written::Done,
            &|folders| records.delete(folders, &id, Only::Any).unwrap() == Written::Done,
        ];
        steps.map(|step| {
            assert!(records.within(|_, folders| Ok(step(folders))).unwrap());
            let waits = std::mem::take(&mut *records.syncs.ended.lock().unwrap());
            let file = Place::Session(id);
            let folder = Place::Shard(id.as_bytes()[0]);
            assert!(waits.iter().all(|wait| [file, folder].contains(wait)));
            waits
        })
    }

    #[test]
    fn with_disk_every_write_waits_for_what_it_changed_and_with_os_for_nothing() {
        let kinds = |waits: &Vec<Place>| -> String {
            let kind = |place: &Place| match place {
                Place::Session(_) => 'f',
                Place::Shard(_) => 'd',
            };
            waits.iter().map(kind).collect()
        };
        assert_eq!(
            waits(Durability::Disk).each_ref().map(kinds),
            ["fd", "f", "f", "d"]
        );
        assert!(waits(Durability::Os).iter().all(Vec::is_empty));
    }
}
