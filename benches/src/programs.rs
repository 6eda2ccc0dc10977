//! The programs that are compared: our demo under both frameworks, the peers, and what is bare.

use std::error::Error as StdError;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// One program; all answer the routes that `benches/peers/contract` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the report.
    pub name: &'static str,
    /// `axum` or `actix`.
    pub framework: &'static str,
    /// What it can keep sessions in, of [`backends::NAMES`](crate::backends::NAMES); nothing, if it
    /// has no sessions.
    pub stores: &'static [&'static str],
}

/// Every program with sessions, ours first.
pub const PROGRAMS: [Program; 7] = [
    Program {
        name: "session-kit-axum",
        framework: "axum",
        stores: &OURS,
    },
    Program {
        name: "session-kit-actix",
        framework: "actix",
        stores: &OURS,
    },
    Program {
        name: "tower-sessions",
        framework: "axum",
        stores: &["memory", "sqlite", "postgres", "redis"],
    },
    Program {
        name: "axum-session",
        framework: "axum",
        stores: &["memory", "sqlite", "postgres", "redis"],
    },
    Program {
        name: "ruts",
        framework: "axum",
        stores: &["memory", "postgres", "redis"],
    },
    Program {
        name: "axess-core",
        framework: "axum",
        stores: &["memory", "sqlite", "postgres", "redis"],
    },
    Program {
        name: "actix-session",
        framework: "actix",
        stores: &["memory", "cookie", "redis"],
    },
];

const OURS: [&str; 9] = crate::backends::NAMES;

/// The frameworks without sessions.
pub const FLOORS: [Program; 2] = [
    Program {
        name: "bare-axum",
        framework: "axum",
        stores: &[],
    },
    Program {
        name: "bare-actix",
        framework: "actix",
        stores: &[],
    },
];

/// Where a program may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On one core, with one thread.
    OneCore,
    /// Wherever the system puts it.
    Anywhere,
}

/// The core of a program that has one, and the core of what drives it.
pub const CORES: [&str; 2] = ["0", "1"];

impl Program {
    /// Whether it is this project's own.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.name.starts_with(DEMO_PREFIX)
    }

    /// What it is measured beside.
    #[must_use]
    pub fn floor(&self) -> Program {
        FLOORS[usize::from(self.framework == "actix")]
    }

    /// The program's file.
    ///
    /// # Errors
    ///
    /// It is not built: the line says how to.
    pub fn built(&self) -> Result<PathBuf, String> {
        let (path, command) = if self.is_ours() {
            let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            let target = target.unwrap_or_else(|| here().join("../target"));
            (target.join("release/session-demo"), BUILD_DEMO)
        } else {
            let name = format!("peer-{}", self.name);
            (here().join("peers/target/release").join(name), BUILD_PEERS)
        };
        if path.is_file() {
            return Ok(path);
        }
        Err(format!(
            "{} is left out, it is not built: {command}",
            self.name
        ))
    }

    /// Starts it on a free port and waits until it listens.
    ///
    /// # Errors
    ///
    /// It is not built, or ends at once: the error is what it says.
    pub fn start(&self, store: &str, place: Place) -> Result<Running, Box<dyn StdError>> {
        let path = self.built()?;
        let own = TempDir::new()?;
        let said = own.path().join("stderr");
        let mut command = match place {
            Place::OneCore => {
                let mut command = Command::new("taskset");
                command.args(["-c", CORES[0]]).arg(path);
                command.env("TOKIO_WORKER_THREADS", "1");
                command
            }
            Place::Anywhere => Command::new(path),
        };
        command.args(["--bind", "127.0.0.1:0", "--store", store]);
        if self.is_ours() {
            // With a key its tokens carry a MAC, as the others' cookies do.
            let key = own.path().join("key");
            command.args(["--framework", self.framework]);
            command.arg("--secret-key-file").arg(key);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&said)?)
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut running = Running {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            _own: own,
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.trim().strip_prefix("listening on http://");
        running.addr = match addr.and_then(|addr| addr.parse().ok()) {
            Some(addr) => addr,
            None => {
                let said = fs::read_to_string(&said).unwrap_or_default();
                let said = said.lines().next().unwrap_or("it said nothing").to_owned();
                return Err(said.into());
            }
        };
        Ok(running)
    }

    /// The lines of `--measure`.
    ///
    /// # Errors
    ///
    /// It is not built, or fails.
    pub fn measured(&self, quick: bool) -> Result<String, Box<dyn StdError>> {
        let mut command = Command::new(self.built()?);
        command.args(["--store", "memory:", "--measure"]);
        if quick {
            command.arg("--quick");
        }
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

const DEMO_PREFIX: &str = "session-kit-";
const BUILD_DEMO: &str = "cargo build --release -p session-demo --all-features";
const BUILD_PEERS: &str = "cargo build --release --manifest-path benches/peers/Cargo.toml";

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that serves; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    // Its key and what it says; removed with it.
    _own: TempDir,
}

impl Running {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens, as `http://…` without a final slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failure means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of processor time that a process has used, to a hundredth.
///
/// # Errors
///
/// There is no such process, or no `/proc`.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may hold any byte; times come 11 fields after the state.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS)
}

/// Linux reports times in hundredths of a second, whatever its own clock's rate.
const TICKS: f64 = 100.0;

/// Mebibytes of memory that a process holds.
///
/// # Errors
///
/// There is no such process, or no `/proc`.
pub fn resident_mib(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.unwrap_or_default() / 1024.0)
}
