//! The store does what the store in memory does, whatever the numbers are.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use session_core::conformance::samples;
use session_core::{
    Expiry, Generation, MemoryStore, Only, Record, Store, Timestamp, Touch, Version,
};

use crate::Place;

#[derive(Clone, Debug)]
enum Step {
    Update {
        accessed: i64,
        expiry: Expiry,
        owner: Option<&'static str>,
        stale: bool,
        generation: u32,
    },
    Touch {
        accessed: i64,
        generation: u32,
    },
    Delete {
        generation: u32,
    },
}

/// Far in the future, so that the server drops nothing, and all that has odd digits.
fn accessed() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 2_000_000_000_000_i64..2_000_000_400_000,
        2 => 2_000_000_000_000_i64..9_000_000_000_000,
        1 => Just(999_999_999_999_999),
        1 => Just(99_999_999_999_999),
        1 => Just(1_000_000_000_000_000),
        1 => Just(i64::MAX),
    ]
}

/// Also negative, where nothing expires.
fn odd_accessed() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(-1),
        Just(0),
        Just(-99_999_999_999_999),
        Just(-100_000_000_000_000),
        Just(-999_999_999_999_999),
        Just(i64::MIN),
        Just(1_764_000_000_000),
    ]
}

fn expiry() -> impl Strategy<Value = Expiry> {
    let timeout = prop_oneof![
        Just(None),
        Just(Some(Duration::ZERO)),
        Just(Some(Duration::from_millis(1))),
        Just(Some(Duration::from_secs(60))),
        Just(Some(Duration::from_secs(3_600))),
        Just(Some(Duration::from_millis(86_400_001))),
        Just(Some(Duration::from_secs(40 * 86_400))),
        Just(Some(Duration::MAX)),
    ];
    let ends = prop_oneof![
        3 => Just(None),
        1 => (2_000_000_000_000_i64..2_000_000_500_000).prop_map(Some),
        1 => Just(Some(i64::MAX)),
    ];
    (timeout, ends)
        .prop_map(|(timeout, ends)| Expiry::new(timeout, ends.map(Timestamp::from_unix_ms)))
}

fn limited() -> impl Strategy<Value = (i64, Expiry)> {
    prop_oneof![
        4 => (accessed(), expiry()),
        1 => odd_accessed().prop_map(|accessed| (accessed, Expiry::NEVER)),
    ]
}

fn owner() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        Just(None),
        Just(Some("ada")),
        Just(Some("bob")),
        Just(Some("\"\\\u{1}\u{1F980}")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (limited(), owner(), prop::bool::weighted(0.2), 1..4_u32).prop_map(
            |((accessed, expiry), owner, stale, generation)| Step::Update {
                accessed, expiry, owner, stale, generation,
            }
        ),
        4 => (prop_oneof![3 => accessed(), 1 => odd_accessed()], 1..4_u32)
            .prop_map(|(accessed, generation)| Step::Touch { accessed, generation }),
        1 => (1..6_u32).prop_map(|generation| Step::Delete { generation }),
    ]
}

/// Does the same to both and compares all that can be seen.
async fn compare(first: (i64, Expiry), steps: Vec<Step>) {
    let (place, memory) = (Place::new().await, MemoryStore::new());
    let record = Record {
        accessed_at: Timestamp::from_unix_ms(first.0),
        expiry: first.1,
        ..samples::record()
    };
    let id = samples::id();
    let created = memory.create(&id, &record).await.unwrap();
    assert_eq!(place.store.create(&id, &record).await.unwrap(), created);
    for (count, step) in (2..).zip(steps) {
        let seen = memory.load(&id).await.unwrap();
        let generation = |number| Generation(number);
        let answers = match step {
            Step::Update {
                accessed,
                expiry,
                owner,
                stale,
                generation,
            } => {
                let version = seen.as_ref().map_or(record.version, |seen| seen.version);
                let next = Record {
                    version: Version::from_parts(count, count << 60 | 5),
                    accessed_at: Timestamp::from_unix_ms(accessed),
                    expiry,
                    owner: owner.map(samples::owner),
                    generation: Generation(generation),
                    data: samples::data(&format!("{{\"count\":{count}}}")),
                    ..record.clone()
                };
                let expected = if stale {
                    Version::from_parts(0, count)
                } else {
                    version
                };
                (
                    memory.update(&id, &next, expected).await.unwrap(),
                    place.store.update(&id, &next, expected).await.unwrap(),
                )
            }
            Step::Touch {
                accessed,
                generation: number,
            } => {
                let touch = Touch {
                    generation: generation(number),
                    accessed_at: Timestamp::from_unix_ms(accessed),
                };
                (
                    memory.touch(&id, &touch).await.unwrap(),
                    place.store.touch(&id, &touch).await.unwrap(),
                )
            }
            Step::Delete { generation: number } => {
                let only = Only::Generation(generation(number));
                (
                    memory.delete(&id, only).await.unwrap(),
                    place.store.delete(&id, only).await.unwrap(),
                )
            }
        };
        assert_eq!(answers.0, answers.1, "step {count}");
        let expected = memory.load(&id).await.unwrap();
        assert_eq!(place.store.load(&id).await.unwrap(), expected);
        for name in ["ada", "bob", "user-17", "\"\\\u{1}\u{1F980}"] {
            let owned = memory.owned_by(&samples::owner(name)).await.unwrap();
            assert_eq!(place.owned_by(name).await, owned, "step {count}: {name}");
        }
    }
}

#[test]
fn the_store_does_what_the_store_in_memory_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        cases: 120,
        failure_persistence: None,
        ..Config::default()
    };
    let strategy = (limited(), prop::collection::vec(step(), 1..12));
    TestRunner::new(config)
        .run(&strategy, |(first, steps)| {
            runtime.block_on(compare(first, steps));
            Ok(())
        })
        .unwrap();
}
