//! How large a file grows, and what is too large.

use std::fs;
use std::time::Duration;

use session_core::{Created, Data, Store, StoreErrorKind, Touch, Written};
use session_fs::{Durability, FsConfig, FsStore};

use crate::{START, folder, id, next, path_of, record};

#[tokio::test]
async fn a_log_stays_within_its_bounds_and_every_version_is_found() {
    for (durability, times) in [(Durability::Os, 400), (Durability::Disk, 120)] {
        let dir = tempfile::tempdir().unwrap();
        let config = FsConfig::new(dir.path()).durability(durability);
        let store = FsStore::with_config(config).unwrap();
        let (id, mut stored) = (id(1), record());
        assert_eq!(store.create(&id, &stored).await.unwrap(), Created::Done);
        let (mut largest, mut shrank, mut before) = (0, 0, 0);
        for round in 0..times {
            let update = next(&stored, "x".repeat(round % 7 * 400));
            assert_eq!(
                store.update(&id, &update, stored.version).await.unwrap(),
                Written::Done
            );
            stored = update;
            for _ in 0..round % 3 {
                stored.accessed_at = stored.accessed_at.after(Duration::from_millis(1));
                let touch = Touch {
                    generation: stored.generation,
                    accessed_at: stored.accessed_at,
                };
                assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
            }
            assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&stored));
            let length = fs::metadata(path_of(dir.path(), &id)).unwrap().len();
            largest = largest.max(length);
            shrank += u32::from(length < before);
            before = length;
        }
        assert!(largest < 26_000, "{largest} bytes");
        assert!(shrank > 5, "started again {shrank} times");
    }
}

#[tokio::test]
async fn touches_alone_do_not_let_a_file_grow() {
    let (dir, store) = folder();
    let (id, mut stored) = (id(1), record());
    stored.agent = Some("x".repeat(10_000).into());
    assert_eq!(store.create(&id, &stored).await.unwrap(), Created::Done);
    for _ in 0..1000 {
        stored.accessed_at = stored.accessed_at.after(Duration::from_millis(1));
        let touch = Touch {
            generation: stored.generation,
            accessed_at: stored.accessed_at,
        };
        assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
    }
    assert_eq!(store.load(&id).await.unwrap(), Some(stored));
    let length = fs::metadata(path_of(dir.path(), &id)).unwrap().len();
    assert!(length < 50_000, "{length} bytes");
}

#[tokio::test]
async fn a_touch_that_moves_nothing_writes_nothing() {
    let (dir, store) = folder();
    let (id, stored) = (id(1), record());
    assert_eq!(store.create(&id, &stored).await.unwrap(), Created::Done);
    let before = fs::read(path_of(dir.path(), &id)).unwrap();
    let touch = Touch {
        generation: stored.generation,
        accessed_at: START,
    };
    assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
    assert_eq!(fs::read(path_of(dir.path(), &id)).unwrap(), before);
}

#[tokio::test]
async fn a_record_beyond_64_mib_is_too_large_and_the_old_one_stays() {
    let (dir, store) = folder();
    let (id, stored) = (id(1), record());
    let mut large = next(&stored, "x");
    let text = "x".repeat(64 << 20);
    large.data = Data::parse(&format!("{{\"k\":\"{text}\"}}")).unwrap();
    let error = store.create(&id, &large).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert!(!path_of(dir.path(), &id).exists());
    assert_eq!(store.create(&id, &stored).await.unwrap(), Created::Done);
    let error = store.update(&id, &large, stored.version).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(store.load(&id).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn a_version_that_does_not_fit_before_the_live_one_is_written_after_it() {
    let (dir, store) = folder();
    let mut stored = record();
    assert_eq!(store.create(&id(1), &stored).await.unwrap(), Created::Done);
    let path = path_of(dir.path(), &id(1));
    // Until the superseded part is just below its bound.
    for _ in 0..100 {
        if fs::metadata(&path).unwrap().len() >= 17_000 {
            break;
        }
        let update = next(&stored, "x");
        let written = store.update(&id(1), &update, stored.version).await.unwrap();
        assert_eq!(written, Written::Done);
        stored = update;
    }
    let before = fs::read(&path).unwrap();
    assert!(before.len() >= 17_000, "{} bytes", before.len());
    let update = next(&stored, "y".repeat(30_000));
    let written = store.update(&id(1), &update, stored.version).await.unwrap();
    assert_eq!(written, Written::Done);
    let after = fs::read(&path).unwrap();
    assert!(
        after.starts_with(&before),
        "the live version was written over"
    );
}
