//! What the system says about a process.

use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use session_test_servers::{MariaDbServer, PostgresServer, RedisServer};

/// Whether there is such a process; a zombie has ended.
pub(crate) fn runs(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The process's state as `ps` shows it: `T` is stopped.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process and those it forked.
pub(crate) fn with_children(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children = children
        .split_whitespace()
        .map(|child| child.parse().unwrap());
    [pid].into_iter().chain(children).collect()
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "{what} did not happen in a minute"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_dropped_server_leaves_no_process_port_or_folder() {
    let redis = RedisServer::start().unwrap();
    let postgres = PostgresServer::start().unwrap();
    let mariadb = MariaDbServer::start().unwrap();
    let folder = redis.command(&["CONFIG", "GET", "dir"]).unwrap();
    let folder = folder.lines().last().unwrap().to_owned();
    let pids = [redis.pid(), postgres.pid(), mariadb.pid()].map(Option::unwrap);
    let addrs = [redis.addr(), postgres.addr(), mariadb.addr()];
    let pids = pids.into_iter().flat_map(with_children).collect::<Vec<_>>();
    assert!(fs::exists(&folder).unwrap());

    drop((redis, postgres, mariadb));
    assert_eq!(pids.into_iter().filter(|pid| runs(*pid)).count(), 0);
    for addr in addrs {
        TcpStream::connect(addr).unwrap_err();
    }
    assert!(!fs::exists(&folder).unwrap());
}
