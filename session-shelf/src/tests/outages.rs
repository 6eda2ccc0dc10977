//! An engine that fails, a full disk, a database that is taken away: the caller is told, and the
//! store goes on without a restart.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use session_core::{Created, Only, Record, SessionId, Store, StoreErrorKind, Timestamp, Written};
use session_test_servers::SmallDisk;

use super::flaky::{Fault, flaky};
use super::{ENGINES, config, consistent, counted, id, next, open, owned};
use crate::{ShelfStore, keys, place};

#[tokio::test]
async fn a_panic_in_the_engine_is_an_error_and_the_store_goes_on() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf, faults) = flaky(config(*kind, dir.path()));
        assert_eq!(
            store.create(&id(1), &owned("ada")).await.unwrap(),
            Created::Done
        );
        faults.set(Fault::PanicInWrite);
        let error = store.create(&id(2), &owned("ada")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let text = error.to_string();
        assert!(
            text.starts_with("creating the session failed: the engine panicked"),
            "{text}"
        );
        faults.set(Fault::PanicInRead);
        let error = store.load(&id(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(owned("ada")));
        assert_eq!(store.load(&id(2)).await.unwrap(), None);
        assert_eq!(
            store.create(&id(2), &owned("ada")).await.unwrap(),
            Created::Done
        );
        consistent::check(&shelf);
    }
}

/// Ends the time for which the disk is taken to be full.
async fn remove_something(store: &ShelfStore) {
    let removed = store.delete(&id(9), Only::Any).await.unwrap();
    assert_eq!(removed, Written::Gone);
}

/// `Full` means that nothing was written; what may have been is `Unavailable`.
#[tokio::test]
async fn full_is_said_only_of_what_was_not_written() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf, faults) = flaky(config(*kind, dir.path()));
        let (first, second) = (owned("ada"), next(&owned("ada"), "second"));
        faults.set(Fault::FullBefore);
        let error = store.create(&id(1), &first).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        assert_eq!(store.load(&id(1)).await.unwrap(), None);
        remove_something(&store).await;
        faults.set(Fault::FullAfter);
        let error = store.create(&id(1), &first).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&first));
        remove_something(&store).await;
        faults.set(Fault::FullBefore);
        let error = store
            .update(&id(1), &second, first.version)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&first));
        remove_something(&store).await;
        faults.set(Fault::FullAfter);
        let error = store
            .update(&id(1), &second, first.version)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(second));
        consistent::check(&shelf);
    }
}

/// To find out whether it still is costs opening it again, for which all others wait.
#[tokio::test]
async fn a_full_disk_is_taken_to_be_full_for_ten_times_what_opening_takes() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, _shelf, faults) = flaky(config(*kind, dir.path()));
        let opening = Duration::from_millis(250);
        *faults.opening.lock().unwrap() = opening;
        faults.set(Fault::FullBefore);
        let begun = Instant::now();
        let error = store.create(&id(1), &owned("ada")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        created_in_the_end(&store, &id(1), &owned("ada")).await;
        assert!(begun.elapsed() >= 10 * opening, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn of_a_group_that_fails_those_that_were_not_begun_are_done() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf, faults) = flaky(config(*kind, dir.path()));
        faults.held.store(true, Ordering::SeqCst);
        let create = |number| {
            let store = store.clone();
            tokio::spawn(async move { store.create(&id(number), &owned("ada")).await })
        };
        faults.reached.store(false, Ordering::SeqCst);
        let first = create(1);
        until(|| faults.reached.load(Ordering::SeqCst)).await;
        // These gather behind the first, in this order, and are the next group.
        let mut others: Vec<tokio::task::JoinHandle<_>> = Vec::new();
        for number in [2, 3, 4] {
            others.push(create(number));
            tokio::task::yield_now().await;
        }
        faults.set(Fault::PanicOver(keys::record(&id(3))));
        faults.held.store(false, Ordering::SeqCst);
        assert_eq!(first.await.unwrap().unwrap(), Created::Done);
        let [second, third, fourth] = others.try_into().unwrap();
        for failed in [second, third] {
            let error = failed.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
        assert_eq!(fourth.await.unwrap().unwrap(), Created::Done);
        for (number, there) in [(1, true), (2, false), (3, false), (4, true)] {
            let found = store.load(&id(number)).await.unwrap();
            assert_eq!(found.is_some(), there, "{kind:?}: {number}");
        }
        consistent::check(&shelf);
    }
}

