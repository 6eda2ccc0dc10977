//! A disk that is soon full.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system of 128 MiB; unmounted when dropped.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn mount() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let options = ["-t", "tmpfs", "-o", "size=128m,mode=1777", "tmpfs"];
        let mount = Command::new("mount")
            .args(options)
            .arg(disk.path())
            .status();
        assert!(
            mount.is_ok_and(|status| status.success()),
            "this test mounts a tmpfs of 128 MiB: it needs root and CAP_SYS_ADMIN"
        );
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: it is gone when the last file in it is closed.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}
