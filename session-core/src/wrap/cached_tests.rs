use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::ManualClock;
use crate::record::Generation;
use crate::wrap::stepped::{START, Stepped, next, now, record};

struct Setting {
    hands: ManualClock,
    store: Arc<Stepped>,
    id: SessionId,
    first: Record,
}

impl Setting {
    /// One record is in the store; no node has seen it.
    fn new() -> Self {
        let hands = ManualClock::at_unix_ms(START.as_unix_ms());
        let (store, id) = (Arc::new(Stepped::default()), SessionId::random().unwrap());
        let first = record(&id, 1);
        assert_eq!(now(store.create(&id, &first)).unwrap(), Created::Done);
        Self {
            hands,
            store,
            id,
            first,
        }
    }

    fn node(&self) -> Cached {
        let store: Arc<dyn Store> = Arc::clone(&self.store) as _;
        Cached::new(store).clock(Clock::manual(&self.hands))
    }

    fn advance(&self, ms: u64) {
        self.hands.advance(Duration::from_millis(ms));
    }

    fn load(&self, node: &Cached) -> Option<Record> {
        now(node.load(&self.id)).unwrap()
    }

    /// How often the store was asked while `node` loaded.
    fn asked(&self, node: &Cached) -> usize {
        let before = self.store.loads();
        self.load(node);
        self.store.loads() - before
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn w1_a_thousand_reads_within_max_stale_cost_one_load() {
    let s = Setting::new();
    let node = s.node();
    for _ in 0..1_000 {
        assert_eq!(s.load(&node).as_ref(), Some(&s.first));
    }
    assert_eq!(s.store.loads(), 1);
    s.advance(999);
    assert_eq!(s.asked(&node), 0);
    s.advance(1);
    assert_eq!(s.asked(&node), 1);
}

#[test]
fn w1_the_age_of_an_entry_counts_from_before_the_store_was_asked() {
    let s = Setting::new();
    let node = s.node();
    s.store.wait(true);
    let mut load = node.load(&s.id);
    assert!(poll(&mut load).is_pending());
    s.advance(600);
    assert!(poll(&mut load).is_pending());
    assert!(poll(&mut load).is_ready());
    drop(load);
    s.store.wait(false);
    s.advance(399);
    assert_eq!(s.asked(&node), 0);
    s.advance(1);
    assert_eq!(s.asked(&node), 1);
}

#[test]
fn w1_what_another_node_revoked_is_seen_within_max_stale() {
    let s = Setting::new();
    let (node, other) = (s.node(), s.node());
    assert_eq!(s.load(&node).as_ref(), Some(&s.first));
    assert_eq!(now(other.delete(&s.id, Only::Any)).unwrap(), Written::Done);
    assert_eq!(s.load(&other), None);
    s.advance(1_000);
    assert_eq!(s.load(&node), None);
}

#[test]
fn w1_what_another_node_superseded_can_neither_be_overwritten_nor_touched() {
    let s = Setting::new();
    let (node, other) = (s.node(), s.node());
    let stale = s.load(&node).unwrap();
    let renewed = Record {
        generation: stale.generation.next(),
        ..next(&stale, 2)
    };
    let answer = now(other.update(&s.id, &renewed, stale.version));
    assert_eq!(answer.unwrap(), Written::Done);
    // Stale, and shown by its version and generation to be.
    assert_eq!(s.load(&node).as_ref(), Some(&stale));
    let touch = Touch {
        generation: stale.generation,
        accessed_at: START.after(Duration::from_secs(9)),
    };
    assert_eq!(now(node.touch(&s.id, &touch)).unwrap(), Written::Conflict);
    // The refusal dropped the entry, so what follows begins from what is there.
    assert_eq!(s.load(&node).as_ref(), Some(&renewed));
    let late = now(node.update(&s.id, &next(&stale, 3), stale.version));
    assert_eq!(late.unwrap(), Written::Conflict);
    assert_eq!(now(s.store.load(&s.id)).unwrap(), Some(renewed));
}

#[test]
fn w1_a_stale_entry_brings_nothing_back() {
    let s = Setting::new();
    let (node, other) = (s.node(), s.node());
    let stale = s.load(&node).unwrap();
    assert_eq!(now(other.delete(&s.id, Only::Any)).unwrap(), Written::Done);
    let answer = now(node.update(&s.id, &next(&stale, 2), stale.version));
    assert_eq!(answer.unwrap(), Written::Gone);
    assert_eq!((s.load(&node), s.store.memory.len()), (None, 0));
}

#[test]
fn w1_a_record_with_an_owner_is_not_kept_unless_asked_for() {
    let s = Setting::new();
    let owned = Record {
        owner: Some(Owner::new("ada").unwrap()),
        ..next(&s.first, 2)
    };
    let (node, asked_for) = (s.node(), s.node().cache_owned(true));
    s.load(&node);
    let answer = now(node.update(&s.id, &owned, s.first.version));
    assert_eq!(answer.unwrap(), Written::Done);
    assert!(node.is_empty());
    assert_eq!((s.asked(&node), s.asked(&node)), (1, 1));
    assert_eq!((s.asked(&asked_for), s.asked(&asked_for)), (1, 0));
    let created = SessionId::random().unwrap();
    let _ = now(node.create(&created, &owned)).unwrap();
    assert!(node.is_empty());
}

#[test]
fn w1_a_fill_begun_before_a_local_write_is_dropped() {
    let s = Setting::new();
    let touch = Touch {
        generation: Generation::FIRST,
        accessed_at: START.after(Duration::from_secs(1)),
    };
    type Write<'a> = Box<dyn Fn(&Cached) + 'a>;
    let writes: [(&str, Write<'_>); 3] = [
        (
            "touch",
            Box::new(|node| assert_eq!(now(node.touch(&s.id, &touch)).unwrap(), Written::Done)),
        ),
        (
            "update",
            Box::new(|node| {
                let answer = now(node.update(&s.id, &next(&s.first, 2), s.first.version));
                assert_eq!(answer.unwrap(), Written::Done);
            }),
        ),
        (
            "delete",
            Box::new(|node| {
                assert_eq!(now(node.delete(&s.id, Only::Any)).unwrap(), Written::Done);
            }),
        ),
    ];
    for (name, write) in writes {
        let node = s.node();
        s.store.wait(true);
        let mut fill = node.load(&s.id);
        assert!(poll(&mut fill).is_pending());
        assert!(poll(&mut fill).is_pending(), "the store has answered");
        s.store.wait(false);
        write(&node);
        assert!(poll(&mut fill).is_ready());
        drop(fill);
        assert_eq!(s.asked(&node), 1, "{name}");
        let stored = now(s.store.memory.load(&s.id)).unwrap();
        assert_eq!(s.load(&node), stored, "{name}");
    }
}

#[test]
fn w1_a_load_during_a_local_write_is_not_kept() {
    let s = Setting::new();
    let node = s.node();
    s.store.wait(true);
    let second = next(&s.first, 2);
    let mut update = node.update(&s.id, &second, s.first.version);
    assert!(poll(&mut update).is_pending());
    s.store.wait(false);
    assert_eq!(s.asked(&node), 1);
    assert!(node.is_empty());
    while poll(&mut update).is_pending() {}
    drop(update);
    assert_eq!(s.load(&node), Some(second));
}

#[test]
fn w1_a_local_write_is_seen_at_once_and_needs_no_load() {
    let s = Setting::new();
    let node = s.node();
    let mut last = s.load(&node).unwrap();
    for count in 2..10 {
        let update = next(&last, count);
        let answer = now(node.update(&s.id, &update, last.version));
        assert_eq!(answer.unwrap(), Written::Done);
        assert_eq!(s.load(&node).as_ref(), Some(&update));
        last = update;
        s.advance(100);
    }
    assert_eq!(s.store.loads(), 1);
    // The whole chain is as old as the load it began with.
    s.advance(200);
    assert_eq!(s.asked(&node), 1);
}

#[test]
fn w1_an_update_keeps_the_later_access() {
    let s = Setting::new();
    let node = s.node();
    let seen = s.load(&node).unwrap();
    let touch = Touch {
        generation: seen.generation,
        accessed_at: START.after(Duration::from_secs(5)),
    };
    assert_eq!(now(node.touch(&s.id, &touch)).unwrap(), Written::Done);
    s.load(&node);
    let answer = now(node.update(&s.id, &next(&seen, 2), seen.version));
    assert_eq!(answer.unwrap(), Written::Done);
    assert_eq!(s.asked(&node), 0);
    assert_eq!(s.load(&node), now(s.store.memory.load(&s.id)).unwrap());
}

#[test]
fn w1_an_update_of_what_another_node_wrote_keeps_nothing_of_the_stale_entry() {
    let s = Setting::new();
    let (node, other) = (s.node(), s.node());
    let touch = Touch {
        generation: s.first.generation,
        accessed_at: START.after(Duration::from_secs(5)),
    };
    assert_eq!(now(node.touch(&s.id, &touch)).unwrap(), Written::Done);
    s.load(&node);
    assert_eq!(now(other.delete(&s.id, Only::Any)).unwrap(), Written::Done);
    let again = record(&s.id, 7);
    let _ = now(other.create(&s.id, &again)).unwrap();
    let answer = now(node.update(&s.id, &next(&again, 8), again.version));
    assert_eq!(answer.unwrap(), Written::Done);
    assert_eq!(s.load(&node), now(s.store.memory.load(&s.id)).unwrap());
}

#[test]
fn w1_after_a_write_of_unknown_outcome_nothing_is_kept_for_a_minute() {
    let s = Setting::new();
    let (failed, dropped) = (s.node(), s.node());
    for node in [&failed, &dropped] {
        s.load(node);
    }
    s.store.fail(StoreErrorKind::Unavailable);
    let second = next(&s.first, 2);
    now(failed.update(&s.id, &second, s.first.version)).unwrap_err();
    assert_eq!(s.load(&failed).as_ref(), Some(&second));
    s.store.wait(true);
    let third = next(&second, 3);
    let mut update = dropped.update(&s.id, &third, second.version);
    assert!(poll(&mut update).is_pending());
    drop(update);
    s.store.wait(false);
    assert_eq!(s.load(&dropped), Some(second));
    for node in [&failed, &dropped] {
        s.advance(20_000);
        assert_eq!((s.asked(node), s.asked(node)), (1, 1));
    }
    s.advance(40_000);
    for node in [&failed, &dropped] {
        assert_eq!((s.asked(node), s.asked(node)), (1, 0));
    }
}

#[test]
fn w1_a_full_store_leaves_what_was_there_and_no_doubt() {
    let s = Setting::new();
    let limits = crate::MemoryLimits {
        sessions: 1,
        ..Default::default()
    };
    let node = Cached::new(crate::MemoryStore::bounded(limits));
    let _ = now(node.create(&s.id, &s.first)).unwrap();
    let other = SessionId::random().unwrap();
    let error = now(node.create(&other, &s.first)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!(now(node.load(&other)).unwrap(), None);
    assert_eq!(now(node.load(&s.id)).unwrap().as_ref(), Some(&s.first));
    assert_eq!(node.len(), 1);
}

#[test]
fn w1_absence_and_errors_are_not_kept() {
    let s = Setting::new();
    let node = s.node();
    let id = SessionId::random().unwrap();
    assert_eq!(now(node.load(&id)).unwrap(), None);
    let created = record(&id, 7);
    let _ = now(s.store.create(&id, &created)).unwrap();
    assert_eq!(now(node.load(&id)).unwrap(), Some(created));
    s.load(&node);
    s.advance(1_000);
    s.store.fail(StoreErrorKind::Unavailable);
    let error = now(node.load(&s.id)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(s.load(&node).as_ref(), Some(&s.first));
}

#[test]
fn w1_what_a_local_sweep_removed_is_not_handed_out() {
    let s = Setting::new();
    let (node, filling) = (s.node().max_stale(Duration::MAX), s.node());
    s.load(&node);
    s.store.wait(true);
    let mut fill = filling.load(&s.id);
    assert!(poll(&mut fill).is_pending());
    assert!(poll(&mut fill).is_pending());
    s.store.wait(false);
    let due = START.after(Duration::from_secs(60));
    let early = due.before(Duration::from_millis(1));
    assert_eq!(now(node.sweep(early, 10)).unwrap(), 0);
    assert_eq!(s.asked(&node), 0);
    assert_eq!(now(node.sweep(due, 10)).unwrap(), 1);
    assert_eq!(s.load(&node), None);
    // Swept through the node that is filling.
    let _ = now(s.store.create(&s.id, &s.first)).unwrap();
    assert_eq!(now(filling.sweep(due, 10)).unwrap(), 1);
    assert!(poll(&mut fill).is_ready());
    drop(fill);
    assert_eq!(s.load(&filling), None);
}

#[test]
fn two_reads_that_disagree_leave_nothing() {
    let s = Setting::new();
    let node = s.node();
    s.store.wait(true);
    let (mut early, mut late) = (node.load(&s.id), node.load(&s.id));
    assert!(poll(&mut early).is_pending() && poll(&mut early).is_pending());
    let second = next(&s.first, 2);
    let answer = now(s.store.memory.update(&s.id, &second, s.first.version));
    assert_eq!(answer.unwrap(), Written::Done);
    while poll(&mut late).is_pending() {}
    assert!(poll(&mut early).is_ready());
    drop((early, late));
    s.store.wait(false);
    assert_eq!(s.load(&node), Some(second));
    assert_eq!(s.store.loads(), 3);
}

#[test]
fn a_clock_that_was_set_back_makes_entries_old_and_not_young() {
    let s = Setting::new();
    let node = s.node();
    s.load(&node);
    s.hands.step_back(Duration::from_secs(3_600));
    assert_eq!(s.asked(&node), 1);
}

#[test]
fn the_bounds_hold_and_what_came_first_goes_first() {
    let s = Setting::new();
    let node = s.node().sessions_max(160);
    let ids: Vec<_> = (0..2_000).map(|_| SessionId::random().unwrap()).collect();
    for id in &ids {
        let _ = now(node.create(id, &record(id, 1))).unwrap();
        assert!(node.len() <= 160);
    }
    assert_eq!(node.len(), 160);
    let before = s.store.loads();
    now(node.load(&ids[1_999])).unwrap();
    assert_eq!(s.store.loads(), before);
    now(node.load(&ids[0])).unwrap();
    assert_eq!(s.store.loads(), before + 1);

    let node = s.node().bytes_max(16 * 4_096);
    for id in &ids {
        now(node.load(id)).unwrap();
        assert!(node.bytes() <= 16 * 4_096);
    }
    assert!((16..200).contains(&node.len()), "{}", node.len());
    let none = s.node().sessions_max(0);
    now(none.load(&ids[0])).unwrap();
    assert!(none.is_empty() && none.bytes() == 0);
}

#[test]
fn a_cache_that_is_used_less_becomes_smaller() {
    let s = Setting::new();
    let node = s.node();
    // The same ids each time: chance would now and then leave a shard with little use.
    let id = |n: u32| {
        let hash = blake3::hash(&n.to_be_bytes());
        SessionId::from_bytes(*hash.as_bytes().first_chunk().unwrap())
    };
    let ids: Vec<_> = (0..1_000).map(id).collect();
    for id in &ids {
        let _ = now(node.create(id, &record(id, 1))).unwrap();
    }
    assert_eq!(node.len(), 1_000);
    s.advance(1_000);
    for id in &ids[..400] {
        now(node.load(id)).unwrap();
    }
    assert!(node.len() <= 410, "{}", node.len());
}

/// A node that has seen the session as a visitor's, and signs its user out of it.
#[test]
fn o1_a_session_that_was_read_before_its_login_is_ended_as_its_owners() {
    let s = Setting::new();
    let node = s.node();
    s.load(&node);
    let ada = crate::Owner::new("ada").unwrap();
    let mut signed_in = next(&s.first, 2);
    signed_in.owner = Some(ada.clone());
    let written = now(s.store.update(&s.id, &signed_in, s.first.version)).unwrap();
    assert_eq!(written, Written::Done);
    assert_eq!(s.load(&node).unwrap().owner, None, "within max_stale");
    let config = crate::SessionConfig::builder().clock(Clock::manual(&s.hands));
    let manager = crate::SessionManager::new(node, config.build().unwrap());
    let bob = crate::Owner::new("bob").unwrap();
    assert!(!now(Box::pin(manager.revoke_of(&bob, &s.id))).unwrap());
    assert!(now(Box::pin(manager.revoke_of(&ada, &s.id))).unwrap());
    assert_eq!(now(s.store.load(&s.id)).unwrap(), None);
}
