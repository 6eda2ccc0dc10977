//! Callers that stop waiting, as one does whose deadline has passed: what they asked for is done
//! wholly or not at all.

use std::fs::{self, File};
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;

use session_core::{Created, Only, Owner, Record, SessionId, Store, Touch, Version, Written};
use session_fs::{Durability, FsConfig, FsStore};
use tokio::runtime::{Builder, Runtime};

use crate::races::until_it_waits;
use crate::{START, TIMEOUT, files, id, next, owned, path_of};

#[derive(Clone, Debug)]
enum Write {
    Create(Record),
    Update(Record, Version),
    Touch(Touch),
    Delete,
}

impl Write {
    async fn make(self, store: FsStore, id: SessionId) {
        let written = match self {
            Self::Create(record) => {
                assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
                return;
            }
            Self::Update(record, expected) => store.update(&id, &record, expected).await,
            Self::Touch(touch) => store.touch(&id, &touch).await,
            Self::Delete => store.delete(&id, Only::Any).await,
        };
        assert_eq!(written.unwrap(), Written::Done);
    }
}

/// A write, and what is stored before and after it.
#[derive(Debug)]
struct Case {
    write: Write,
    before: Option<Record>,
    after: Option<Record>,
}

fn cases() -> Vec<Case> {
    let first = owned("ada");
    let longer = next(&first, "x".repeat(20_000));
    // Both owners' markers change with it.
    let bobs = Record {
        owner: Some(Owner::new("bob").unwrap()),
        ..longer.clone()
    };
    let touch = Touch {
        generation: first.generation,
        accessed_at: START.after(TIMEOUT),
    };
    let touched = Record {
        accessed_at: touch.accessed_at,
        ..first.clone()
    };
    let update = |record: &Record| Write::Update(record.clone(), first.version);
    let case = |write, before: Option<&Record>, after: Option<&Record>| Case {
        write,
        before: before.cloned(),
        after: after.cloned(),
    };
    vec![
        case(Write::Create(first.clone()), None, Some(&first)),
        case(update(&longer), Some(&first), Some(&longer)),
        case(update(&bobs), Some(&first), Some(&bobs)),
        case(Write::Touch(touch), Some(&first), Some(&touched)),
        case(Write::Delete, Some(&first), None),
    ]
}

/// On a runtime of one thread everything is handed over to a blocking thread at once, on one of two
/// only what the runtime's own threads cannot do without waiting.
const WAYS: [(usize, Durability); 3] = [
    (1, Durability::Os),
    (2, Durability::Os),
    (2, Durability::Disk),
];

/// A runtime with one blocking thread.
fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .unwrap()
}

/// A store that holds what a case begins with; there has been a session in any event.
async fn begun(dir: &Path, durability: Durability, case: &Case) -> FsStore {
    let store = FsStore::with_config(FsConfig::new(dir).durability(durability)).unwrap();
    let first = case.before.clone().unwrap_or_else(|| owned("ada"));
    let created = store.create(&id(1), &first).await.unwrap();
    assert_eq!(created, Created::Done);
    if case.before.is_none() {
        let deleted = store.delete(&id(1), Only::Any).await.unwrap();
        assert_eq!(deleted, Written::Done);
    }
    store
}

#[test]
fn a_write_whose_caller_goes_while_another_has_the_lock_is_not_made() {
    for durability in [Durability::Os, Durability::Disk] {
        for case in cases() {
            let dir = tempfile::tempdir().unwrap();
            let path = path_of(dir.path(), &id(1));
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let store = begun(dir.path(), durability, &case).await;
                let held = locked(&path);
                let caller = tokio::spawn(case.write.clone().make(store, id(1)));
                until_it_waits(&caller).await;
                caller.abort();
                assert!(caller.await.unwrap_err().is_cancelled());
                held.unlock().unwrap();
                tokio::time::sleep(TIMEOUT).await;
            });
            drop(runtime);
            if case.before.is_none() {
                fs::remove_file(path).unwrap();
            }
            assert_eq!(
                stored_whole(dir.path()),
                case.before,
                "{durability:?}: {:?}",
                case.write
            );
        }
    }
}

