//! The open folder: everything below it is opened relative to a descriptor, and no symbolic link
//! below it is followed.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::config::Durability;
use crate::failure::Failure;
use crate::paths::{self, OWNERS, SESSIONS};

const FOLDER: Mode = Mode::RWXU;
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Added to every opening of a file: a link is refused, a fifo or device does not block, a
/// terminal does not become ours.
pub(crate) const OPEN_FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The folder by its path; opened on first use, and again after it was deleted.
#[derive(Debug)]
pub(crate) struct Root {
    dir: PathBuf,
    durability: Durability,
    open: RwLock<Option<Arc<Folders>>>,
}

impl Root {
    pub(crate) fn new(dir: PathBuf, durability: Durability) -> Self {
        Self {
            dir,
            durability,
            open: RwLock::new(None),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The open folders, made if they are missing.
    pub(crate) fn folders(&self) -> Result<Arc<Folders>, Failure> {
        let held = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(folders) = &*held {
            return Ok(Arc::clone(folders));
        }
        drop(held);
        let mut held = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(folders) = &*held {
            return Ok(Arc::clone(folders));
        }
        let folders = Arc::new(Folders::open(&self.dir, self.durability)?);
        *held = Some(Arc::clone(&folders));
        Ok(folders)
    }

    /// The folders, if they are open already and nobody is just opening them.
    pub(crate) fn held(&self) -> Option<Arc<Folders>> {
        self.open.try_read().ok()?.clone()
    }

    /// Lets go of the folder, so that the next use opens it by its path.
    pub(crate) fn forget(&self, folders: &Arc<Folders>) {
        let mut held = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, folders)) {
            *held = None;
        }
    }

    /// Whether the path leads to the folder that is held open.
    pub(crate) fn is_at_its_path(&self, folders: &Folders) -> Result<bool, Failure> {
        let held = fs::fstat(&folders.root)?;
        let there = std::fs::metadata(&self.dir)?;
        Ok((held.st_dev, held.st_ino) == (there.dev(), there.ino()))
    }
}

/// The store's folders, held open.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) root: OwnedFd,
    pub(crate) sessions: OwnedFd,
    pub(crate) owners: OwnedFd,
    /// Whether the names of the folders in `sessions` are known to be on the disk.
    shards_synced: [AtomicBool; 256],
}

impl Folders {
    fn open(dir: &Path, durability: Durability) -> Result<Self, Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let follow = OPEN_FOLDER.difference(OFlags::NOFOLLOW);
        let root = fs::open(dir, follow, Mode::empty())?;
        let sessions = make_folder(root.as_fd(), SESSIONS)?;
        let owners = make_folder(root.as_fd(), OWNERS)?;
        for folder in [&sessions, &owners] {
            let mode = Mode::from_raw_mode(fs::fstat(folder)?.st_mode);
            if mode.intersects(Mode::RWXG | Mode::RWXO) {
                fs::fchmod(folder, FOLDER)?;
            }
        }
        if durability == Durability::Disk {
            sync_folder(root.as_fd())?;
            if let Ok(above) = open_below(root.as_fd(), "..", OPEN_FOLDER, Mode::empty()) {
                sync_folder(above.as_fd())?;
            }
        }
        Ok(Self {
            root,
            sessions,
            owners,
            shards_synced: [const { AtomicBool::new(false) }; 256],
        })
    }

    /// Whether the folders were deleted under us: what they held is gone for good.
    pub(crate) fn are_deleted(&self) -> Result<bool, Failure> {
        Ok(fs::fstat(&self.sessions)?.st_nlink == 0 || fs::fstat(&self.owners)?.st_nlink == 0)
    }

    /// The answer to "no such file": `Ok`, unless that is because the folder is gone.
    pub(crate) fn check_present(&self) -> Result<(), Failure> {
        match self.are_deleted()? {
            true => Err(Failure::FolderDeleted),
            false => Ok(()),
        }
    }

    /// The folder of the sessions whose id begins with `first`; `None` if none ever did.
    pub(crate) fn shard(&self, first: u8) -> Result<Option<OwnedFd>, Failure> {
        open_folder(self.sessions.as_fd(), &paths::shard(first))
    }

    /// Makes that folder.
    pub(crate) fn make_shard(&self, first: u8) -> Result<OwnedFd, Failure> {
        match make_folder(self.sessions.as_fd(), &paths::shard(first)) {
            Err(Failure::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.check_present()?;
                Err(Failure::Io(error))
            }
            made => made,
        }
    }

    /// Puts the names in a session's folder, and that folder's own, on the disk.
    pub(crate) fn sync_shard(&self, first: u8) -> Result<(), Failure> {
        let Some(shard) = self.shard(first)? else {
            return Ok(());
        };
        sync_folder(shard.as_fd())?;
        let synced = &self.shards_synced[usize::from(first)];
        if !synced.load(Ordering::Acquire) {
            sync_folder(self.sessions.as_fd())?;
            synced.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// For writing; an empty file is made if there is none.
    Make,
}

/// Opens a file below `folder`; `None` if there is none.
pub(crate) fn open_file(
    folder: BorrowedFd<'_>,
    path: &str,
    access: Access,
) -> Result<Option<OwnedFd>, Failure> {
    let flags = match access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::RDWR,
        Access::Make => OFlags::RDWR | OFlags::CREATE,
    };
    absent(open_below(folder, path, flags | OPEN_FILE, FILE))
}

