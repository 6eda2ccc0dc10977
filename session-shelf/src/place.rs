//! Where a database is on the disk: made for its owner alone, and recognized when asked again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The file that a database's content is in.
#[derive(Debug)]
pub(crate) struct Place {
    file: PathBuf,
    identity: (u64, u64),
    begun: Instant,
    /// When it was last found there, in nanoseconds after `begun`.
    found: AtomicU64,
}

impl Place {
    /// Remembers which file is at a path now.
    pub(crate) fn of(file: PathBuf) -> Result<Self, Failure> {
        let begun = Instant::now();
        let identity = identity(&file)?;
        Ok(Self {
            file,
            identity,
            begun,
            found: AtomicU64::new(0),
        })
    }

    /// Fails if the file was moved or deleted: what is written then would be lost with the
    /// process.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.check_at(self.now())
    }

    /// As [`Self::check`], but takes what was true [a moment ago](LOOK_EVERY) for true, as asking
    /// the system takes longer than all else that reading from memory takes.
    pub(crate) fn check_lately(&self) -> Result<(), Failure> {
        let now = self.now();
        let age = now.saturating_sub(self.found.load(Relaxed));
        if u128::from(age) < LOOK_EVERY.as_nanos() {
            return Ok(());
        }
        self.check_at(now)
    }

    fn check_at(&self, now: u64) -> Result<(), Failure> {
        match identity(&self.file) {
            Ok(found) if found == self.identity => {
                self.found.store(now, Relaxed);
                Ok(())
            }
            Ok(_) => Err(Failure::unavailable(format!(
                "another file is in the place of {}, which is in use",
                self.file.display()
            ))),
            Err(error) => Err(Failure::unavailable(format!(
                "the file {} is no longer there to be used: {error}",
                self.file.display()
            ))),
        }
    }

    /// Nanoseconds after `begun`: 584 years are not exceeded.
    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }
}

/// So long what is in memory may be read after the file was moved or deleted.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

fn identity(file: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(file)?;
    Ok((found.dev(), found.ino()))
}

/// Whether a database may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Refuse,
    /// As `Refuse`; and what the files show may not be on the disk, because a write failed.
    RefuseInDoubt,
}

impl Missing {
    /// How long to wait for whoever still has it open: a running store does not, its next operation
    /// tries again.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::Make => LINGERING_MAX,
            Self::Refuse | Self::RefuseInDoubt => Duration::ZERO,
        }
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if path.as_os_str().is_empty() {
        return Err(Failure::unavailable("the path is empty"));
    }
    Ok(std::path::absolute(path)?)
}

/// Makes a folder, and those above it, for its owner alone.
pub(crate) fn make_folder(dir: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    Ok(())
}

/// Takes away what others may do with a file or folder.
pub(crate) fn close_to_others(path: &Path) -> Result<(), Failure> {
    let found = fs::metadata(path)?;
    let mode = found.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7700))?;
    }
    Ok(())
}

/// Opens a regular file for reading and writing, and makes it if that is asked for.
pub(crate) fn open_file(path: &Path, missing: Missing) -> Result<File, Failure> {
    // A file that is none, such as a named pipe, would make the opening wait.
    if let Ok(found) = fs::metadata(path)
        && !found.is_file()
    {
        return Err(Failure::unavailable("it is not a regular file"));
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(missing == Missing::Make)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    Ok(file)
}

/// Locks a file against other processes, and other stores of this one, for as long as it is open.
#[cfg(feature = "sled")]
pub(crate) fn lock(file: &File, patience: Duration) -> Result<(), Failure> {
    when_free(patience, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    })
}

/// Tries to open what is locked until it is free; fails if it stays locked.
pub(crate) fn when_free<T>(
    patience: Duration,
    mut open: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(opened) = open()? {
            return Ok(opened);
        }
        if begun.elapsed() >= patience {
            return Err(Failure::unavailable(
                "another process, or another store of this one, has it open",
            ));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// What this process has closed may be locked a moment longer: by a thread of sled's, and by a child
/// between its `fork` and its `exec`, which has every open file once more.
pub(crate) const LINGERING_MAX: Duration = Duration::from_secs(2);

/// Writes a file's bytes once more, as they are, and brings them to the disk.
///
/// After a sync that failed the kernel shows what it could not write, has forgotten that it has
/// to, and lets the next sync succeed. The file is locked, and nobody writes to it.
pub(crate) fn write_again(file: &File) -> io::Result<()> {
    let (mut bytes, mut at) = (vec![0; AGAIN_BYTES], 0);
    loop {
        let read = match file.read_at(&mut bytes, at) {
            Ok(0) => return file.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        file.write_all_at(&bytes[..read], at)?;
        at += read as u64;
    }
}

const AGAIN_BYTES: usize = 1 << 20;

/// Brings the names in a folder, and the folder's own, to the disk.
pub(crate) fn sync_names(dir: &Path) -> Result<(), Failure> {
    File::open(dir)?.sync_all()?;
    if let Some(above) = dir.parent() {
        // Whoever may not read the folder above did not make this one either.
        if let Ok(above) = File::open(above) {
            above.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_again_stays_as_it_was_and_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..2 * AGAIN_BYTES + 7).map(|at| at as u8).collect();
        fs::write(&path, &content).unwrap();
        let file = open_file(&path, Missing::Refuse).unwrap();
        let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1);
        file.set_modified(long_ago).unwrap();
        write_again(&file).unwrap();
        assert!(file.metadata().unwrap().modified().unwrap() > long_ago);
        assert!(fs::read(&path).unwrap() == content);
    }
}
