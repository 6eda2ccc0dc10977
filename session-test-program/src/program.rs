//! The running program.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Visitor;

/// A running program; killed when dropped, or when the test's process is killed.
#[derive(Debug)]
pub struct Program {
    process: Child,
    watcher: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Program {
    /// Starts the executable at `path` with `127.0.0.1:0` and `args`, and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or ends instead.
    #[must_use]
    pub fn start(path: &str, args: &[&str]) -> Self {
        let mut process = Command::new(path)
            .arg("127.0.0.1:0")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{path} does not start: {error}"));
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut program = Self {
            watcher: watcher(process.id()),
            process,
            stdout: BufReader::new(stdout),
            address: String::new(),
        };
        program.address = program.next_address();
        program
    }

    /// Where it listens: host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next address that the program says it listens on, if it listens on several.
    ///
    /// # Panics
    ///
    /// If it says something else, or nothing more.
    pub fn next_address(&mut self) -> String {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line);
        read.expect("the program writes text");
        line.trim_end()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("the program does not listen, it says: {line:?}"))
            .to_owned()
    }

    /// A visitor without a cookie.
    #[must_use]
    pub fn visitor(&self) -> Visitor {
        Visitor::of(&self.address)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A failure means that it has ended already.
        let _ = self.process.kill();
        // Before the wait: afterwards the pid may be given to another process.
        if let Some(mut pipe) = self.watcher.stdin.take() {
            let _ = pipe.write_all(b"ended\n");
        }
        let _ = self.process.wait();
        let _ = self.watcher.wait();
    }
}

/// A shell that reads a pipe whose other end only this process has. Its end is the test's: the shell
/// kills the program, unless it has read that it ended.
fn watcher(pid: u32) -> Child {
    Command::new("/bin/sh")
        .args(["-c", r#"read -r ended || kill -KILL "$1""#, "watcher"])
        .arg(pid.to_string())
        // A signal to the test's group is not for the shell.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("/bin/sh does not start: {error}"))
}
