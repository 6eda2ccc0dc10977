//! A disk that is soon full.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system of 8 MiB; unmounted when dropped.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn mount() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = run(
            &["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs"],
            disk.path(),
        );
        assert!(
            mounted,
            "this test mounts a tmpfs of 8 MiB: it needs root and CAP_SYS_ADMIN"
        );
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(&["umount", "--lazy"], self.path());
    }
}

/// Runs a command about `path`; whether it succeeded.
pub(crate) fn run(command: &[&str], path: &Path) -> bool {
    let status = Command::new(command[0])
        .args(&command[1..])
        .arg(path)
        .status();
    status.is_ok_and(|status| status.success())
}
