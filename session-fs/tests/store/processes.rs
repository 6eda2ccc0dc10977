//! Processes that share a folder, and processes that are killed.
//!
//! A child is this test binary, told by its environment to run one test: [`child`].

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use session_core::{
    Created, Only, Owner, SessionId, Store, StoreErrorKind, Touch, Version, Written,
};
use session_fs::FsStore;

use crate::races::increments;
use crate::{START, TIMEOUT, counted, files, folder, id, next, owned, record};

const TASK: &str = "SESSION_FS_CHILD_TASK";
const FOLDER: &str = "SESSION_FS_CHILD_FOLDER";

/// Starts a child; `shell` runs before it in its process.
fn start(task: &str, folder: &Path, shell: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// Tells the parent one number; the line is out before this returns.
fn tell(number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\ntell {number}").unwrap();
    out.flush().unwrap();
}

/// The numbers that whole lines of a child's output tell.
fn told(output: &str) -> Vec<u64> {
    output
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n')?.strip_prefix("tell ")?.parse().ok())
        .collect()
}

fn finish((mut child, mut output): (Child, BufReader<ChildStdout>)) -> Vec<u64> {
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    told(&text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let store = FsStore::open(std::env::var_os(FOLDER).unwrap()).unwrap();
    match &*task {
        "increment" => increments(&store, &id(1), 250).await,
        "create" => create_all(&store).await,
        "write" => write_for_ever(&store).await,
        "front" => fail_in_front(&store).await,
        "limit" => meet_the_limit(&store).await,
        "make" => {
            assert_eq!(
                store.create(&id(1), &owned("ada")).await.unwrap(),
                Created::Done
            );
            store.sweep(START, 1).await.unwrap();
        }
        _ => panic!("there is no task {task}"),
    }
    tell(0);
}

#[tokio::test]
async fn no_increment_of_four_processes_is_lost() {
    let (dir, store) = folder();
    let mut first = record();
    first.agent = Some("0".into());
    assert_eq!(store.create(&id(1), &first).await.unwrap(), Created::Done);
    let children: Vec<_> = (0..4)
        .map(|_| start("increment", dir.path(), ":"))
        .collect();
    for child in children {
        assert_eq!(finish(child), [0]);
    }
    let last = store.load(&id(1)).await.unwrap().unwrap();
    assert_eq!(last.agent.as_deref(), Some("1000"));
    assert_eq!(last.version.counter(), 1001);
}

async fn create_all(store: &FsStore) {
    for number in 1..=100 {
        if store.create(&id(number), &record()).await.unwrap() == Created::Done {
            tell(number.into());
        }
    }
}

#[tokio::test]
async fn one_of_four_creating_processes_wins_each_session() {
    let (dir, _store) = folder();
    let children: Vec<_> = (0..4).map(|_| start("create", dir.path(), ":")).collect();
    let mut won: Vec<_> = children
        .into_iter()
        .flat_map(finish)
        .filter(|n| *n > 0)
        .collect();
    won.sort_unstable();
    assert_eq!(won, (1..=100).collect::<Vec<u64>>());
}

const OWNERS: [&str; 2] = ["ada", "bob"];

/// What the version with this counter holds: up to 200 kB, over many pages.
fn content(counter: u64) -> String {
    "x".repeat((counter * 7919 % 200_000) as usize)
}

/// Writes one version after the other, with a new owner each, and tells each when it is stored.
async fn write_for_ever(store: &FsStore) {
    let mut stored = store.load(&id(1)).await.unwrap().unwrap();
    loop {
        let expected = stored.version;
        let counter = expected.counter() + 1;
        stored.version = Version::from_parts(counter, 1);
        stored.agent = Some(content(counter).into());
        stored.owner = Some(Owner::new(OWNERS[(counter % 2) as usize]).unwrap());
        assert_eq!(
            store.update(&id(1), &stored, expected).await.unwrap(),
            Written::Done
        );
        tell(counter);
        let touch = Touch {
            generation: stored.generation,
            accessed_at: START.after(std::time::Duration::from_millis(counter)),
        };
        assert_eq!(store.touch(&id(1), &touch).await.unwrap(), Written::Done);
        stored.accessed_at = touch.accessed_at;
        create_and_delete(store, counter).await;
    }
}

async fn create_and_delete(store: &FsStore, counter: u64) {
    let id = id(2 + (counter % 50) as u8);
    let _ = store.delete(&id, Only::Any).await.unwrap();
    let owner = OWNERS[(counter / 50 % 2) as usize];
    let mut record = owned(owner);
    record.agent = Some(content(counter).into());
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
}

#[tokio::test]
async fn f4_what_was_acknowledged_survives_kill_9_in_the_middle_of_writing() {
    let (dir, store) = folder();
    assert_eq!(
        store.create(&id(1), &counted(1)).await.unwrap(),
        Created::Done
    );
    for round in 0..20 {
        let (mut child, mut output) = start("write", dir.path(), ":");
        let mut text = String::new();
        while told(&text).len() < 3 + round % 5 * 4 {
            assert!(
                output.read_line(&mut text).unwrap() > 0,
                "the child ended: {text}"
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
        output.read_to_string(&mut text).unwrap();
        let acknowledged = *told(&text).last().unwrap();

        let stored = store.load(&id(1)).await.unwrap().unwrap();
        let counter = stored.version.counter();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&counter),
            "{counter}, {acknowledged}"
        );
        assert_eq!(stored.agent.as_deref(), Some(&*content(counter)));
        for number in 1..52 {
            is_whole_and_listed(&store, id(number)).await;
        }
        let update = next(&stored, content(counter + 1));
        assert_eq!(
            store.update(&id(1), &update, stored.version).await.unwrap(),
            Written::Done
        );
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(update));
    }
}

async fn is_whole_and_listed(store: &FsStore, id: SessionId) {
    let Some(stored) = store.load(&id).await.unwrap() else {
        return;
    };
    for owner in OWNERS {
        let owner = Owner::new(owner).unwrap();
        let listed = store.owned_by(&owner).await.unwrap().contains(&id);
        assert_eq!(
            listed,
            stored.owner.as_ref() == Some(&owner),
            "{id} of {owner}"
        );
    }
}

/// Runs with a limit of the file size of 4 or 8 kB, and the signal for exceeding it ignored.
async fn meet_the_limit(store: &FsStore) {
    let (id, stored) = (id(1), record());
    assert_eq!(store.create(&id, &stored).await.unwrap(), Created::Done);
    let large = next(&stored, "x".repeat(10_000));
    let error = store.update(&id, &large, stored.version).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
    assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&stored));
    let small = next(&stored, "small");
    assert_eq!(
        store.update(&id, &small, stored.version).await.unwrap(),
        Written::Done
    );
    assert_eq!(store.load(&id).await.unwrap(), Some(small));
    let error = store.create(&crate::id(2), &large).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
    assert_eq!(store.load(&crate::id(2)).await.unwrap(), None);
}

