//! What `Durability::Disk` adds to sled's own flush.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;
use crate::place;

/// Brings to the disk what sled has given to the operating system: its flush starts the writing of
/// the log and waits for it, but syncs neither the file's length, nor the disk's own cache, nor
/// the large values that sled keeps in files of their own.
pub(super) struct Disk {
    log: File,
    blobs: PathBuf,
    synced_blobs: Mutex<HashSet<OsString>>,
}

impl Disk {
    pub(super) fn prepare(dir: &Path, folder: &Path) -> Result<Self, Failure> {
        let disk = Self {
            log: File::open(folder.join("db"))?,
            blobs: folder.join("blobs"),
            synced_blobs: Mutex::default(),
        };
        disk.sync()?;
        File::open(folder.join("conf"))?.sync_all()?;
        place::sync_names(&disk.blobs)?;
        place::sync_names(dir)?;
        Ok(disk)
    }

    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.sync_blobs()?;
        self.log.sync_data()?;
        Ok(())
    }

    /// A blob is written once, under a name that is not used again.
    fn sync_blobs(&self) -> Result<(), Failure> {
        let mut synced = self
            .synced_blobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut there = HashSet::new();
        let mut is_new = false;
        for entry in fs::read_dir(&self.blobs)? {
            let entry = entry?;
            if !synced.contains(&entry.file_name()) {
                match File::open(entry.path()) {
                    Ok(blob) => blob.sync_all()?,
                    // Removed meanwhile, because nothing refers to it any more.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error.into()),
                }
                is_new = true;
            }
            there.insert(entry.file_name());
        }
        if is_new {
            File::open(&self.blobs)?.sync_all()?;
        }
        *synced = there;
        Ok(())
    }
}
