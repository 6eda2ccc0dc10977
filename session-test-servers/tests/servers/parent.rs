//! A test's process that is killed leaves no server behind.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use session_test_servers::{MariaDbServer, PostgresServer, RedisServer};

use crate::process::{runs, until, with_children};

const ROLE: &str = "SESSION_TEST_SERVERS_PARENT";

/// Not a test of its own: the process that the test below kills.
#[test]
fn a_parent_to_be_killed() {
    if env::var_os(ROLE).is_none() {
        return;
    }
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
    println!("ready");
    loop {
        thread::park();
    }
}

#[test]
fn a_killed_parent_leaves_no_server_behind() {
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "parent::a_parent_to_be_killed", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .take_while(|line| line != "ready")
        .collect();
    let after = |word: &str| {
        let lines = lines.iter().filter_map(|line| line.split_once(word));
        lines
            .map(|(_, rest)| rest.to_owned())
            .collect::<Vec<String>>()
    };
    let folder = after("folder ").remove(0);
    let pids = after("pid ");
    let pids: Vec<i32> = pids.iter().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() > 5, "{pids:?}");
    assert!(pids.iter().all(|pid| runs(*pid)));

    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the servers' end", || !pids.iter().any(|pid| runs(*pid)));
    until("the folder's end", || !Path::new(&folder).exists());
}