/// Opens a folder below `folder`; `None` if there is none.
pub(crate) fn open_folder(folder: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>, Failure> {
    absent(open_below(folder, path, OPEN_FOLDER, Mode::empty()))
}

/// Opens the folder `name` in `folder`, made if it is missing.
pub(crate) fn make_folder(folder: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Failure> {
    match fs::mkdirat(folder, name, FOLDER) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fs::openat(folder, name, OPEN_FOLDER, Mode::empty())?)
}

/// Removes the name of a file in `folder`; `false` if there was none.
pub(crate) fn unlink(folder: BorrowedFd<'_>, name: &str) -> Result<bool, Failure> {
    Ok(absent(fs::unlinkat(folder, name, AtFlags::empty()))?.is_some())
}

/// Puts the names in a folder on the disk.
pub(crate) fn sync_folder(folder: BorrowedFd<'_>) -> Result<(), Failure> {
    rustix::io::retry_on_intr(|| fs::fsync(folder)).map_err(|error| Failure::Sync(error.into()))
}

/// Calls `each` with every name in a folder that is not known to be something else than a file.
pub(crate) fn for_each_name(
    folder: BorrowedFd<'_>,
    mut each: impl FnMut(&[u8]),
) -> Result<(), Failure> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
            each(entry.file_name().to_bytes());
        }
    }
    Ok(())
}

fn absent<T>(result: Result<T, Errno>) -> Result<Option<T>, Failure> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens what is at `path` below `folder`, refusing a symbolic link anywhere on the way.
fn open_below(
    folder: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    {
        let links = fs::ResolveFlags::NO_SYMLINKS;
        let mode = if flags.contains(OFlags::CREATE) {
            mode
        } else {
            Mode::empty()
        };
        match rustix::io::retry_on_intr(|| fs::openat2(folder, path, flags, mode, links)) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
            answered => return answered,
        }
    }
    open_step_by_step(folder, path, flags, mode)
}

fn open_step_by_step(
    folder: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let (mut above, mut rest) = (None::<OwnedFd>, path);
    while let Some((step, below)) = rest.split_once('/') {
        let at = above.as_ref().map_or(folder, AsFd::as_fd);
        above = Some(fs::openat(at, step, OPEN_FOLDER, Mode::empty())?);
        rest = below;
    }
    let at = above.as_ref().map_or(folder, AsFd::as_fd);
    rustix::io::retry_on_intr(|| fs::openat(at, rest, flags, mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed_with_or_without_the_kernels_help() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/file"), "x").unwrap();
        symlink("real", dir.path().join("linked")).unwrap();
        symlink("file", dir.path().join("real/link")).unwrap();
        let root = fs::open(dir.path(), OPEN_FOLDER, Mode::empty()).unwrap();
        let flags = OFlags::RDONLY | OPEN_FILE;
        for open in [open_below, open_step_by_step] {
            let open = |path| open(root.as_fd(), path, flags, Mode::empty());
            assert!(open("real/file").is_ok());
            assert_eq!(open("real/none").unwrap_err(), Errno::NOENT);
            for link in ["linked/file", "real/link", "linked"] {
                let error = open(link).unwrap_err();
                assert!(
                    matches!(error, Errno::LOOP | Errno::NOTDIR),
                    "{link}: {error}"
                );
            }
        }
    }
}
