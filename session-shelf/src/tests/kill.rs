//! Rule F4: what was acknowledged is there after the process was killed in the middle of writing.

use std::collections::BTreeMap;
use std::time::Duration;

use session_core::{Created, Cursor, Only, Record, SessionId, Store, Touch, Written};

use super::child::{Running, command, task, tell};
use super::{EngineKind, START, config, consistent, counted, open, owner};
use crate::ShelfStore;

const ROUNDS: u8 = 20;
const TASKS: u8 = 6;

pub(super) type Sessions = BTreeMap<SessionId, Record>;

/// The session that a task's step of this number is about.
fn session(round: u8, task: u8, step: u64) -> SessionId {
    let mut bytes = [round; SessionId::BYTES];
    bytes[1] = task;
    bytes[2] = (step / 7 % 3) as u8;
    SessionId::from_bytes(bytes)
}

/// What one step of a task does, to a store or to a picture of it: a life of seven steps.
#[derive(Debug)]
enum Step {
    Create(Record),
    Update(Record, Record),
    Touch(Touch),
    Delete,
}

/// A size that is a page now and then, and some.
fn content(step: u64) -> String {
    "x".repeat((step * 7919 % 9_000) as usize)
}

fn step(number: u64, stored: Option<&Record>) -> Step {
    let named = |record: Record, name: &str| Record {
        owner: Some(owner(name)),
        agent: Some(content(number).into()),
        accessed_at: START.after(Duration::from_millis(number)),
        ..record
    };
    let Some(stored) = stored else {
        return Step::Create(named(counted(number), "ada"));
    };
    let update = |record| Step::Update(record, stored.clone());
    match number % 7 {
        0 => Step::Delete,
        1 | 4 => Step::Touch(Touch {
            generation: stored.generation,
            accessed_at: START.after(Duration::from_millis(number + 50)),
        }),
        2 => update(named(counted(number), "bob")),
        3 => update(named(counted(number), "ada")),
        _ => update(Record {
            owner: None,
            ..named(counted(number), "nobody")
        }),
    }
}

fn pictured(sessions: &mut Sessions, id: SessionId, step: Step) {
    match step {
        Step::Create(record) => {
            sessions.insert(id, record);
        }
        Step::Update(mut record, stored) => {
            record.accessed_at = record.accessed_at.max(stored.accessed_at);
            sessions.insert(id, record);
        }
        Step::Touch(touch) => {
            assert!(sessions.get_mut(&id).unwrap().touch(&touch));
        }
        Step::Delete => {
            sessions.remove(&id);
        }
    }
}

async fn done(store: &ShelfStore, id: &SessionId, step: &Step) {
    let written = match step {
        Step::Create(record) => {
            assert_eq!(store.create(id, record).await.unwrap(), Created::Done);
            return;
        }
        Step::Update(record, stored) => store.update(id, record, stored.version).await,
        Step::Touch(touch) => store.touch(id, touch).await,
        Step::Delete => store.delete(id, Only::Any).await,
    };
    assert_eq!(written.unwrap(), Written::Done, "{step:?}");
}

/// One task: step after step, each told when it is acknowledged.
async fn write_for_ever(store: ShelfStore, round: u8, task: u8) {
    let mut sessions = Sessions::new();
    for number in 0.. {
        let id = session(round, task, number);
        let step = step(number, sessions.get(&id));
        done(&store, &id, &step).await;
        tell(&format!("{task} {number}"));
        pictured(&mut sessions, id, step);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(asked) = task().filter(|task| task.word == "write") else {
        return;
    };
    let (store, _) = open(config(asked.kind, &asked.folder));
    let round = u8::try_from(asked.number).unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(write_for_ever(store.clone(), round, task)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What the sessions of one task are after so many steps.
fn after(round: u8, task: u8, steps: u64) -> Sessions {
    let mut sessions = Sessions::new();
    for number in 0..steps {
        let id = session(round, task, number);
        let step = step(number, sessions.get(&id));
        pictured(&mut sessions, id, step);
    }
    sessions
}

pub(super) async fn all(store: &ShelfStore) -> Sessions {
    let mut sessions = Sessions::new();
    let mut cursor = Cursor::start();
    loop {
        let page = store.scan(cursor, 7).await.unwrap();
        for id in page.ids {
            sessions.insert(id, store.load(&id).await.unwrap().unwrap());
        }
        match page.next {
            Some(next) => cursor = next,
            None => return sessions,
        }
    }
}

async fn survives(kind: EngineKind) {
    let dir = tempfile::tempdir().unwrap();
    let mut before = Sessions::new();
    for round in 0..ROUNDS {
        let what = format!("write {round}");
        let mut child = Running::start(command(&[], "tests::kill::child", kind, &what, dir.path()));
        child.wait_for(20 + usize::from(round) * 37 % 120);
        let lines = child.kill();

        let (store, shelf) = open(config(kind, dir.path()));
        consistent::check(&shelf);
        let found = all(&store).await;
        for task in 0..TASKS {
            let mine = |line: &&String| line.starts_with(&format!("{task} "));
            let acknowledged = lines.iter().filter(mine).count() as u64;
            let found: Sessions = found
                .iter()
                .filter(|(id, _)| id.as_bytes()[..2] == [round, task])
                .map(|(id, record)| (*id, record.clone()))
                .collect();
            let possible = [acknowledged, acknowledged + 1];
            let possible = possible.map(|steps| after(round, task, steps));
            assert!(
                possible.contains(&found),
                "round {round}, task {task}, after {acknowledged} steps: {found:#?}"
            );
        }
        for (id, record) in before {
            assert_eq!(found.get(&id), Some(&record), "of an earlier round: {id}");
        }
        before = found;
    }
    assert!(!before.is_empty());
}

#[cfg(feature = "sled")]
#[tokio::test]
async fn f4_what_sled_acknowledged_survives_kill_9_in_the_middle_of_writing() {
    survives(EngineKind::Sled).await;
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn f4_what_redb_acknowledged_survives_kill_9_in_the_middle_of_writing() {
    survives(EngineKind::Redb).await;
}
