//! Where a store's server and the client that measures it run.
//!
//! One task waits for its server, and the server for it. Whether the scheduler puts both on one
//! processor or on two makes an operation over loopback take three times as long or not, and it may
//! decide differently for a store and for its floor. So at one task the server has one processor and
//! this process the others; many tasks have all of the machine, as an application has.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

/// The processors of this machine, and the servers that share them with this process.
#[derive(Debug)]
pub struct Placement {
    processors: usize,
    servers: Vec<i32>,
}

impl Placement {
    /// Of servers with these main processes; `None` if there is nothing to keep apart.
    #[must_use]
    pub fn of(servers: Vec<i32>) -> Option<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (processors > 1 && !servers.is_empty()).then_some(Self {
            processors,
            servers,
        })
    }

    /// Each side on processors of its own.
    ///
    /// # Errors
    ///
    /// `taskset` (util-linux) is not installed or fails.
    pub fn apart(&self) -> io::Result<()> {
        let others = format!("1-{}", self.processors - 1);
        self.place("0", &others)
    }

    /// Both sides wherever the scheduler puts them.
    ///
    /// # Errors
    ///
    /// As for [`apart`](Self::apart).
    pub fn anywhere(&self) -> io::Result<()> {
        let all = format!("0-{}", self.processors - 1);
        self.place(&all, &all)
    }

    fn place(&self, servers: &str, client: &str) -> io::Result<()> {
        for &server in &self.servers {
            place(server, servers)?;
            // PostgreSQL has a process for each connection.
            for child in children(server) {
                place(child, servers)?;
            }
        }
        place(
            i32::try_from(std::process::id()).map_err(io::Error::other)?,
            client,
        )
    }
}

/// Puts all threads of a process there; those it begins follow.
fn place(pid: i32, processors: &str) -> io::Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", processors, &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        // One that has ended since needs no place.
        false if !fs::exists(format!("/proc/{pid}"))? => Ok(()),
        false => Err(io::Error::other("taskset failed")),
    }
}

fn children(pid: i32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
