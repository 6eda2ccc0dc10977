//! What really reaches the operating system and the disk before a write is acknowledged, as
//! `strace` sees it.

use std::fs;
use std::process::Command;

use session_core::{Created, Store};

use super::child::{Running, command, task, tell};
use super::{Durability, EngineKind, config, counted, id, next, open};

const WRITES: u8 = 6;
/// So long that sled keeps the value in a file of its own.
const LARGE_BYTES: usize = 600_000;

#[tokio::test]
async fn child() {
    let Some(asked) = task().filter(|task| task.word == "Os" || task.word == "Disk") else {
        return;
    };
    let durability = match &*asked.word {
        "Os" => Durability::Os,
        _ => Durability::Disk,
    };
    let (store, _) = open(config(asked.kind, &asked.folder).durability(durability));
    tell("open");
    for number in 0..WRITES {
        let large = "x".repeat(if number == WRITES - 1 {
            LARGE_BYTES
        } else {
            10
        });
        let record = next(&counted(1), large);
        assert_eq!(
            store.create(&id(number), &record).await.unwrap(),
            Created::Done
        );
        tell(&number.to_string());
    }
}

/// The calls between one acknowledgement and the next, as `name path`.
fn calls_per_write(kind: EngineKind, durability: &str) -> Vec<Vec<String>> {
    let found = Command::new("strace").arg("-V").output();
    assert!(
        found.is_ok_and(|found| found.status.success()),
        "this test looks at system calls: install `strace`"
    );
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("calls");
    let strace = [
        "strace",
        "-f",
        "-y",
        "-e",
        "trace=write,pwrite64,fsync,fdatasync",
        "-o",
        log.to_str().unwrap(),
    ];
    let what = format!("{durability} 0");
    let test = "tests::durability::child";
    let told = Running::start(command(&strace, test, kind, &what, &dir.path().join("at"))).finish();
    assert_eq!(told.len(), usize::from(WRITES) + 1);
    let text = fs::read_to_string(log).unwrap();
    let mut calls = vec![Vec::new()];
    for line in text.lines() {
        let Some((call, rest)) = line.split_once('(') else {
            continue;
        };
        let call = call.rsplit(' ').next().unwrap();
        if call == "write" && rest.contains("tell ") {
            calls.push(Vec::new());
        } else if let Some((path, _)) = rest.split_once('>') {
            calls.last_mut().unwrap().push(format!("{call} {path}"));
        }
    }
    // Before the first there is the opening, after the last the closing.
    calls.drain(1..calls.len() - 1).collect()
}

/// Whether there is a call, and after it the other, on files whose paths end like this.
fn in_order(calls: &[String], wanted: &[(&str, &str)]) -> bool {
    let mut calls = calls.iter();
    wanted.iter().all(|(call, path)| {
        calls.any(|found| found.starts_with(&format!("{call} ")) && found.ends_with(path))
    })
}

#[cfg(feature = "sled")]
#[test]
fn sled_has_given_a_write_to_the_system_before_it_is_acknowledged() {
    for calls in calls_per_write(EngineKind::Sled, "Os") {
        assert!(in_order(&calls, &[("pwrite64", "sled/db")]), "{calls:?}");
    }
}

#[cfg(feature = "sled")]
#[test]
fn sled_has_synced_a_write_before_it_is_acknowledged_if_it_is_to_survive_a_power_cut() {
    let writes = calls_per_write(EngineKind::Sled, "Disk");
    for calls in &writes {
        let wanted = [("pwrite64", "sled/db"), ("fdatasync", "sled/db")];
        assert!(in_order(calls, &wanted), "{calls:?}");
    }
    let large = writes.last().unwrap();
    let blob_and_name = [
        ("fsync", ""),
        ("fsync", "sled/blobs"),
        ("fdatasync", "sled/db"),
    ];
    assert!(in_order(large, &blob_and_name), "{large:?}");
}

#[cfg(feature = "redb")]
#[test]
fn redb_has_synced_a_write_before_it_is_acknowledged() {
    for durability in ["Os", "Disk"] {
        for calls in calls_per_write(EngineKind::Redb, durability) {
            let wanted = [("pwrite64", ".redb"), ("fdatasync", ".redb")];
            assert!(in_order(&calls, &wanted), "{calls:?}");
        }
    }
}
