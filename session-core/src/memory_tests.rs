use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::data::Data;
use crate::expiry::Expiry;
use crate::id::Secret;
use crate::record::Generation;

const NOW: Timestamp = Timestamp::from_unix_ms(1_764_000_000_000);

fn record(count: u64) -> Record {
    let digest = Secret::random()
        .unwrap()
        .digest(&SessionId::from_bytes([0; 16]));
    let expiry = Expiry::new(Some(Duration::from_secs(60)), None);
    Record {
        data: Data::parse(&format!("{{\"count\":{count}}}")).unwrap(),
        ..Record::new(digest, NOW, expiry).unwrap()
    }
}

/// A sweep, and how often it let others in.
fn swept(store: &MemoryStore, before: Timestamp, limit: usize) -> (u64, u32) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut sweep = store.sweep(before, limit);
    for pauses in 0.. {
        if let std::task::Poll::Ready(swept) = sweep.as_mut().poll(&mut context) {
            return (swept.unwrap(), pauses);
        }
    }
    unreachable!("it ends");
}

/// The store's other methods never wait, so one poll is enough.
fn now<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("the memory store waited"),
    }
}

fn stored(store: &MemoryStore, record: &Record) -> SessionId {
    let id = SessionId::random().unwrap();
    assert_eq!(now(store.create(&id, record)).unwrap(), Created::Done);
    id
}

fn loaded(store: &MemoryStore, id: &SessionId) -> Option<Record> {
    now(store.load(id)).unwrap()
}

fn of_sessions(sessions: usize) -> MemoryLimits {
    MemoryLimits {
        sessions,
        ..MemoryLimits::default()
    }
}

#[test]
fn sixteen_threads_of_conditional_updates_lose_none() {
    let store = MemoryStore::new();
    let id = stored(&store, &record(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 500 {
                    let seen = loaded(&store, &id).unwrap();
                    let count: u64 = seen.data.raw("count").unwrap().parse().unwrap();
                    let next = Record {
                        version: seen.version.next().unwrap(),
                        data: Data::parse(&format!("{{\"count\":{}}}", count + 1)).unwrap(),
                        ..seen.clone()
                    };
                    match now(store.update(&id, &next, seen.version)).unwrap() {
                        Written::Done => done += 1,
                        Written::Conflict => {}
                        Written::Gone => panic!("nobody deletes"),
                    }
                }
            });
        }
    });
    let last = loaded(&store, &id).unwrap();
    assert_eq!(last.data.raw("count"), Some("8000"));
    assert_eq!(last.version.counter(), 8001);
}

#[test]
fn the_bound_on_sessions_is_exact_under_concurrency() {
    let store = MemoryStore::bounded(of_sessions(1_000));
    let full = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let id = SessionId::random().unwrap();
                    match now(store.create(&id, &record(1))) {
                        Ok(created) => assert_eq!(created, Created::Done),
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Full);
                            full.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!((store.len(), full.into_inner()), (1_000, 600));
    let page = now(store.scan(Cursor::start(), 2_000)).unwrap();
    assert_eq!((page.ids.len(), page.next), (1_000, None));
}

#[test]
fn the_bytes_are_those_of_what_is_kept_after_any_concurrent_changes() {
    let store = MemoryStore::new();
    let ids: Vec<_> = (0..64).map(|_| stored(&store, &record(0))).collect();
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let (store, ids) = (&store, &ids);
            scope.spawn(move || {
                for (step, id) in ids.iter().cycle().take(512).enumerate() {
                    let Some(seen) = loaded(store, id) else {
                        let _ = now(store.create(id, &record(9))).unwrap();
                        continue;
                    };
                    let next = Record {
                        version: seen.version.next().unwrap(),
                        agent: Some("x".repeat(step % 97).into()),
                        owner: Some(Owner::new(format!("{}", step % 7)).unwrap()),
                        ..seen.clone()
                    };
                    let _ = now(store.update(id, &next, seen.version)).unwrap();
                    if step as u32 % 11 == thread {
                        let _ = now(store.delete(id, Only::Any)).unwrap();
                    }
                }
            });
        }
    });
    let kept: Vec<_> = ids.iter().filter_map(|id| loaded(&store, id)).collect();
    assert_eq!(store.len(), kept.len());
    assert_eq!(store.bytes(), kept.iter().map(weight).sum::<usize>());
    for id in &ids {
        let _ = now(store.delete(id, Only::Any)).unwrap();
    }
    assert_eq!((store.len(), store.bytes()), (0, 0));
    assert!(
        store
            .shards
            .iter()
            .all(|shard| locked(shard).queue.is_empty())
    );
    assert!(store.owners.iter().all(|owners| locked(owners).is_empty()));
}

