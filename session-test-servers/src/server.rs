//! What is the same for all servers: a folder, a port, a process, and waiting until it answers.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::process::Process;
use crate::watcher::Watcher;
use crate::{ServerError, port};

/// A server of any kind. Fields are dropped in order: the process first, then the folder.
pub(crate) struct Server {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    account: Option<Account>,
    port: u16,
    process: Option<Process>,
    watcher: Watcher,
    folder: PathBuf,
}

impl Server {
    /// Starts a server on a free port, with its folder in `on`. `prepare` writes into the folder
    /// what it needs, and gives the arguments; `answers` tells whether it is ready.
    pub(crate) fn start(
        name: &'static str,
        program: PathBuf,
        account: Option<Account>,
        on: Option<&Path>,
        mut prepare: impl FnMut(&Path, u16) -> Result<Vec<OsString>, ServerError>,
        answers: impl Fn(&Path, u16) -> bool,
    ) -> Result<Self, ServerError> {
        let folder = new_folder(on)?;
        let watcher = Watcher::over(&folder).map_err(ServerError::io("starting /bin/sh"))?;
        let mut server = Self {
            name,
            program,
            arguments: Vec::new(),
            account,
            port: 0,
            process: None,
            watcher,
            folder,
        };
        if let Some(account) = account {
            account.own(&server.folder)?;
        }
        for attempt in 1.. {
            server.port = port::free()?;
            server.arguments = prepare(&server.folder, server.port)?;
            match server.run(&answers) {
                // Another took the port between our look and the server's.
                Err(_) if attempt < 10 && server.lost_the_port() => {
                    let _ = fs::remove_file(server.log());
                }
                result => return result.map(|()| server),
            }
        }
        unreachable!("the last attempt returns");
    }

    /// Starts the process again, on the same port and data.
    pub(crate) fn restart(
        &mut self,
        answers: impl Fn(&Path, u16) -> bool,
    ) -> Result<(), ServerError> {
        self.kill();
        self.run(&answers)
    }

    fn run(&mut self, answers: &impl Fn(&Path, u16) -> bool) -> Result<(), ServerError> {
        let log = self.log();
        let process = Process::start(
            &self.program,
            &self.arguments,
            &log,
            self.account,
            &mut self.watcher,
        )
        .map_err(ServerError::io(format_args!("starting {}", self.name)))?;
        let process = self.process.insert(process);
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers(&self.folder, self.port) {
            let ended = process.has_ended();
            if ended || Instant::now() > deadline {
                let what = if ended { "ended" } else { "did not answer" };
                self.kill();
                let (name, last) = (self.name, self.last_words());
                return Err(ServerError::new(format!(
                    "{name} {what} at its start: {last}"
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Process::pid)
    }

    pub(crate) fn freeze(&self) {
        if let Some(process) = &self.process {
            process.freeze();
        }
    }

    pub(crate) fn thaw(&self) {
        if let Some(process) = &self.process {
            process.thaw();
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill(&mut self.watcher);
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn lost_the_port(&self) -> bool {
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains("ddress already in use"))
    }

    fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The watcher, dropped after this, removes the folder.
        self.kill();
    }
}

/// A folder that its owner alone can look into. Its path is short: a socket's may have 107 bytes.
fn new_folder(on: Option<&Path>) -> Result<PathBuf, ServerError> {
    let mut builder = tempfile::Builder::new();
    let owner_only = fs::Permissions::from_mode(0o700);
    let builder = builder.prefix("server-").permissions(owner_only);
    match on {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .map(tempfile::TempDir::keep)
    .map_err(ServerError::io("making a folder for the server"))
}

/// Runs a program that ends by itself.
pub(crate) fn run_once(
    name: &str,
    program: &Path,
    arguments: &[OsString],
    account: Option<Account>,
) -> Result<(), ServerError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").env("LC_ALL", "C");
    command.stdin(Stdio::null()).process_group(0);
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    let output = command
        .output()
        .map_err(ServerError::io(format_args!("starting {name}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = last_lines(&String::from_utf8_lossy(&said));
    Err(ServerError::new(format!("{name} failed: {said}")))
}

/// The end of a log, as one line.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}

/// Long: machines that test are slow and shared.
const START_TIMEOUT: Duration = Duration::from_secs(120);