/// Whether one that fits is refused does not depend on who comes with it.
#[tokio::test]
async fn of_a_group_for_which_there_is_no_room_those_that_fit_are_done() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf, faults) = flaky(config(*kind, dir.path()));
        faults.held.store(true, Ordering::SeqCst);
        let create = |number, record: Record| {
            let store = store.clone();
            tokio::spawn(async move { store.create(&id(number), &record).await })
        };
        faults.reached.store(false, Ordering::SeqCst);
        let first = create(1, counted(1));
        until(|| faults.reached.load(Ordering::SeqCst)).await;
        // These gather behind the first, in this order, and are the next group.
        let mut others: Vec<tokio::task::JoinHandle<_>> = Vec::new();
        for (number, record) in [(2, counted(1)), (3, large()), (4, counted(1)), (5, large())] {
            others.push(create(number, record));
            tokio::task::yield_now().await;
        }
        *faults.room.lock().unwrap() = Some(6000);
        faults.held.store(false, Ordering::SeqCst);
        assert_eq!(first.await.unwrap().unwrap(), Created::Done);
        let [second, third, fourth, fifth] = others.try_into().unwrap();
        for fits in [second, fourth] {
            assert_eq!(fits.await.unwrap().unwrap(), Created::Done);
        }
        for refused in [third, fifth] {
            let error = refused.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        }
        for (number, there) in [(2, true), (3, false), (4, true), (5, false)] {
            let found = store.load(&id(number)).await.unwrap();
            assert_eq!(found.is_some(), there, "{kind:?}: {number}");
        }
        consistent::check(&shelf);
    }
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it does not come about"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_database_that_was_deleted_is_not_made_anew_under_a_running_store() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        let (store, _, faults) = flaky(config(*kind, &base));
        assert_eq!(
            store.create(&id(1), &owned("ada")).await.unwrap(),
            Created::Done
        );
        let away = dir.path().join("away");
        fs::rename(&base, &away).unwrap();
        let error = store.delete(&id(1), Only::Any).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        // What is in memory was read once more at most for a moment.
        tokio::time::sleep(place::LOOK_EVERY).await;
        for _ in 0..2 {
            let error = store.load(&id(1)).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
            assert!(!base.exists());
        }
        fs::rename(&away, &base).unwrap();
        // Also if it has to be opened again.
        faults.set(Fault::PanicInWrite);
        let _ = store.delete(&id(1), Only::Any).await.unwrap_err();
        fs::rename(&base, &away).unwrap();
        for _ in 0..2 {
            let error = store.load(&id(1)).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
            assert!(!base.exists(), "nothing is made at its path");
        }
        fs::rename(&away, &base).unwrap();
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(owned("ada")));
    }
}

/// Creates sessions of 8 KiB until there is no room, and says which are there.
async fn fill(store: &ShelfStore) -> (Vec<SessionId>, StoreErrorKind) {
    let record = large();
    let mut ids = Vec::new();
    for number in 0..10_000_u32 {
        let mut bytes = [0; SessionId::BYTES];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let id = SessionId::from_bytes(bytes);
        match store.create(&id, &record).await {
            Ok(created) => assert_eq!(created, Created::Done),
            Err(error) => return (ids, error.kind()),
        }
        ids.push(id);
    }
    panic!("10,000 sessions of 8 KiB fit on the small disk");
}

fn large() -> Record {
    Record {
        agent: Some("x".repeat(8000).into()),
        ..owned("ada")
    }
}

