//! Several processes on one file of SQLite, and processes that are killed.
//!
//! A child is this test binary, told by its environment to run one test: [`child`].

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use session_core::{Created, Store, Version, Written};
use session_sql::{SqlConfig, SqlStore};

use crate::database::{Kind, PATIENCE};
use crate::{Database, id, next, record};

const TASK: &str = "SESSION_SQL_CHILD_TASK";
const URL: &str = "SESSION_SQL_CHILD_URL";
const TABLE: &str = "SESSION_SQL_CHILD_TABLE";

fn start(task: &str, database: &Database) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(TASK, task)
        .env(URL, &database.url)
        .env(TABLE, &database.table)
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
    let table = std::env::var(TABLE).unwrap();
    let config = SqlConfig::new().table(table).acquire_timeout(PATIENCE);
    let store = SqlStore::connect_with(&std::env::var(URL).unwrap(), config)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    match &*task {
        "increment" => increment(&store, 100).await,
        "write" => write_for_ever(&store).await,
        _ => panic!("there is no task {task}"),
    }
}

async fn increment(store: &SqlStore, times: u64) {
    let mut done = 0;
    if store.create(&id(1), &record()).await.unwrap() == Created::Done {
        tell(0);
    }
    while done < times {
        let seen = store.load(&id(1)).await.unwrap().unwrap();
        let update = next(&seen, "{}");
        match store.update(&id(1), &update, seen.version).await.unwrap() {
            Written::Done => done += 1,
            Written::Conflict => {}
            Written::Gone => panic!("nobody deletes it"),
        }
    }
    tell(done);
}

/// All of them also make the file, turn on its log, and make the table.
#[tokio::test(flavor = "multi_thread")]
async fn four_processes_make_one_file_and_lose_no_increment() {
    let database = Database::new(Kind::Sqlite);
    let children: Vec<_> = (0..4).map(|_| start("increment", &database)).collect();
    let mut told: Vec<_> = children.into_iter().flat_map(finish).collect();
    told.sort_unstable();
    assert_eq!(told, [0, 100, 100, 100, 100]);
    let store = database.open().await;
    let last = store.load(&id(1)).await.unwrap().unwrap();
    assert_eq!(last.version.counter(), 401);
}

async fn write_for_ever(store: &SqlStore) {
    let _ = store.create(&id(1), &record()).await.unwrap();
    let mut stored = store.load(&id(1)).await.unwrap().unwrap();
    loop {
        let counter = stored.version.counter() + 1;
        let text = "x".repeat((counter * 7919 % 50_000) as usize);
        let mut update = next(&stored, &format!("{{\"text\":\"{text}\"}}"));
        update.version = Version::from_parts(counter, 1);
        let written = store.update(&id(1), &update, stored.version).await.unwrap();
        assert_eq!(written, Written::Done);
        tell(counter);
        stored = update;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_what_was_acknowledged_survives_kill_9_in_the_middle_of_writing() {
    let database = Database::new(Kind::Sqlite);
    for round in 0..5 {
        let (mut child, mut output) = start("write", &database);
        let mut text = String::new();
        while told(&text).len() < 3 + round * 4 {
            assert!(
                output.read_line(&mut text).unwrap() > 0,
                "the child ended: {text}"
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
        output.read_to_string(&mut text).unwrap();
        let acknowledged = *told(&text).last().unwrap();
        let store = database.open().await;
        let counter = store.load(&id(1)).await.unwrap().unwrap().version.counter();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&counter),
            "{counter}, {acknowledged}"
        );
    }
}
