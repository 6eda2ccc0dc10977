//! Records, their marks and their entries, as the crate's documentation describes them.

use std::time::Duration;

use session_core::conformance::samples;
use session_core::{
    Created, Expiry, Only, Record, Store, StoreErrorKind, Timestamp, Touch, Written,
};

use super::{ENGINES, START, TIMEOUT, config, consistent, counted, id, next, open, owned, owner};
use crate::engine::Change;
use crate::keys;
use crate::shelf::Shelf;

const SECOND: Duration = Duration::from_secs(1);

fn value(shelf: &Shelf, key: &[u8]) -> Option<Vec<u8>> {
    shelf.read(|view| view.get(key)).unwrap()
}

fn put(shelf: &Shelf, changes: &[Change]) {
    shelf
        .write(|changing| changing.apply(changes.to_vec()))
        .unwrap();
    // Nobody but the writer's thread changes records otherwise.
    shelf.records().clear();
}

fn touch_at(at: Timestamp) -> Touch {
    Touch {
        generation: counted(1).generation,
        accessed_at: at,
    }
}

#[tokio::test]
async fn what_is_stored_is_the_records_json_and_its_marks() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        let record = owned("ada lovelace");
        assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
        let json = [b"r".as_slice(), &[1; 16]].concat();
        assert_eq!(value(&shelf, &json).unwrap(), record.encode().into_bytes());
        let marks = [b"m".as_slice(), &[1; 16]].concat();
        let text = "1764000000000 1764003600000 ada lovelace";
        assert_eq!(value(&shelf, &marks).unwrap(), text.as_bytes());
        let listed = [b"oada lovelace\0".as_slice(), &[1; 16]].concat();
        assert_eq!(value(&shelf, &listed).unwrap(), b"");
        let moment = (1_764_003_600_000_u64 | 1 << 63).to_be_bytes();
        let due = [b"e".as_slice(), &moment, &[1; 16]].concat();
        assert_eq!(value(&shelf, &due).unwrap(), b"");
        assert_eq!(
            value(&shelf, b"s").unwrap(),
            br#"{"layout":1,"state":"ready"}"#
        );
        consistent::check(&shelf);
    }
}

#[tokio::test]
async fn a_touch_writes_the_marks_and_not_the_record() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        let record = owned("ada");
        assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
        let later = START.after(SECOND);
        for at in [later, START] {
            assert_eq!(
                store.touch(&id(1), &touch_at(at)).await.unwrap(),
                Written::Done
            );
            let json = value(&shelf, &keys::record(&id(1))).unwrap();
            assert_eq!(json, record.encode().into_bytes());
            let marks = value(&shelf, &keys::marks(&id(1))).unwrap();
            assert_eq!(marks, b"1764000001000 1764003601000 ada");
            consistent::check(&shelf);
        }
        let found = store.load(&id(1)).await.unwrap().unwrap();
        assert_eq!(found.accessed_at, later);
        let update = next(&record, "of before the touch");
        assert_eq!(
            store.update(&id(1), &update, record.version).await.unwrap(),
            Written::Done
        );
        let stored = Record::decode(&value(&shelf, &keys::record(&id(1))).unwrap()).unwrap();
        assert_eq!(
            stored.accessed_at, later,
            "the record alone has the later time too"
        );
        consistent::check(&shelf);
    }
}

#[tokio::test]
async fn everything_fits_together_after_any_sequence_of_operations() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        // The sequence is the same every time, and long enough to meet every pair of operations.
        let mut dice = 12_345_u32;
        let mut roll = |sides: u32| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 16) % sides
        };
        let mut counter = 1;
        for _ in 0..400 {
            let id = id(roll(8) as u8);
            let stored = store.load(&id).await.unwrap();
            counter += 1;
            let record = Record {
                owner: [None, Some("ada"), Some("bob")][roll(3) as usize].map(owner),
                expiry: [Expiry::NEVER, Expiry::new(Some(TIMEOUT), None)][roll(2) as usize],
                accessed_at: START.after(roll(1000) * SECOND),
                ..counted(counter)
            };
            let at = START.after(roll(1000) * SECOND);
            match roll(8) {
                0 => drop(store.delete(&id, Only::Any).await.unwrap()),
                1 => drop(store.sweep(at.after(TIMEOUT), 2).await.unwrap()),
                2 | 3 => drop(store.touch(&id, &touch_at(at)).await.unwrap()),
                _ => match stored {
                    Some(old) => drop(store.update(&id, &record, old.version).await.unwrap()),
                    None => drop(store.create(&id, &record).await.unwrap()),
                },
            }
            consistent::check(&shelf);
        }
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_leaves_no_entries_behind() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        let newer = samples::newer_format().into_bytes();
        for unreadable in [samples::UNDECODABLE.to_vec(), newer] {
            for number in [1, 2] {
                let created = store.create(&id(number), &owned("ada")).await.unwrap();
                assert_eq!(created, Created::Done);
                put(
                    &shelf,
                    &[(keys::record(&id(number)), Some(unreadable.clone()))],
                );
            }
            let _ = store.touch(&id(1), &touch_at(START)).await.unwrap_err();
            assert_eq!(value(&shelf, &keys::record(&id(1))), Some(unreadable));
            assert_eq!(store.owned_by(&owner("ada")).await.unwrap(), [id(1), id(2)]);
            assert_eq!(
                store.delete(&id(1), Only::Any).await.unwrap(),
                Written::Done
            );
            assert_eq!(store.owned_by(&owner("ada")).await.unwrap(), [id(2)]);
            let end = START.after(TIMEOUT);
            assert_eq!(store.sweep(end.before(SECOND), 10).await.unwrap(), 0);
            assert_eq!(
                store.sweep(end, 10).await.unwrap(),
                1,
                "expiry works on it too"
            );
            assert_eq!(store.owned_by(&owner("ada")).await.unwrap(), []);
            consistent::check(&shelf);
        }
    }
}