#[test]
fn a_full_store_refuses_growth_and_keeps_what_it_has() {
    let small = record(1);
    let bytes = 2 * weight(&small);
    let store = MemoryStore::bounded(MemoryLimits {
        sessions: 10,
        bytes,
    });
    let (first, _) = (stored(&store, &small), stored(&store, &small));
    let refused = now(store.create(&SessionId::random().unwrap(), &small)).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Full);
    let grown = Record {
        version: small.version.next().unwrap(),
        data: Data::parse("{\"count\":10}").unwrap(),
        ..small.clone()
    };
    let refused = now(store.update(&first, &grown, small.version)).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Full);
    assert_eq!(loaded(&store, &first), Some(small.clone()));
    assert_eq!((store.len(), store.bytes()), (2, bytes));
    let huge = Record {
        data: Data::parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(bytes))).unwrap(),
        ..grown
    };
    let refused = now(store.update(&first, &huge, small.version)).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::TooLarge);
    let same_size = Record {
        version: small.version.next().unwrap(),
        data: Data::parse("{\"count\":2}").unwrap(),
        ..small.clone()
    };
    let done = now(store.update(&first, &same_size, small.version)).unwrap();
    assert_eq!(done, Written::Done);
}

#[test]
fn a_taken_id_is_taken_also_in_a_full_store() {
    let store = MemoryStore::bounded(of_sessions(1));
    let id = stored(&store, &record(1));
    assert_eq!(now(store.create(&id, &record(2))).unwrap(), Created::Taken);
}

#[test]
fn a_touch_leaves_the_order_of_expiry_and_the_sweep_corrects_it() {
    let store = MemoryStore::new();
    let id = stored(&store, &record(1));
    let order = || locked(&store.shards[shard_of(&id)]).queue.clone();
    let before = order();
    let accessed_at = NOW.after(Duration::from_secs(30));
    let touch = Touch {
        generation: Generation::FIRST,
        accessed_at,
    };
    assert_eq!(now(store.touch(&id, &touch)).unwrap(), Written::Done);
    assert_eq!(order(), before);
    let old_end = NOW.after(Duration::from_secs(60));
    assert_eq!(now(store.sweep(old_end, 10)).unwrap(), 0);
    let end = accessed_at.after(Duration::from_secs(60));
    assert_eq!(order(), BTreeSet::from([(end, id)]));
    assert_eq!(now(store.sweep(end, 10)).unwrap(), 1);
    assert!(store.is_empty() && order().is_empty());
}

#[test]
fn the_sweep_takes_more_than_one_lock_holds_and_lets_others_in_between() {
    let store = MemoryStore::new();
    let mut bytes = [0; 16];
    for n in 0..3 * SWEPT_UNDER_ONE_LOCK as u32 {
        bytes[12..].copy_from_slice(&n.to_be_bytes());
        let id = SessionId::from_bytes(bytes);
        assert_eq!(now(store.create(&id, &record(1))).unwrap(), Created::Done);
    }
    let end = NOW.after(Duration::from_secs(60));
    assert_eq!(swept(&store, end, 700), (700, 2));
    assert_eq!(swept(&store, end, 700), (68, 0));
    assert!(locked(&store.shards[0]).slots.capacity() <= 8 * 64);
}

#[test]
fn debug_shows_no_data_no_owner_and_no_id() {
    let store = MemoryStore::new();
    let kept = Record {
        data: Data::parse("{\"name\":\"Ada\"}").unwrap(),
        owner: Some(Owner::new("user-17").unwrap()),
        ..record(1)
    };
    let id = stored(&store, &kept);
    let shown = format!("{store:?}");
    assert!(shown.contains("sessions: 1"), "{shown}");
    for private in ["Ada", "user-17", &id.to_string()] {
        assert!(!shown.contains(private), "{shown}");
    }
}

#[test]
fn what_is_loaded_shares_its_data_with_what_is_kept() {
    let store = MemoryStore::new();
    let kept = record(1);
    let id = stored(&store, &kept);
    let read = loaded(&store, &id).unwrap();
    assert!(std::ptr::eq(read.data.as_str(), kept.data.as_str()));
}

#[test]
fn a_store_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&Arc::new(MemoryStore::new()));
}
