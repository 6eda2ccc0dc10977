//! The real program, on a port of its own.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

/// A running demo; killed when dropped.
pub(crate) struct Demo {
    /// Where it listens, without a final slash.
    pub(crate) url: String,
    pub(crate) process: Child,
    pub(crate) stderr: NamedTempFile,
}

impl Demo {
    /// Starts it with `args` and waits until it listens.
    ///
    /// Its store may take as long as a slow machine needs, unless `args` say otherwise.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_under(crate::FRAMEWORK, args)
    }

    /// The same under another framework than the other tests'.
    pub(crate) fn start_under(framework: &str, args: &[&str]) -> Self {
        let args = [&["--framework", framework], args].concat();
        Self::start_with(&args, "127.0.0.1:0")
    }

    /// The same under the default framework, on the address `bind`.
    pub(crate) fn start_with(args: &[&str], bind: &str) -> Self {
        let hurried = args.iter().any(|arg| arg.starts_with("--store-timeout"));
        let stderr = NamedTempFile::new().expect("a temporary file can be made");
        let mut process = Command::new(env!("CARGO_BIN_EXE_session-demo"))
            .args(["--bind", bind])
            .args(["--store-timeout=600"].iter().filter(|_| !hurried))
            .args(args)
            // What it says by itself is looked at.
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(stderr.path()).expect("the file can be opened again"))
            .spawn()
            .expect("the demo starts");
        let stdout = process.stdout.as_mut().expect("stdout is piped");
        let line = first_line(stdout);
        let url = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| {
                let said = std::fs::read_to_string(stderr.path()).unwrap_or_default();
                panic!("the demo does not listen: {line}{said}")
            })
            .to_owned();
        Self {
            url,
            process,
            stderr,
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A failure means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.stderr.path()).unwrap_or_default();
            eprintln!("the demo on {} said: {said}", self.url);
        }
    }
}

/// Byte by byte, so that what follows is still there for whoever reads on.
fn first_line(text: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while text.read(&mut byte).is_ok_and(|read| read == 1) && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8(line).expect("the demo writes text")
}
