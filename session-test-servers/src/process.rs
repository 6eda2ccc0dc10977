//! One server process with its children.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::account::Account;
use crate::watcher::Watcher;

/// A running server: the process that was started and all that it forked.
pub(crate) struct Process {
    child: Child,
    pid: i32,
}

impl Process {
    /// Starts `program`, its output going to `log`, as `account`.
    ///
    /// The shell that becomes the server waits for a line before it does. By then the watcher
    /// knows its pid: at no time does a server run that would outlive this process.
    pub(crate) fn start(
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        log: &Path,
        account: Option<Account>,
        watcher: &mut Watcher,
    ) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"read -r go && exec "$@" </dev/null"#, "sh"])
            .arg(program)
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            // Messages are looked at, so they are in one language.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).expect("a pid is a positive i32");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let process = Self { child, pid };
        watcher.watch(process.child.id())?;
        pipe.write_all(b"go\n")?;
        Ok(process)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it has ended. Until [`kill`](Self::kill) its pid is given to no other process, as
    /// the watcher still knows it.
    pub(crate) fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let pid = WaitId::Pid(Pid::from_child(&self.child));
        !matches!(waitid(pid, look), Ok(None))
    }

    pub(crate) fn freeze(&self) {
        for_tree(self.pid, &mut |pid| {
            send(pid, Signal::STOP);
            // It is stopped some time after the signal was sent. What is stopped forks no more.
            while stat(pid).is_some_and(|stat| !"TtZX".contains(&stat.state)) {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }

    pub(crate) fn thaw(&self) {
        for pid in tree(self.pid).into_iter().rev() {
            send(pid, Signal::CONT);
        }
    }

    /// Kills every process and waits until none is left, also where the server ended by itself.
    pub(crate) fn kill(&mut self, watcher: &mut Watcher) {
        // Stopped first, so that no process is forked while the others are killed.
        self.freeze();
        let pids = tree(self.pid);
        for pid in &pids {
            send(*pid, Signal::KILL);
        }
        // Before the wait: afterwards the pid may be given to another process.
        let _ = watcher.watch(0);
        let _ = self.child.wait();
        while pids.iter().any(|pid| *pid != self.pid && is_alive(*pid)) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn send(pid: i32, signal: Signal) {
    // A process that has just ended needs no signal.
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// The process and all below it, each before those it forked.
fn tree(pid: i32) -> Vec<i32> {
    let mut pids = Vec::new();
    for_tree(pid, &mut |pid| pids.push(pid));
    pids
}

/// Calls `visit` for the process, and only then looks for those it forked.
fn for_tree(pid: i32, visit: &mut impl FnMut(i32)) {
    visit(pid);
    for child in children(pid) {
        for_tree(child, visit);
    }
}

fn children(parent: i32) -> Vec<i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// A zombie holds nothing and waits for init alone.
fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != "Z" && stat.state != "X")
}

struct Stat {
    state: String,
    parent: i32,
}

fn stat(pid: i32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold any byte.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(Stat {
        state: fields.next()?.to_owned(),
        parent: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watcher_forgets_a_server_that_ended_by_itself_before_its_pid_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let [log, told] = ["log", "told"].map(|name| folder.path().join(name));
        let mut watcher = Watcher::noting(&told).unwrap();
        let nothing: [&str; 0] = [];
        let program = Path::new("/bin/true");
        let mut server = Process::start(program, &nothing, &log, None, &mut watcher).unwrap();
        while !server.has_ended() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(stat(server.pid()).unwrap().state, "Z");
        server.kill(&mut watcher);
        drop(watcher);
        let told = fs::read_to_string(told).unwrap();
        assert_eq!(told, format!("{}\n0\n", server.pid()));
    }
}
