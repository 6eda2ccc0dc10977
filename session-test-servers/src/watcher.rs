//! Ends a server, or unmounts a disk, when the test's process has ended, however it did.
//!
//! `PR_SET_PDEATHSIG` would do it when the *thread* that started the server ends, which a server
//! shared by several tests outlives. So a shell per server reads a pipe that only the test's
//! process holds: its end means that the process has gone, and the shell kills what it was told.
//! The shell and the server are in process groups of their own, so that a signal to the test's
//! group (Ctrl-C) ends the test and then, through the pipe, them.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of this process, for what a test starts by itself. Dropping it has
/// its work done now.
///
/// ```
/// use std::process::Command;
///
/// use session_test_servers::Watcher;
///
/// let folder = tempfile::tempdir()?.keep();
/// let mut watcher = Watcher::over(&folder)?;
/// let mut process = Command::new("sleep").arg("600").spawn()?;
/// watcher.watch(process.id())?;
///
/// // Told before the wait: afterwards the pid may be given to another process.
/// process.kill()?;
/// watcher.watch(0)?;
/// process.wait()?;
/// drop(watcher);
/// assert!(!folder.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Watcher(Child);

impl Watcher {
    /// Watches over `folder`, which is removed in the end.
    ///
    /// # Errors
    ///
    /// There is no `/bin/sh`.
    pub fn over(folder: &Path) -> io::Result<Self> {
        Self::start(&[KILL, REMOVE], folder)
    }

    /// Watches over a folder that something is mounted on; in the end it is unmounted and removed.
    pub(crate) fn over_mount(folder: &Path) -> io::Result<Self> {
        Self::start(&[KILL, UNMOUNT, REMOVE], folder)
    }

    /// Watches over a path that something is mounted on; in the end it is as it was before.
    pub(crate) fn over_pin(path: &Path) -> io::Result<Self> {
        Self::start(&[KILL, UNMOUNT], path)
    }

    fn start(script: &[&str], path: &Path) -> io::Result<Self> {
        Command::new("/bin/sh")
            .args(["-c", &script.concat(), "session-test-servers"])
            .arg(path)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
    }

    /// Kills nothing, and writes what it is told to `file`.
    #[cfg(test)]
    pub(crate) fn noting(file: &Path) -> io::Result<Self> {
        Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(file)?)
            .spawn()
            .map(Self)
    }

    /// Names the process to be killed, with all it forked, in place of the one before; 0: none.
    ///
    /// # Errors
    ///
    /// The shell has been killed.
    pub fn watch(&mut self, pid: u32) -> io::Result<()> {
        let pipe = self.0.stdin.as_mut().expect("the pipe is open until drop");
        pipe.write_all(format!("{pid}\n").as_bytes())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Its work is killing, unmounting and removing; nothing is left to do if it fails.
        let _ = self.0.wait();
    }
}

/// The last line that was read counts. The parent is stopped while its children are listed, so
/// that it forks no other; what they forked in turn is found the same way. Each thread lists its own.
const KILL: &str = r#"
end() {
  kill -STOP "$1"
  for child in $(cat /proc/"$1"/task/*/children); do end "$child"; done
  kill -KILL "$1"
}
pid=0
while read -r line; do pid=$line; done
[ "$pid" = 0 ] || end "$pid"
"#;

/// Lazily: what is open there stays until it is closed.
const UNMOUNT: &str = r#"
umount -l -- "$1"
"#;

const REMOVE: &str = r#"
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;
