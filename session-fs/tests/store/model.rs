//! Random operations, compared with a map.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use session_core::{
    Created, Cursor, Generation, Only, Owner, Record, SessionId, Store, Timestamp, Touch, Version,
    Written,
};
use session_fs::FsStore;

use crate::{START, TIMEOUT, id, record};

#[derive(Clone, Debug)]
enum Step {
    Create(u8, Content),
    Update(u8, Content, bool),
    Touch(u8, i64, u32),
    Delete(u8, Option<u32>),
    Sweep(i64, usize),
    Reopen,
}

#[derive(Clone, Debug)]
struct Content {
    owner: Option<u8>,
    bytes: usize,
    seconds: i64,
    generation: u32,
}

fn content() -> impl Strategy<Value = Content> {
    let bytes = prop_oneof![0..300usize, 0..9000usize];
    (proptest::option::of(0..3u8), bytes, 0..100i64, 1..3u32).prop_map(
        |(owner, bytes, seconds, generation)| Content {
            owner,
            bytes,
            seconds,
            generation,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..5u8;
    prop_oneof![
        3 => (number.clone(), content()).prop_map(|(n, c)| Step::Create(n, c)),
        6 => (number.clone(), content(), any::<bool>()).prop_map(|(n, c, s)| Step::Update(n, c, s)),
        4 => (number.clone(), 0..100i64, 1..3u32).prop_map(|(n, s, g)| Step::Touch(n, s, g)),
        2 => (number, proptest::option::of(1..3u32)).prop_map(|(n, g)| Step::Delete(n, g)),
        1 => (0..100i64, 0..4usize).prop_map(|(s, l)| Step::Sweep(s, l)),
        1 => Just(Step::Reopen),
    ]
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(START.as_unix_ms() + 1000 * seconds)
}

fn owner(number: u8) -> Owner {
    Owner::new(format!("owner {number}")).unwrap()
}

fn filled(content: &Content) -> Record {
    let mut record = record();
    record.owner = content.owner.map(owner);
    record.agent = Some("a".repeat(content.bytes).into());
    record.accessed_at = at(content.seconds);
    record.generation = Generation(content.generation);
    record
}

type Model = HashMap<SessionId, Record>;

async fn run(store: &FsStore, model: &mut Model, step: Step) {
    match step {
        Step::Create(number, content) => {
            let (id, record) = (id(number), filled(&content));
            let created = store.create(&id, &record).await.unwrap();
            match model.entry(id) {
                std::collections::hash_map::Entry::Occupied(_) => {
                    assert_eq!(created, Created::Taken);
                }
                std::collections::hash_map::Entry::Vacant(place) => {
                    assert_eq!(created, Created::Done);
                    place.insert(record);
                }
            }
        }
        Step::Update(number, content, stale) => {
            let (id, mut update) = (id(number), filled(&content));
            let stored = model.get(&id);
            let expected = stored.map_or(Version::from_parts(1, 1), |stored| stored.version);
            update.version = expected.next().unwrap();
            let expected = if stale { update.version } else { expected };
            let written = store.update(&id, &update, expected).await.unwrap();
            match stored {
                None => assert_eq!(written, Written::Gone),
                Some(_) if stale => assert_eq!(written, Written::Conflict),
                Some(stored) => {
                    assert_eq!(written, Written::Done);
                    update.accessed_at = update.accessed_at.max(stored.accessed_at);
                    model.insert(id, update);
                }
            }
        }
        Step::Touch(number, seconds, generation) => {
            let id = id(number);
            let touch = Touch {
                generation: Generation(generation),
                accessed_at: at(seconds),
            };
            let written = store.touch(&id, &touch).await.unwrap();
            let expected = match model.get_mut(&id) {
                None => Written::Gone,
                Some(stored) => match stored.touch(&touch) {
                    true => Written::Done,
                    false => Written::Conflict,
                },
            };
            assert_eq!(written, expected);
        }
        Step::Delete(number, generation) => {
            let id = id(number);
            let only = generation.map_or(Only::Any, |g| Only::Generation(Generation(g)));
            let written = store.delete(&id, only).await.unwrap();
            let expected = match model.get(&id) {
                None => Written::Gone,
                Some(stored) if generation.is_none_or(|g| stored.generation.0 == g) => {
                    model.remove(&id);
                    Written::Done
                }
                Some(_) => Written::Conflict,
            };
            assert_eq!(written, expected);
        }
        Step::Sweep(seconds, limit) => {
            let before = at(seconds).after(TIMEOUT);
            let due = model
                .values()
                .filter(|record| record.is_expired(before))
                .count();
            let removed = store.sweep(before, limit).await.unwrap();
            assert_eq!(removed as usize, due.min(limit));
            let mut gone = Vec::new();
            for (id, record) in model.iter() {
                if record.is_expired(before) && store.load(id).await.unwrap().is_none() {
                    gone.push(*id);
                }
            }
            assert_eq!(removed as usize, gone.len());
            model.retain(|id, _| !gone.contains(id));
        }
        Step::Reopen => {}
    }
}

async fn compare(store: &FsStore, model: &Model) {
    for number in 0..5 {
        let stored = store.load(&id(number)).await.unwrap();
        assert_eq!(stored.as_ref(), model.get(&id(number)));
    }
    for number in 0..3 {
        let mut listed = store.owned_by(&owner(number)).await.unwrap();
        let mut expected: Vec<_> = model
            .iter()
            .filter(|(_, record)| record.owner == Some(owner(number)))
            .map(|(id, _)| *id)
            .collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }
    let page = store.scan(Cursor::start(), 100).await.unwrap();
    let mut expected: Vec<_> = model.keys().copied().collect();
    expected.sort();
    assert_eq!(page.ids, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_map_does(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_keep_alive(Duration::from_secs(1))
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut store = FsStore::open(dir.path()).unwrap();
            let mut model = Model::new();
            for step in steps {
                if matches!(step, Step::Reopen) {
                    store = FsStore::open(dir.path()).unwrap();
                }
                run(&store, &mut model, step).await;
                compare(&store, &model).await;
            }
        });
    }
}
