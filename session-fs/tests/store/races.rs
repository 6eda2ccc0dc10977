//! Threads that share a folder.

use std::time::Duration;

use session_core::{Created, Only, SessionId, Store, StoreErrorKind, Touch, Written};
use session_fs::FsStore;

use crate::{START, TIMEOUT, counted, files, folder, id, next, owned, path_of, record};

/// Adds one to the counter of a record, however often others come first.
async fn increment(store: &impl Store, id: &SessionId) {
    loop {
        let stored = store.load(id).await.unwrap().unwrap();
        let count: u64 = stored.agent.as_deref().unwrap().parse().unwrap();
        let update = next(&stored, (count + 1).to_string());
        match store.update(id, &update, stored.version).await.unwrap() {
            Written::Done => return,
            Written::Conflict => {}
            Written::Gone => panic!("the record has gone"),
        }
    }
}

pub(crate) async fn increments(store: &impl Store, id: &SessionId, times: u64) {
    for _ in 0..times {
        increment(store, id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_increment_of_64_tasks_is_lost() {
    let (_dir, store) = folder();
    let id = id(1);
    let mut first = record();
    first.agent = Some("0".into());
    assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { increments(&store, &id, 10).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let last = store.load(&id).await.unwrap().unwrap();
    assert_eq!(last.agent.as_deref(), Some("640"));
    assert_eq!(last.version.counter(), 641);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_creators_wins() {
    let (_dir, store) = folder();
    for round in 0..20 {
        let id = id(round);
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let created = store.create(&id, &counted(number)).await.unwrap();
                    (created == Created::Done).then_some(number)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for task in tasks {
            winners.extend(task.await.unwrap());
        }
        let stored = store.load(&id).await.unwrap().unwrap();
        assert_eq!(winners, [stored.version.counter()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_update_never_brings_a_deleted_session_back() {
    let (dir, store) = folder();
    for round in 0..100 {
        let id = id(round);
        assert_eq!(
            store.create(&id, &owned("ada")).await.unwrap(),
            Created::Done
        );
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    while let Some(stored) = store.load(&id).await.unwrap() {
                        let update = next(&stored, "x");
                        let _ = store.update(&id, &update, stored.version).await.unwrap();
                    }
                    let update = next(&record(), "x");
                    store.update(&id, &update, update.version).await.unwrap()
                })
            })
            .collect();
        assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
        assert_eq!(store.load(&id).await.unwrap(), None);
        for writer in writers {
            assert_eq!(writer.await.unwrap(), Written::Gone);
        }
        assert_eq!(store.load(&id).await.unwrap(), None);
        assert!(!path_of(dir.path(), &id).exists());
    }
    assert_eq!(files(dir.path()), [] as [std::path::PathBuf; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_touched_while_it_is_swept_stays_or_is_gone_for_the_toucher() {
    let (_dir, store) = folder();
    let due = START.after(TIMEOUT);
    for round in 0..100 {
        let id = id(round);
        let record = owned("ada");
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
        let sweeper = {
            let store = store.clone();
            tokio::spawn(async move { store.sweep(due, 100).await.unwrap() })
        };
        let touch = Touch {
            generation: record.generation,
            accessed_at: due,
        };
        let touched = store.touch(&id, &touch).await.unwrap();
        let swept = sweeper.await.unwrap();
        match store.load(&id).await.unwrap() {
            Some(stored) => {
                assert_eq!((touched, swept), (Written::Done, 0));
                assert_eq!(stored.accessed_at, due);
                assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
            }
            None => assert_eq!((touched, swept), (Written::Gone, 1)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_creation_is_ended_by_one_deletion() {
    for record in [record(), owned("ada")] {
        let (dir, store) = folder();
        let id = id(1);
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let (store, record) = (store.clone(), record.clone());
                tokio::spawn(async move {
                    let mut sum = 0;
                    for _ in 0..200 {
                        if number % 2 == 0 {
                            let created = store.create(&id, &record).await.unwrap();
                            sum += i32::from(created == Created::Done);
                        } else {
                            let deleted = store.delete(&id, Only::Any).await.unwrap();
                            sum -= i32::from(deleted == Written::Done);
                        }
                    }
                    sum
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        let there = store.load(&id).await.unwrap().is_some();
        assert_eq!(sum, i32::from(there));
        let left = 1 + usize::from(record.owner.is_some());
        assert_eq!(files(dir.path()).len(), if there { left } else { 0 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_whole_versions_one_after_the_other() {
    let (_dir, store) = folder();
    let id = id(1);
    assert_eq!(store.create(&id, &counted(1)).await.unwrap(), Created::Done);
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for counter in 2..400 {
                let mut update = counted(counter);
                update.agent = Some("x".repeat(counter as usize * 331 % 60_000).into());
                let expected = counted(counter - 1).version;
                let written = store.update(&id, &update, expected).await.unwrap();
                assert_eq!(written, Written::Done);
            }
        })
    };
    let mut seen = 1;
    while seen < 399 {
        let found = store.load(&id).await.unwrap().unwrap();
        let counter = found.version.counter();
        assert!(counter >= seen, "version {counter} after {seen}");
        let length = found.agent.map_or(0, |agent| agent.len());
        assert_eq!(
            length,
            if counter == 1 {
                0
            } else {
                counter as usize * 331 % 60_000
            }
        );
        seen = counter;
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_created_anew_is_never_missing_from_its_owners_list() {
    let (_dir, store) = folder();
    let id = id(1);
    let record = owned("ada");
    let owner = record.owner.clone().unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let others: Vec<_> = (0..3)
        .map(|number| {
            let (store, owner, stop) = (store.clone(), owner.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    if number == 0 {
                        let _ = store.delete(&id, Only::Any).await.unwrap();
                    } else {
                        store.owned_by(&owner).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for _ in 0..300 {
        let _ = store.create(&id, &record).await.unwrap();
        let listed = store.owned_by(&owner).await.unwrap();
        // Listed, or it has been deleted since it was created.
        if listed.is_empty() && store.load(&id).await.unwrap().is_some() {
            panic!("the live session is not listed");
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    let _ = store.create(&id, &record).await.unwrap();
    assert_eq!(store.owned_by(&owner).await.unwrap(), [id]);
}

/// Which of the two, the next update sees: it is made on what was there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_nobody_waits_for_is_done_wholly_or_not_at_all() {
    let (_dir, store) = folder();
    let id = id(1);
    let mut stored = record();
    assert_eq!(store.create(&id, &stored).await.unwrap(), Created::Done);
    for round in 0..100 {
        let update = next(&stored, "x".repeat(round * 1000));
        let patience = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            done = store.update(&id, &update, stored.version) => {
                assert_eq!(done.unwrap(), Written::Done);
            }
            () = patience => {}
        }
        let another = next(&stored, "y");
        let expected = match store.update(&id, &another, stored.version).await.unwrap() {
            Written::Done => another,
            Written::Conflict => update,
            Written::Gone => panic!("it is gone"),
        };
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&expected));
        stored = expected;
    }
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_the_lock_writes_to_the_file_that_has_the_name_then() {
    let (dir, store) = folder();
    let (id, first) = (id(1), record());
    assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
    let (place, away) = (path_of(dir.path(), &id), dir.path().join("away"));
    let held = std::fs::File::open(&place).unwrap();
    held.lock().unwrap();
    let update = next(&first, "x");
    let writer = {
        let (store, update) = (store.clone(), update.clone());
        tokio::spawn(async move { store.update(&id, &update, first.version).await.unwrap() })
    };
    until_it_waits(&writer).await;
    std::fs::rename(&place, &away).unwrap();
    std::fs::copy(&away, &place).unwrap();
    let before = std::fs::read(&away).unwrap();
    held.unlock().unwrap();
    assert_eq!(writer.await.unwrap(), Written::Done);
    assert_eq!(store.load(&id).await.unwrap(), Some(update));
    assert_eq!(std::fs::read(&away).unwrap(), before);
}

/// Returns when a task waits for a lock: the clock, which stands still while a thread works, has gone on.
pub(crate) async fn until_it_waits<T>(task: &tokio::task::JoinHandle<T>) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!task.is_finished(), "it did not wait for the lock");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_meets_an_unclear_end_waits_for_who_is_writing_it() {
    let (dir, store) = folder();
    let (id, first) = (id(1), record());
    assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
    let place = path_of(dir.path(), &id);
    let held = std::fs::OpenOptions::new()
        .write(true)
        .open(&place)
        .unwrap();
    let bytes = std::fs::read(&place).unwrap();
    held.lock().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&held, b"half", 300).unwrap();
    let reader = {
        let store = store.clone();
        tokio::spawn(async move { store.load(&id).await.unwrap() })
    };
    until_it_waits(&reader).await;
    std::os::unix::fs::FileExt::write_all_at(&held, &bytes, 0).unwrap();
    held.unlock().unwrap();
    assert_eq!(reader.await.unwrap(), Some(first));
}

/// As of a process that was stopped in the middle of a write.
fn locked_for_good(dir: &std::path::Path, id: &SessionId) -> std::fs::File {
    let held = std::fs::File::open(path_of(dir, id)).unwrap();
    held.lock().unwrap();
    held
}

#[tokio::test(start_paused = true)]
async fn a_session_that_stays_locked_is_unavailable_and_the_others_are_swept() {
    let (dir, store) = folder();
    for number in 1..=3 {
        let created = store.create(&id(number), &owned("ada")).await.unwrap();
        assert_eq!(created, Created::Done);
    }
    let held = locked_for_good(dir.path(), &id(2));
    let began = tokio::time::Instant::now();
    let update = next(&owned("ada"), "x");
    let error = store.update(&id(2), &update, update.version).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("locked"), "{error}");
    let waited = began.elapsed().as_secs();
    assert!((10..20).contains(&waited), "{waited} s");
    assert_eq!(store.sweep(START.after(TIMEOUT), 100).await.unwrap(), 2);
    let ada = session_core::Owner::new("ada").unwrap();
    assert_eq!(store.owned_by(&ada).await.unwrap(), [id(2)]);
    held.unlock().unwrap();
    assert_eq!(store.sweep(START.after(TIMEOUT), 100).await.unwrap(), 1);
}

#[test]
fn who_waits_for_a_lock_keeps_no_thread_from_other_sessions() {
    for threads in [1, 2] {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).max_blocking_threads(2);
        let runtime = builder.enable_time().build().unwrap();
        runtime.block_on(async {
            let (dir, store) = folder();
            assert_eq!(
                store.create(&id(1), &record()).await.unwrap(),
                Created::Done
            );
            let held = locked_for_good(dir.path(), &id(1));
            let waiting: Vec<_> = (0..50)
                .map(|_| tokio::spawn(deleted(store.clone())))
                .collect();
            for number in 2..20 {
                let created = store.create(&id(number), &record()).await.unwrap();
                assert_eq!(created, Created::Done);
                let deleted = store.delete(&id(number), Only::Any).await.unwrap();
                assert_eq!(deleted, Written::Done);
            }
            assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
            held.unlock().unwrap();
            let mut done = 0;
            for waiting in waiting {
                done += u32::from(waiting.await.unwrap() == Written::Done);
            }
            assert_eq!(done, 1);
        });
    }
}

async fn deleted(store: FsStore) -> Written {
    store.delete(&id(1), Only::Any).await.unwrap()
}