/// Runs with a limit below the length of the next version, which fits in front of the live one.
async fn fail_in_front(store: &FsStore) {
    let stored = store.load(&id(1)).await.unwrap().unwrap();
    let update = next(&stored, "y".repeat(20_000));
    let error = store
        .update(&id(1), &update, stored.version)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn a_version_that_fails_half_way_in_front_of_the_live_one_does_not_count() {
    let (dir, store) = folder();
    let first = next(&record(), "x".repeat(30_000));
    assert_eq!(store.create(&id(1), &first).await.unwrap(), Created::Done);
    let live = next(&first, "live");
    assert_eq!(
        store.update(&id(1), &live, first.version).await.unwrap(),
        Written::Done
    );
    let length = || crate::path_of(dir.path(), &id(1)).metadata().unwrap().len();
    let before = length();
    assert_eq!(
        finish(start("front", dir.path(), "trap '' XFSZ; ulimit -f 16")),
        [0]
    );
    assert_eq!(length(), before);
    assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&live));
    let update = next(&live, "y".repeat(20_000));
    assert_eq!(
        store.update(&id(1), &update, live.version).await.unwrap(),
        Written::Done
    );
    assert!(length() < before, "the next version is written in front");
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(update));
}

#[test]
fn what_exceeds_the_limit_of_the_file_size_is_cut_off_again() {
    let dir = tempfile::tempdir().unwrap();
    let child = start("limit", dir.path(), "trap '' XFSZ; ulimit -f 8");
    assert_eq!(finish(child), [0]);
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn a_loose_umask_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("made");
    assert_eq!(finish(start("make", &base, "umask 0")), [0]);
    let found = files(&base);
    assert_eq!(found.len(), 3);
    for file in found {
        for at in file.ancestors().take_while(|at| at.starts_with(&base)) {
            let mode = at.metadata().unwrap().permissions().mode() & 0o7777;
            let expected = if at.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{}", at.display());
        }
    }
}

#[tokio::test]
async fn a_process_that_is_just_starting_keeps_no_sweep_from_its_work() {
    let (_dir, store) = folder();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let starters: Vec<_> = (0..4)
        .map(|_| {
            let stop = std::sync::Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(Command::new("true").status().unwrap().success());
                }
            })
        })
        .collect();
    let mut swept = 0;
    for _ in 0..1000 {
        assert_eq!(
            store.create(&id(1), &record()).await.unwrap(),
            Created::Done
        );
        swept += store.sweep(START.after(TIMEOUT), 1).await.unwrap();
        let _ = store.delete(&id(1), Only::Any).await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for starter in starters {
        starter.join().unwrap();
    }
    assert_eq!(swept, 1000);
}
