//! The real program, on a port of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::NamedTempFile;

/// A running demo; killed when dropped.
pub(crate) struct Demo {
    /// Where it listens, without a final slash.
    pub(crate) url: String,
    pub(crate) process: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) stderr: NamedTempFile,
}

impl Demo {
    /// Starts it with `args` and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, "127.0.0.1:0")
    }

    /// The same on the address `bind`.
    pub(crate) fn start_with(args: &[&str], bind: &str) -> Self {
        let stderr = NamedTempFile::new().expect("a temporary file can be made");
        let mut process = Command::new(env!("CARGO_BIN_EXE_session-demo"))
            .args(["--bind", bind])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(stderr.path()).expect("the file can be opened again"))
            .spawn()
            .expect("the demo starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the demo writes text");
        let url = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| {
                let said = std::fs::read_to_string(stderr.path()).unwrap_or_default();
                panic!("the demo does not listen: {line}{said}")
            })
            .trim_end()
            .to_owned();
        Self {
            url,
            process,
            stdout,
            stderr,
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A failure means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