async fn all_are_there(store: &ShelfStore, ids: &[SessionId]) {
    for id in ids {
        let begun = Instant::now();
        // A database that is just being opened anew may be refused a few times.
        loop {
            match store.load(id).await {
                Ok(found) => break assert!(found == Some(large()), "{id}"),
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A disk that was found full is taken to be so for a moment.
async fn created_in_the_end(store: &ShelfStore, id: &SessionId, record: &Record) {
    let begun = Instant::now();
    loop {
        match store.create(id, record).await {
            Ok(created) => break assert_eq!(created, Created::Done),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Fills what is left of the disk.
fn take_the_rest(dir: &std::path::Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(dir.join("of-others")).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn what_others_write_takes_no_room_that_redb_has() {
    let disk = SmallDisk::mount(8 << 20).unwrap();
    let (store, shelf) = open(config(super::EngineKind::Redb, disk.path()));
    for number in 0..20 {
        assert_eq!(
            store.create(&id(number), &large()).await.unwrap(),
            Created::Done
        );
    }
    take_the_rest(disk.path());
    for number in 0..10 {
        assert_eq!(
            store.delete(&id(number), Only::Any).await.unwrap(),
            Written::Done
        );
    }
    for number in 0..10 {
        assert_eq!(
            store.create(&id(number), &large()).await.unwrap(),
            Created::Done
        );
    }
    consistent::check(&shelf);
}

/// sled could not be opened again, so nothing could be read.
#[cfg(feature = "sled")]
#[tokio::test]
async fn where_others_fill_the_disk_sled_goes_on_reading() {
    let disk = SmallDisk::mount(8 << 20).unwrap();
    disk.remount("size=24m").unwrap();
    let (store, shelf) = open(config(super::EngineKind::Sled, disk.path()));
    for number in 0..100 {
        let created = store.create(&id(number), &large()).await.unwrap();
        assert_eq!(created, Created::Done);
    }
    take_the_rest(disk.path());
    for number in 0..100 {
        let error = store.delete(&id(number), Only::Any).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        let error = store
            .sweep(Timestamp::from_unix_ms(i64::MAX), 10)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        let loaded = store.load(&id(number)).await.unwrap();
        assert_eq!(loaded, Some(large()), "{number}");
    }
    fs::remove_file(disk.path().join("of-others")).unwrap();
    for number in 0..50 {
        let deleted = store.delete(&id(number), Only::Any).await.unwrap();
        assert_eq!(deleted, Written::Done);
    }
    consistent::check(&shelf);
}

#[tokio::test]
async fn a_full_disk_is_reported_what_was_stored_stays_and_deleting_goes_on() {
    for kind in ENGINES {
        let disk = SmallDisk::mount(8 << 20).unwrap();
        disk.remount("size=12m").unwrap();
        let (store, shelf) = open(config(*kind, disk.path()));
        let (ids, kind) = fill(&store).await;
        assert_eq!(kind, StoreErrorKind::Full);
        all_are_there(&store, &ids).await;
        let update = next(&large(), "y".repeat(9 << 20));
        let error = store
            .update(&ids[0], &update, large().version)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        all_are_there(&store, &ids).await;
        let (deleted, kept) = ids.split_at(ids.len() / 2);
        for id in deleted {
            assert_eq!(store.delete(id, Only::Any).await.unwrap(), Written::Done);
        }
        all_are_there(&store, kept).await;
        disk.remount("size=40m").unwrap();
        assert_eq!(
            store.create(&ids[0], &large()).await.unwrap(),
            Created::Done
        );
        store.ping().await.unwrap();
        consistent::check(&shelf);
    }
}

/// As with a quota, which nobody is told of beforehand.
#[tokio::test]
async fn a_disk_that_is_full_without_a_warning_costs_nothing_acknowledged() {
    for kind in ENGINES {
        let disk = SmallDisk::mount(8 << 20).unwrap();
        let (store, shelf, faults) = flaky(config(*kind, disk.path()));
        *faults.room.lock().unwrap() = Some(usize::MAX);
        let (ids, kind) = fill(&store).await;
        let told = [StoreErrorKind::Full, StoreErrorKind::Unavailable];
        assert!(told.contains(&kind), "{kind:?}");
        disk.remount("size=40m").unwrap();
        all_are_there(&store, &ids).await;
        let more = id(255);
        created_in_the_end(&store, &more, &counted(1)).await;
        assert_eq!(store.load(&more).await.unwrap(), Some(counted(1)));
        consistent::check(&shelf);
    }
}
