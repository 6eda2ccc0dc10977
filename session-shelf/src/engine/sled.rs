//! sled 0.34: a log with a cache of pages in front. What it is told stays in the process until it
//! is flushed.

mod disk;
mod journal;
mod pending;

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use session_core::{StoreError, StoreErrorKind};

use self::disk::Disk;
use self::journal::Journal;
use self::pending::Pending;
use super::{Engine, Group, View};
use crate::config::{Durability, ShelfConfig};
use crate::failure::{Failure, kind_of};
use crate::place::{self, Missing, Place};

/// An open database in a folder of its own.
pub(crate) struct Sled {
    /// Dropped first: what they have not written yet goes out before the lock is released.
    journal: Journal,
    db: sled::Db,
    folder: PathBuf,
    place: Place,
    disk: Option<Disk>,
    _lock: File,
}

impl Sled {
    pub(crate) fn open(config: &ShelfConfig, missing: Missing) -> Result<Self, Failure> {
        let dir = config.path();
        let folder = dir.join("sled");
        let file = folder.join("db");
        if missing == Missing::Make {
            place::make_folder(&folder)?;
        }
        place::close_to_others(&folder)?;
        let lock_file = place::open_file(&folder.join("lock"), missing)?;
        place::lock(&lock_file, missing.patience())?;
        // For its permissions; an empty file is a new database to sled. One that has gone is not
        // made anew under a running store.
        drop(place::open_file(&file, missing)?);
        remove_unfinished_snapshots(&folder)?;
        let disk = config.chosen_durability() == Durability::Disk;
        if disk && missing == Missing::RefuseInDoubt {
            write_again(&folder)?;
            write_again(&folder.join("blobs"))?;
        }
        let db = open_unlocked(config, &folder)?;
        let journal = Journal::open(&db)?;
        journal.redo(&db)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                place::close_to_others(&entry.path())?;
            }
        }
        let disk = match config.chosen_durability() {
            Durability::Os => None,
            Durability::Disk => Some(Disk::prepare(dir, &folder)?),
        };
        Ok(Self {
            journal,
            db,
            place: Place::of(file)?,
            folder,
            disk,
            _lock: lock_file,
        })
    }
}

/// A snapshot that was being written when the process ended is read as a whole one by the next,
/// which then refuses the database. The log holds everything that it would have held.
fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %entry.path().display(), "removing an unfinished snapshot");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write_again(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            place::write_again(&place::open_file(&entry.path(), Missing::Refuse)?)?;
        }
    }
    Ok(())
}

/// Opens the database, which nobody but this process can be using.
fn open_unlocked(config: &ShelfConfig, folder: &Path) -> Result<sled::Db, Failure> {
    let cache = config.page_bytes().max(CACHE_BYTES_MIN);
    let options = sled::Config::new()
        .path(folder)
        .cache_capacity(cache as u64);
    place::when_free(place::LINGERING_MAX, || {
        // sled panics over some kinds of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| options.open()));
        match opened {
            Ok(Ok(db)) => Ok(Some(db)),
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains("acquire lock") => {
                Ok(None)
            }
            Ok(Err(error @ (sled::Error::Corruption { .. } | sled::Error::Unsupported(_)))) => {
                Err(Failure::engine(StoreErrorKind::Corrupt, error))
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(Failure::Engine(StoreError::new(
                StoreErrorKind::Corrupt,
                "sled panicked over what it found: the database is damaged",
            ))),
        }
    })
}

const CACHE_BYTES_MIN: usize = 1 << 20;

/// What is kept free, so that sled never meets a full disk: it would refuse everything, and be
/// opened again only where there is room for its snapshot.
const RESERVED_BYTES: u64 = 8 << 20;

/// Of that, what removing leaves alone: to be opened again sled fills a segment of its log, 512 KiB, and
/// writes a snapshot.
const RESERVED_TO_OPEN_BYTES: u64 = 4 << 20;

/// Also for want of room a sync's failure is no refusal: what was written may or may not be there.
fn unsynced(failure: Failure) -> Failure {
    match failure {
        Failure::Engine(error) if error.kind() == StoreErrorKind::Full => {
            Failure::engine(StoreErrorKind::Unavailable, error)
        }
        other => other,
    }
}

impl Sled {
    /// Refuses where less than `needed` bytes are free, of which `kept` stay so.
    fn keeps_free(&self, kept: u64, needed: u64) -> Result<(), Failure> {
        let disk = rustix::fs::statvfs(&self.folder).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= needed {
            return Ok(());
        }
        Err(Failure::Record(StoreError::new(
            StoreErrorKind::Full,
            format!("the disk has {free} bytes left; {kept} are kept free"),
        )))
    }
}

impl Engine for Sled {
    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<(), Failure>) -> Result<(), Failure> {
        work(self)
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Group) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut pending = Pending::on(self);
        work(&mut pending)?;
        pending.apply_all()?;
        let flushed = self.db.flush().map(drop).map_err(failed);
        match &self.disk {
            Some(disk) => flushed.and_then(|()| disk.sync()).map_err(unsynced),
            None => flushed,
        }
    }

    fn room_for(&self, bytes: usize) -> Result<(), Failure> {
        let bytes = (bytes as u64).saturating_mul(4);
        self.keeps_free(RESERVED_BYTES, RESERVED_BYTES.saturating_add(bytes))
    }

    /// Removing writes to the log as well: where others have taken what is kept free, it would meet the
    /// full disk.
    fn room_to_remove(&self) -> Result<(), Failure> {
        self.keeps_free(RESERVED_TO_OPEN_BYTES, RESERVED_TO_OPEN_BYTES)
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

impl View for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let value = self.db.get(key).map_err(failed)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let found = self.db.range(from..to).keys().take(limit);
        found
            .map(|key| key.map(|key| key.to_vec()).map_err(failed))
            .collect()
    }
}

fn failed(error: sled::Error) -> Failure {
    let kind = match &error {
        sled::Error::Io(error) => kind_of(error),
        _ => StoreErrorKind::Unavailable,
    };
    Failure::engine(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_that_finds_no_room_is_no_refusal() {
        for (kind, told) in [
            (StoreErrorKind::Full, StoreErrorKind::Unavailable),
            (StoreErrorKind::Corrupt, StoreErrorKind::Corrupt),
        ] {
            let failure = unsynced(Failure::Engine(StoreError::new(kind, "said so")));
            assert_eq!(failure.error().kind(), told);
        }
    }
}
