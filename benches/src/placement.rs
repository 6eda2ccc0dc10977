//! Where a store's server and the client that measures it run.
//!
//! One task waits for its server, and the server for it. Whether the scheduler puts both on one
//! processor or on two makes an operation over loopback take three times as long or not, and it may
//! decide differently for a store and for its floor. So at one task the server has one processor and
//! this process the others; many tasks have all of the machine, as an application has.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The processors that this process may use, and the servers that share them with it.
#[derive(Debug)]
pub struct Placement {
    processors: &'static [usize],
    servers: Vec<i32>,
}

impl Placement {
    /// Of servers with these main processes; `None` if there is nothing to keep apart.
    #[must_use]
    pub fn of(servers: Vec<i32>) -> Option<Self> {
        // Those of the beginning: this process may be kept to some of them later.
        static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
        let processors = ALLOWED.get_or_init(allowed).as_slice();
        (processors.len() > 1 && !servers.is_empty()).then_some(Self {
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
        let (first, others) = self.processors.split_at(1);
        self.place(&list(first), &list(others))
    }

    /// Both sides wherever the scheduler puts them.
    ///
    /// # Errors
    ///
    /// As for [`apart`](Self::apart).
    pub fn anywhere(&self) -> io::Result<()> {
        let all = list(self.processors);
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

/// The processors that the kernel lets this process use.
fn allowed() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let listed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = listed.unwrap_or_default().trim().split(',');
    let bounds = ranges.filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    bounds.flatten().collect()
}

fn list(processors: &[usize]) -> String {
    let each: Vec<_> = processors.iter().map(usize::to_string).collect();
    each.join(",")
}

/// Puts all threads of a process there; those it begins follow.
fn place(pid: i32, processors: &str) -> io::Result<()> {
    // A thread that ends while the threads are being listed makes it fail.
    for _ in 0..5 {
        let status = Command::new("taskset")
            .args(["-a", "-c", "-p", processors, &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() || !fs::exists(format!("/proc/{pid}"))? {
            return Ok(());
        }
    }
    Err(io::Error::other("taskset failed"))
}

fn children(pid: i32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
