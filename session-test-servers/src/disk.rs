//! A disk that is soon full, and a file that cannot be removed.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::ServerError;
use crate::watcher::Watcher;

/// A file system of its own in memory, of so many bytes; unmounted when dropped, or when the test's
/// process is killed.
///
/// ```no_run
/// use session_test_servers::SmallDisk;
///
/// let disk = SmallDisk::mount(256 << 10)?;
/// let full = std::fs::write(disk.path().join("file"), vec![0; 1 << 20]);
/// assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
/// disk.remount("size=4m")?;
/// std::fs::write(disk.path().join("file"), vec![0; 1 << 20]).unwrap();
/// # Ok::<(), session_test_servers::ServerError>(())
/// ```
pub struct SmallDisk {
    folder: PathBuf,
    // Dropped with the disk, it unmounts and removes the folder.
    _watcher: Watcher,
}

impl SmallDisk {
    /// Mounts it, for every user to write to.
    ///
    /// # Errors
    ///
    /// The test does not run as root (with `CAP_SYS_ADMIN`).
    pub fn mount(bytes: u64) -> Result<Self, ServerError> {
        let folder = tempfile::tempdir().map_err(ServerError::io("making a folder"))?;
        let folder = folder.keep();
        let watcher = Watcher::over_mount(&folder).map_err(ServerError::io("starting /bin/sh"))?;
        let disk = Self {
            folder,
            _watcher: watcher,
        };
        let options = format!("size={bytes},mode=1777");
        let kind = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        mount(&kind, disk.path(), format_args!("a tmpfs of {bytes} bytes"))?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Changes its options: `ro`, `rw`, `size=12m`.
    ///
    /// # Errors
    ///
    /// It is to become read-only while a file on it is open for writing, or smaller than its
    /// content.
    pub fn remount(&self, options: &str) -> Result<(), ServerError> {
        let options = format!("remount,{options}");
        mount(&["-o", &options], self.path(), &options)
    }
}

/// A file that everybody may read and write, and nobody can remove or rename, not even root; as
/// any other again when dropped, or when the test's process is killed.
///
/// ```no_run
/// use session_test_servers::PinnedFile;
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("file");
/// std::fs::write(&file, "text")?;
/// let pinned = PinnedFile::at(&file).unwrap();
/// let refused = std::fs::remove_file(&file);
/// assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ResourceBusy);
/// drop(pinned);
/// std::fs::remove_file(&file)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PinnedFile {
    // Dropped with it, it unmounts.
    _watcher: Watcher,
}

impl PinnedFile {
    /// Pins the file by mounting it on itself.
    ///
    /// # Errors
    ///
    /// The test does not run as root (with `CAP_SYS_ADMIN`).
    pub fn at(file: &Path) -> Result<Self, ServerError> {
        let watcher = Watcher::over_pin(file).map_err(ServerError::io("starting /bin/sh"))?;
        let pinned = Self { _watcher: watcher };
        let on_itself = [OsStr::new("--bind"), file.as_os_str()];
        mount(&on_itself, file, "a file on itself")?;
        Ok(pinned)
    }
}

fn mount(args: &[impl AsRef<OsStr>], place: &Path, what: impl Display) -> Result<(), ServerError> {
    let output = Command::new("mount").args(args).arg(place).output();
    let output = output.map_err(ServerError::io("mount"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(ServerError::new(format!(
        "mounting {what}: {said} (it needs root and CAP_SYS_ADMIN)"
    )))
}
