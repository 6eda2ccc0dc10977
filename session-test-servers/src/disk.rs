//! A disk that is soon full.

use std::fmt::Display;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::error::ServerError;

/// A file system of its own in memory, of so many bytes; unmounted when dropped.
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
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts it, for every user to write to.
    ///
    /// # Errors
    ///
    /// The test does not run as root (with `CAP_SYS_ADMIN`).
    pub fn mount(bytes: u64) -> Result<Self, ServerError> {
        let folder = tempfile::tempdir().map_err(ServerError::io("making a folder"))?;
        let disk = Self(folder);
        let options = format!("size={bytes},mode=1777");
        let kind = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        disk.run("mount", &kind, format_args!("a tmpfs of {bytes} bytes"))?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Changes its options: `ro`, `rw`, `size=12m`.
    ///
    /// # Errors
    ///
    /// It is to become read-only while a file on it is open for writing, or smaller than its
    /// content.
    pub fn remount(&self, options: &str) -> Result<(), ServerError> {
        let options = format!("remount,{options}");
        self.run("mount", &["-o", &options], &options)
    }

    fn run(&self, program: &str, args: &[&str], what: impl Display) -> Result<(), ServerError> {
        let output = Command::new(program).args(args).arg(self.path()).output();
        let output = output.map_err(ServerError::io(program))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default();
        Err(ServerError::new(format!(
            "mounting {what}: {said} (it needs root and CAP_SYS_ADMIN)"
        )))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: it is gone when the last file on it is closed.
        let _ = self.run("umount", &["--lazy"], "nothing more");
    }
}
