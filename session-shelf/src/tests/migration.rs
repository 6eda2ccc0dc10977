//! From one engine to the other, and back.

use session_core::conformance::samples;
use session_core::{Created, ErrorKind, Expiry, Only, Record, Store};

use super::{ENGINES, EngineKind, config, counted, id, next, open, owned, owner};
use crate::engine::Change;
use crate::shelf::Shelf;
use crate::{ShelfConfig, ShelfStore, keys, layout, migrate};

const WITH_NONE: u8 = 40;

/// Everything in a database but what `ping` wrote.
fn content(shelf: &Shelf) -> Vec<Change> {
    let all = shelf.read(|view| {
        let keys = view.keys(&[], &[u8::MAX], usize::MAX)?;
        let pairs = keys
            .into_iter()
            .map(|key| Ok((key.clone(), view.get(&key)?)));
        pairs.collect::<Result<Vec<_>, _>>()
    });
    let mut all = all.unwrap();
    all.retain(|(key, _)| key != keys::PING);
    all
}

/// Fills a database with readable and other records; what is in it then.
async fn filled(at: &ShelfConfig) -> Vec<Change> {
    let (store, shelf) = open(at.clone());
    for number in 0..WITH_NONE {
        let mut record = if number % 2 == 0 {
            owned("ada")
        } else {
            counted(1)
        };
        if number % 3 == 0 {
            record.expiry = Expiry::NEVER;
        }
        let record = next(&record, "x".repeat(usize::from(number) * 3_000));
        assert_eq!(
            store.create(&id(number), &record).await.unwrap(),
            Created::Done
        );
    }
    let newer = samples::newer_format().into_bytes();
    let unreadable = [
        (3, samples::UNDECODABLE.to_vec()),
        (4, newer),
        (200, vec![0, 255]),
    ];
    for (number, bytes) in unreadable {
        let change = vec![(keys::record(&id(number)), Some(bytes))];
        shelf
            .write(|changing| changing.apply(change.clone()))
            .unwrap();
    }
    store.ping().await.unwrap();
    content(&shelf)
}

fn other(kind: EngineKind) -> Option<EngineKind> {
    ENGINES.iter().find(|other| **other != kind).copied()
}

#[tokio::test]
async fn a_migration_keeps_everything_byte_for_byte_in_both_directions() {
    for kind in ENGINES {
        let Some(other) = other(*kind) else { continue };
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (config(*kind, from.path()), config(other, to.path()));
        let before = filled(&from).await;
        assert_eq!(
            migrate(from.clone(), to.clone()).unwrap(),
            u64::from(WITH_NONE) + 1
        );
        let (store, shelf) = open(to);
        assert_eq!(content(&shelf), before);
        let (_open, source) = open(from);
        assert_eq!(content(&source), before, "the source is as it was");
        assert_eq!(store.owned_by(&owner("ada")).await.unwrap().len(), 20);
        assert_eq!(
            store.delete(&id(3), Only::Any).await.unwrap(),
            session_core::Written::Done
        );
    }
}

#[tokio::test]
async fn a_database_with_sessions_is_no_target_and_one_without_is() {
    for kind in ENGINES {
        let Some(other) = other(*kind) else { continue };
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (config(*kind, from.path()), config(other, to.path()));
        let before = filled(&from).await;
        {
            let (store, _) = open(to.clone());
            store.ping().await.unwrap();
            assert_eq!(
                store.create(&id(7), &owned("bob")).await.unwrap(),
                Created::Done
            );
        }
        let error = migrate(from.clone(), to.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        {
            let (store, _) = open(to.clone());
            assert_eq!(store.load(&id(7)).await.unwrap(), Some(owned("bob")));
            assert_eq!(
                store.load(&id(8)).await.unwrap(),
                None,
                "nothing was copied"
            );
            let _ = store.delete(&id(7), Only::Any).await.unwrap();
        }
        migrate(from, to.clone()).unwrap();
        assert_eq!(content(&open(to).1), before);
    }
}

#[tokio::test]
async fn an_interrupted_migration_is_not_taken_for_a_whole_one_and_can_be_run_again() {
    for kind in ENGINES {
        let Some(other) = other(*kind) else { continue };
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (config(*kind, from.path()), config(other, to.path()));
        let before = filled(&from).await;
        {
            // As it is left in the middle: among what was copied is a session that has ended since.
            let (store, shelf) = open(to.clone());
            assert_eq!(
                store.create(&id(99), &owned("ada")).await.unwrap(),
                Created::Done
            );
            layout::set(&shelf, layout::FILLING).unwrap();
        }
        let error = ShelfStore::with_config(to.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.to_string().contains("run the migration again"),
            "{error}"
        );
        let error = migrate(to.clone(), from.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        migrate(from, to.clone()).unwrap();
        assert_eq!(
            content(&open(to).1),
            before,
            "nothing is left of the first attempt"
        );
    }
}

#[test]
fn a_missing_source_is_an_error_and_is_not_made() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let error = migrate(config(*kind, &from), config(*kind, &to)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("to migrate from"), "{error}");
        assert!(!from.exists(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_migration_waits_for_nobody_who_has_a_database_open() {
    for kind in ENGINES {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (config(*kind, from.path()), config(*kind, to.path()));
        let open = Record::clone(&owned("ada"));
        let (store, shelf) = super::open(from.clone());
        assert_eq!(store.create(&id(1), &open).await.unwrap(), Created::Done);
        let error = migrate(from, to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("another process"), "{error}");
        drop((store, shelf));
    }
}
