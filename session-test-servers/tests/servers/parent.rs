//! A test's process that is killed leaves no server behind.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use session_test_servers::{MariaDbServer, PinnedFile, PostgresServer, RedisServer, SmallDisk};

use crate::process::{runs, until, with_children};

const ROLE: &str = "SESSION_TEST_SERVERS_PARENT";

/// Not a test of its own: the process that the tests below kill.
#[test]
fn a_parent_to_be_killed() {
    match env::var(ROLE).as_deref() {
        Ok("of servers") => be_a_parent_of_servers(),
        Ok("of disks") => be_a_parent_of_disks(),
        _ => {}
    }
}

fn be_a_parent_of_servers() {
    let redis = RedisServer::start().unwrap();
    let postgres = PostgresServer::start().unwrap();
    let mariadb = MariaDbServer::start().unwrap();
    // Also what is frozen.
    postgres.freeze();
    let folder = redis.command(&["CONFIG", "GET", "dir"]).unwrap();
    println!("folder {}", folder.lines().last().unwrap());
    for pid in [redis.pid(), postgres.pid(), mariadb.pid()] {
        for pid in with_children(pid.unwrap()) {
            println!("pid {pid}");
        }
    }
    wait_to_be_killed();
}

fn be_a_parent_of_disks() {
    let disk = SmallDisk::mount(1 << 20).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let _pinned = PinnedFile::at(file.path()).unwrap();
    println!("folder {}", disk.path().display());
    println!("file {}", file.path().display());
    wait_to_be_killed();
}

fn wait_to_be_killed() {
    println!("ready");
    loop {
        thread::park();
    }
}

/// A parent of such things, which waits to be killed, and what it has said.
fn start(role: &str) -> (Child, Vec<String>) {
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "parent::a_parent_to_be_killed", "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .take_while(|line| line != "ready")
        .collect();
    (parent, lines)
}

/// What it has said after this word.
fn after(lines: &[String], word: &str) -> Vec<String> {
    let lines = lines.iter().filter_map(|line| line.split_once(word));
    lines.map(|(_, rest)| rest.to_owned()).collect()
}

#[test]
fn a_killed_parent_leaves_no_server_behind() {
    let (mut parent, lines) = start("of servers");
    let folder = after(&lines, "folder ").remove(0);
    let pids = after(&lines, "pid ");
    let pids: Vec<i32> = pids.iter().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() > 5, "{pids:?}");
    assert!(pids.iter().all(|pid| runs(*pid)));

    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the servers' end", || !pids.iter().any(|pid| runs(*pid)));
    until("the folder's end", || !Path::new(&folder).exists());
}

#[test]
fn a_killed_parent_leaves_nothing_mounted() {
    let (mut parent, lines) = start("of disks");
    let folder = after(&lines, "folder ").remove(0);
    let file = after(&lines, "file ").remove(0);
    let is_mounted = |path: &str| {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        mounts
            .lines()
            .any(|line| line.split(' ').nth(1) == Some(path))
    };
    assert!(is_mounted(&folder) && is_mounted(&file), "{lines:?}");

    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the disk's end", || !Path::new(&folder).exists());
    until("the pin's end", || !is_mounted(&file));
    assert!(!is_mounted(&folder));
    fs::remove_file(file).unwrap();
}
