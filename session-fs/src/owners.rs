//! The owner index: an empty file named as the session's, in a folder named by a hash of the owner.
//!
//! The name is the whole of the file's, so that applications whose templates differ, in one folder,
//! do not take each other's markers for what is left of sessions of their own.
//!
//! A marker is written before the record that names the owner and removed after it, both under
//! the record's lock; so none is ever missing, and one that is too many can be told by looking
//! at the record under its lock.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::AtFlags;
use rustix::io::Errno;
use session_core::{Owner, SessionId};

use crate::config::Durability;
use crate::failure::{Failure, refused};
use crate::folder::{self, Access, Folders};
use crate::paths::{OwnerPath, Template};

/// How often a folder may vanish, emptied by another, before a marker is in it.
const ATTEMPTS: usize = 10_000;

/// Whether a marker was there before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    New,
    Before,
}

/// Writes the marker of a session; its record's lock is held.
pub(crate) fn add(
    folders: &Folders,
    owner: &Owner,
    name: &str,
    durability: Durability,
) -> Result<Marked, Failure> {
    let path = OwnerPath::new(owner);
    for _ in 0..ATTEMPTS {
        let Some(folder) = make(folders, &path)? else {
            continue;
        };
        let before = folder::open_file(folder.as_fd(), name, Access::Read)?.is_some();
        if !before && folder::open_file(folder.as_fd(), name, Access::Make)?.is_none() {
            // The folder was emptied and removed between the two steps.
            continue;
        }
        // Also when it was there before: whoever wrote it may have been killed before this.
        if durability == Durability::Disk {
            folder::sync_folder(folder.as_fd())?;
            if let Some(shard) = folder::open_folder(folders.owners.as_fd(), &path.shard)? {
                folder::sync_folder(shard.as_fd())?;
            }
            folder::sync_folder(folders.owners.as_fd())?;
        }
        return Ok(if before { Marked::Before } else { Marked::New });
    }
    Err(refused("the owner's folder was removed again and again"))
}

/// Opens the owner's folder, made if it is missing; `None` if it vanished meanwhile.
fn make(folders: &Folders, path: &OwnerPath) -> Result<Option<OwnedFd>, Failure> {
    if let Some(folder) = folder::open_folder(folders.owners.as_fd(), &path.path)? {
        return Ok(Some(folder));
    }
    folders.check_present()?;
    let vanished = |failure| match failure {
        Failure::Io(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => Err(other),
    };
    let shard = match folder::make_folder(folders.owners.as_fd(), &path.shard) {
        Ok(shard) => shard,
        Err(failure) => return vanished(failure),
    };
    folder::make_folder(shard.as_fd(), &path.name).map_or_else(vanished, |made| Ok(Some(made)))
}

/// Removes the marker of a session whose record is gone or another's; its lock is held.
pub(crate) fn remove(folders: &Folders, owner: &Owner, name: &str) -> Result<(), Failure> {
    let path = OwnerPath::new(owner);
    let Some(folder) = folder::open_folder(folders.owners.as_fd(), &path.path)? else {
        return Ok(());
    };
    if folder::unlink(folder.as_fd(), name)?
        && let Some(shard) = folder::open_folder(folders.owners.as_fd(), &path.shard)?
    {
        match rustix::fs::unlinkat(&shard, &*path.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The ids of the markers of an owner that this template made: others are another application's.
pub(crate) fn list(
    folders: &Folders,
    owner: &Owner,
    template: &Template,
) -> Result<Vec<SessionId>, Failure> {
    let path = OwnerPath::new(owner);
    let mut ids = Vec::new();
    match folder::open_folder(folders.owners.as_fd(), &path.path)? {
        Some(folder) => folder::for_each_name(folder.as_fd(), |name| {
            ids.extend(template.id_of(name));
        })?,
        None => folders.check_present()?,
    }
    Ok(ids)
}
