//! Load on a program: `wrk` on the one core, the program on the other.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Browser;
use crate::programs::CORES;

/// Connections that are kept open, each with one request at a time.
pub const CONNECTIONS: usize = 64;

/// Sessions that requests take in turn.
pub const SESSIONS: usize = 1_024;

/// What one run of `wrk` counted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Counted {
    /// Answers.
    pub requests: u64,
    /// How long they took together, in microseconds.
    pub micros: u64,
    /// Half of the answers came within so many microseconds.
    pub p50: u64,
    /// All but one in a hundred did.
    pub p99: u64,
    /// Answers of another status than 2xx or 3xx.
    pub refused: u64,
    /// Connections that broke, and answers that never came.
    pub broken: u64,
}

impl Counted {
    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests as f64 * 1e6 / self.micros as f64
    }
}

/// Whether load can be made here.
///
/// # Errors
///
/// What is missing, and how to get it.
pub fn is_there() -> Result<(), String> {
    let missing = |program: &str, flag: &str| {
        let mut command = Command::new(program);
        command
            .arg(flag)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_err()
    };
    for (program, flag, package) in [("wrk", "-v", "wrk"), ("taskset", "-V", "util-linux")] {
        if missing(program, flag) {
            return Err(format!(
                "{program} is not installed: apt-get install {package}"
            ));
        }
    }
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() >= CORES.len() => Ok(()),
        _ => Err("one core is too few: the program needs one, and wrk another".to_owned()),
    }
}

/// Asks for `path` for so many seconds, in turn with each of the sessions of `cookies`.
///
/// # Errors
///
/// `wrk` fails.
pub fn drive(
    addr: SocketAddr,
    path: &str,
    cookies: &Path,
    seconds: u32,
) -> Result<Counted, Box<dyn StdError>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("load.lua");
    let output = Command::new("taskset")
        .args(["-c", CORES[1], "wrk", "--threads", "1"])
        .args(["--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(script)
        .arg(format!("http://{addr}{path}"))
        .arg("--")
        .arg(cookies)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    let Some(line) = line.filter(|_| output.status.success()) else {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("wrk failed: {}{}", text.trim(), said.trim()).into());
    };
    Ok(serde_json::from_str(line)?)
}

/// Makes [`SESSIONS`] sessions, and a file with a cookie of each in a line. Where there are no
/// `sessions` the cookies are made up: a floor is asked as the others are.
///
/// # Errors
///
/// A request is not answered with a cookie.
pub async fn cookies(addr: SocketAddr, sessions: bool) -> Result<NamedTempFile, Box<dyn StdError>> {
    let mut file = NamedTempFile::new()?;
    let visitor = Browser::new(&format!("http://{addr}"));
    for number in 0..SESSIONS {
        if !sessions {
            writeln!(file, "session={number:086}")?;
            continue;
        }
        let visitor = visitor.with_cookies("");
        let reply = visitor.get("/count").await;
        let cookies = visitor.cookies();
        if cookies.is_empty() {
            return Err(format!("/count made no session: {reply:?}").into());
        }
        writeln!(file, "{cookies}")?;
    }
    file.flush()?;
    Ok(file)
}

/// Makes `sessions` more sessions by as many requests without a cookie, many of them at once.
///
/// # Errors
///
/// A connection breaks, or an answer is not 200.
pub async fn fill(addr: SocketAddr, sessions: usize) -> io::Result<()> {
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        let share = sessions / LANES + usize::from(lane < sessions % LANES);
        lanes.spawn(fill_through_one(addr, share));
    }
    while let Some(filled) = lanes.join_next().await {
        filled.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Connections that fill.
const LANES: usize = 16;
/// Requests that a connection sends before it reads the answers.
const PIPELINED: usize = 64;

async fn fill_through_one(addr: SocketAddr, mut left: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET /count HTTP/1.1\r\nhost: {addr}\r\n\r\n");
    let mut answers = Vec::with_capacity(64 * 1024);
    while left > 0 {
        let batch = left.min(PIPELINED);
        stream.write_all(request.repeat(batch).as_bytes()).await?;
        answers.clear();
        while count(&answers, OK) < batch || !answers.ends_with(BODY) {
            if stream.read_buf(&mut answers).await? == 0 {
                return Err(io::Error::other("the connection was closed while filling"));
            }
            if let Some(failure) = FAILURES.iter().find(|status| count(&answers, status) > 0) {
                let failure = String::from_utf8_lossy(failure);
                return Err(io::Error::other(format!("filling was answered {failure}")));
            }
        }
        left -= batch;
    }
    Ok(())
}

const OK: &[u8] = b"HTTP/1.1 200";
const FAILURES: [&[u8]; 2] = [b"HTTP/1.1 4", b"HTTP/1.1 5"];
/// The first `/count` of a session, after the head.
const BODY: &[u8] = b"\r\n\r\n1";

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).filter(|at| at == &part).count()
}
