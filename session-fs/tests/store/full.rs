//! A disk that is full, or read-only.

use std::io::Write as _;
use std::time::{Duration, Instant};

use session_core::{Created, Only, Owner, Store, StoreErrorKind, Written};
use session_fs::{Durability, FsConfig, FsStore};
use session_test_servers::SmallDisk;

use crate::{SessionId, files, id, next, owned, path_of};

/// Creates sessions of 8 KiB until there is no room, and says which are there.
async fn fill(store: &FsStore) -> Vec<SessionId> {
    let ada = Owner::new("ada").unwrap();
    for number in 0..=u8::MAX {
        let record = next(&owned("ada"), "x".repeat(8000));
        match store.create(&id(number), &record).await {
            Ok(created) => assert_eq!(created, Created::Done),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
                assert_eq!(store.load(&id(number)).await.unwrap(), None);
                let ids: Vec<_> = (0..number).map(id).collect();
                assert_eq!(store.owned_by(&ada).await.unwrap().len(), ids.len());
                return ids;
            }
        }
    }
    panic!("256 sessions of 8 KiB fit into 256 KiB");
}

#[tokio::test]
async fn a_ping_finds_a_full_disk() {
    for durability in [Durability::Os, Durability::Disk] {
        let disk = SmallDisk::mount(256 << 10).unwrap();
        let config = FsConfig::new(disk.path()).durability(durability);
        let store = FsStore::with_config(config).unwrap();
        store.ping().await.unwrap();
        let other = disk.path().join("of-others");
        let mut file = std::fs::File::create(&other).unwrap();
        while file.write_all(&[1; 512]).is_ok() {}
        for _ in 0..2 {
            let error = store.ping().await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        }
        drop(file);
        std::fs::remove_file(other).unwrap();
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_what_was_stored_stays() {
    for durability in [Durability::Os, Durability::Disk] {
        let disk = SmallDisk::mount(256 << 10).unwrap();
        let config = FsConfig::new(disk.path()).durability(durability);
        let store = FsStore::with_config(config).unwrap();
        let ids = fill(&store).await;
        assert_eq!(
            files(disk.path()).len(),
            2 * ids.len(),
            "a file and a marker each"
        );
        for id in &ids {
            let stored = store.load(id).await.unwrap().unwrap();
            let mut larger = next(&stored, "y".repeat(9000));
            larger.owner = Some(Owner::new("bob").unwrap());
            let error = store.update(id, &larger, stored.version).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
            assert_eq!(store.load(id).await.unwrap().as_ref(), Some(&stored));
            let length = path_of(disk.path(), id).metadata().unwrap().len();
            assert!(length < 9000, "a part of the refused version stays");
        }
        assert_eq!(
            files(disk.path()).len(),
            2 * ids.len(),
            "nothing is left behind"
        );
        for id in &ids[..4] {
            assert_eq!(store.delete(id, Only::Any).await.unwrap(), Written::Done);
        }
        let last = ids.last().unwrap();
        let stored = store.load(last).await.unwrap().unwrap();
        let larger = next(&stored, "y".repeat(9000));
        assert_eq!(
            store.update(last, &larger, stored.version).await.unwrap(),
            Written::Done
        );
        assert_eq!(store.load(last).await.unwrap(), Some(larger));
    }
}

#[tokio::test]
async fn a_read_only_disk_is_an_outage_that_ends_without_a_restart() {
    let disk = SmallDisk::mount(256 << 10).unwrap();
    let store = FsStore::open(disk.path()).unwrap();
    let record = owned("ada");
    assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
    // It is refused while a file is open for writing: a process that another test's thread is
    // just starting has a copy of each open file until its `exec`.
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = disk.remount("ro") {
        assert!(Instant::now() < deadline, "{error}");
    }
    for answer in [
        store.ping().await,
        store.create(&id(2), &record).await.map(|_| ()),
        store
            .update(&id(1), &record, record.version)
            .await
            .map(|_| ()),
        store.delete(&id(1), Only::Any).await.map(|_| ()),
    ] {
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(record));
    disk.remount("rw").unwrap();
    store.ping().await.unwrap();
    assert_eq!(
        store.delete(&id(1), Only::Any).await.unwrap(),
        Written::Done
    );
}
