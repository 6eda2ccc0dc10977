//! Other processes: this test binary, told by its environment to run one test as a child.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{ENGINES, EngineKind};

const TASK: &str = "SESSION_SHELF_CHILD_TASK";
const FOLDER: &str = "SESSION_SHELF_CHILD_FOLDER";

/// What a child is to do: the engine, a word, a number, and the folder.
pub(super) struct Task {
    pub(super) kind: EngineKind,
    pub(super) word: String,
    pub(super) number: u64,
    pub(super) folder: std::path::PathBuf,
}

/// The task, if this process is a child.
pub(super) fn task() -> Option<Task> {
    let task = std::env::var(TASK).ok()?;
    let mut parts = task.split(' ');
    let kind = parts.next()?;
    Some(Task {
        kind: *ENGINES.iter().find(|found| format!("{found:?}") == kind)?,
        word: parts.next()?.to_owned(),
        number: parts.next()?.parse().ok()?,
        folder: std::env::var_os(FOLDER)?.into(),
    })
}

/// The command that runs `test` as a child; `before` comes in front of it.
pub(super) fn command(
    before: &[&str],
    test: &str,
    kind: EngineKind,
    what: &str,
    dir: &Path,
) -> Command {
    let binary = std::env::current_exe().unwrap();
    let mut words: Vec<_> = before.iter().map(Into::into).collect();
    words.push(binary.into_os_string());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{kind:?} {what}"))
        .env(FOLDER, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// A child, and the lines it tells.
pub(super) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    text: String,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            output,
            text: String::new(),
        }
    }

    /// Waits until it has told so many lines.
    pub(super) fn wait_for(&mut self, lines: usize) {
        while told(&self.text).len() < lines {
            let read = self.output.read_line(&mut self.text).unwrap();
            assert!(read > 0, "the child ended: {}", self.text);
        }
    }

    /// Kills it and says what it has told.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output.read_to_string(&mut self.text).unwrap();
        told(&self.text)
    }

    /// Waits for its good end and says what it has told.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.output.read_to_string(&mut self.text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.text);
        told(&self.text)
    }
}

/// What whole lines of a child's output tell.
fn told(output: &str) -> Vec<String> {
    let lines = output.split_inclusive('\n');
    lines
        .filter_map(|line| line.strip_suffix('\n')?.strip_prefix("tell "))
        .map(ToOwned::to_owned)
        .collect()
}

/// Tells the parent; the line is out before this returns.
pub(super) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\ntell {line}\n").as_bytes())
        .unwrap();
    out.flush().unwrap();
}