/// A session's file under the lock of a writer who has written nothing; empty if there was none.
fn locked(path: &Path) -> File {
    let file = File::options().append(true).create(true).open(path);
    let file = file.unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn a_write_whose_caller_went_before_it_began_is_done_wholly_or_not_at_all() {
    for (threads, durability) in WAYS {
        for case in cases() {
            for (polls, runtime_goes_too) in [(0, false), (1, false), (1, true), (2, false)] {
                let dir = tempfile::tempdir().unwrap();
                let runtime = runtime(threads);
                runtime.block_on(async {
                    let store = begun(dir.path(), durability, &case).await;
                    let write = case.write.clone().make(store, id(1));
                    dropped_in_line(polls, write, runtime_goes_too).await;
                });
                drop(runtime);
                let stored = stored_whole(dir.path());
                assert!(
                    stored == case.before || polls > 0 && stored == case.after,
                    "{threads} threads, {durability:?}, {polls} polls, {:?}: {stored:?}",
                    case.write
                );
            }
        }
    }
}

/// Drops a write while what it hands over stands in line for the blocking thread; then the line
/// goes on, to its end unless the runtime goes at the same moment.
async fn dropped_in_line(polls: usize, write: impl Future<Output = ()>, runtime_goes_too: bool) {
    let (go_on, gone_on) = mpsc::channel::<()>();
    drop(tokio::task::spawn_blocking(move || gone_on.recv()));
    dropped_after(polls, write).await;
    drop(go_on);
    if !runtime_goes_too {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

/// Lets a write come as far as so many polls bring it, and drops it.
async fn dropped_after(polls: usize, write: impl Future<Output = ()>) {
    let mut write = pin!(write);
    for _ in 0..polls {
        let ended = poll_fn(|context| Poll::Ready(write.as_mut().poll(context).is_ready())).await;
        if ended {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What is stored, of which all is as if nobody had ever gone: the file ends in a whole frame, the
/// markers are the record's own, nobody has the lock, and the next writer gets through.
fn stored_whole(dir: &Path) -> Option<Record> {
    let found = files(dir);
    let path = path_of(dir, &id(1));
    if path.exists() {
        let bytes = fs::read(&path).unwrap();
        assert!(ends_in_a_frame(&bytes), "a record is there in part");
        let file = File::open(&path).unwrap();
        file.try_lock().expect("a lock was left behind");
        file.unlock().unwrap();
    }
    runtime(1).block_on(async {
        let store = FsStore::open(dir).unwrap();
        let stored = store.load(&id(1)).await.unwrap();
        let owner = stored.as_ref().and_then(|record| record.owner.clone());
        assert_eq!(
            found.len(),
            usize::from(stored.is_some()) + usize::from(owner.is_some()),
            "a file for the record and a marker for its owner: {found:?}"
        );
        for name in ["ada", "bob"] {
            let name = Owner::new(name).unwrap();
            let listed = store.owned_by(&name).await.unwrap();
            assert_eq!(!listed.is_empty(), owner == Some(name));
        }
        let write = match &stored {
            Some(stored) => Write::Update(next(stored, "next"), stored.version),
            None => Write::Create(owned("ada")),
        };
        write.make(store, id(1)).await;
        stored
    })
}

/// Whether there is the start of a frame where the last line says that it is, by the documentation.
fn ends_in_a_frame(bytes: &[u8]) -> bool {
    let length = bytes.last_chunk::<9>().and_then(|end| {
        let digits = std::str::from_utf8(&end[..8]).ok()?;
        usize::from_str_radix(digits, 16).ok()
    });
    let start = length.and_then(|length| bytes.len().checked_sub(86 + length));
    start.is_some_and(|start| bytes[start..].starts_with(b"SKF1 "))
}