#[tokio::test]
async fn marks_that_cannot_be_read_are_reported_and_the_record_can_be_deleted() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        let record = owned("ada");
        assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
        put(&shelf, &[(keys::marks(&id(1)), Some(b"no marks".to_vec()))]);
        let error = store.load(&id(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
        let update = next(&record, "new");
        let error = store
            .update(&id(1), &update, record.version)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
        assert_eq!(
            store.delete(&id(1), Only::Any).await.unwrap(),
            Written::Done
        );
        assert_eq!(store.load(&id(1)).await.unwrap(), None);
        assert_eq!(store.owned_by(&owner("ada")).await.unwrap(), []);
        // The entries that nobody could name any more go with the next sweep, uncounted.
        assert_eq!(store.sweep(START.after(TIMEOUT), 10).await.unwrap(), 0);
        let due = keys::expired(START.after(TIMEOUT));
        assert_eq!(
            shelf
                .read(|view| view.keys(&due.start, &due.end, 9))
                .unwrap()
                .len(),
            0
        );
    }
}

#[tokio::test]
async fn a_record_whose_marks_cannot_be_read_is_swept_when_it_has_expired() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        assert_eq!(
            store.create(&id(1), &owned("ada")).await.unwrap(),
            Created::Done
        );
        let touch = touch_at(START.after(SECOND));
        assert_eq!(store.touch(&id(1), &touch).await.unwrap(), Written::Done);
        put(
            &shelf,
            &[
                (keys::marks(&id(1)), Some(b"no marks".to_vec())),
                (keys::expiry(START, &id(1)), Some(Vec::new())),
            ],
        );
        assert_eq!(store.sweep(START.after(SECOND), 10).await.unwrap(), 0);
        assert!(value(&shelf, &keys::record(&id(1))).is_some());
        let end = START.after(TIMEOUT);
        assert_eq!(store.sweep(end, 10).await.unwrap(), 1);
        assert_eq!(value(&shelf, &keys::record(&id(1))), None);
        assert_eq!(store.owned_by(&owner("ada")).await.unwrap(), []);
        assert_eq!(store.sweep(end.after(SECOND), 10).await.unwrap(), 0);
        consistent::check(&shelf);
    }
}

#[tokio::test]
async fn an_entry_that_is_not_the_records_own_ends_nothing() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        assert_eq!(
            store.create(&id(1), &owned("ada")).await.unwrap(),
            Created::Done
        );
        for number in [1, 2] {
            put(
                &shelf,
                &[(keys::expiry(START, &id(number)), Some(Vec::new()))],
            );
        }
        assert_eq!(store.sweep(START.after(SECOND), 10).await.unwrap(), 0);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(owned("ada")));
        consistent::check(&shelf);
    }
}

#[tokio::test]
async fn a_sweep_of_many_goes_in_steps_and_keeps_to_its_limit() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        let creates = (0..300_u16).map(|number| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            let store = store.clone();
            let id = session_core::SessionId::from_bytes(bytes);
            tokio::spawn(async move { store.create(&id, &owned("ada")).await.unwrap() })
        });
        for created in creates.collect::<Vec<_>>() {
            assert_eq!(created.await.unwrap(), Created::Done);
        }
        let end = START.after(TIMEOUT);
        assert_eq!(store.sweep(end, 0).await.unwrap(), 0);
        assert_eq!(store.sweep(end, 270).await.unwrap(), 270);
        consistent::check(&shelf);
        assert_eq!(store.owned_by(&owner("ada")).await.unwrap().len(), 30);
        assert_eq!(store.sweep(end, usize::MAX).await.unwrap(), 30);
        consistent::check(&shelf);
    }
}

#[tokio::test]
async fn a_record_of_more_than_64_mib_is_refused() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(config(*kind, dir.path()));
        let record = next(&counted(1), "x".repeat(64 << 20));
        let error = store.create(&id(1), &record).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
        assert_eq!(store.load(&id(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_record_of_megabytes_is_kept() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let at = config(*kind, dir.path()).durability(crate::Durability::Disk);
        let (store, shelf) = open(at.clone());
        let first = next(&counted(1), "x".repeat(9 << 20));
        assert_eq!(store.create(&id(1), &first).await.unwrap(), Created::Done);
        let second = next(&first, "y".repeat(10 << 20));
        let written = store.update(&id(1), &second, first.version).await.unwrap();
        assert_eq!(written, Written::Done);
        drop((store, shelf));
        let (store, shelf) = open(at);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(second));
        consistent::check(&shelf);
    }
}
