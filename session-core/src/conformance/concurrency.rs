//! Writers that meet, and writers that leave halfway.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};

use super::Harness;
use super::samples::{self, changed, next_of};
use super::steps::{
    delete, dropped_after, expect_absent, expect_kept, load, owned_by, stored, touch, update,
};
use crate::id::SessionId;
use crate::record::{Generation, Record};
use crate::store::{Created, Only, Store, Touch, Written};

type Shared = Arc<dyn Store>;

/// Of any number of creates of one id at once exactly one is done, and its record is there.
pub async fn of_creates_at_once_exactly_one_wins(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    one_create_wins(&[store]).await;
}

/// Of creates of one id through two openings exactly one is done.
pub async fn of_creates_through_two_openings_exactly_one_wins(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    one_create_wins(&[store, harness.reopen().await]).await;
}

async fn one_create_wins(openings: &[Shared]) {
    for _ in 0..20 {
        let id = samples::id();
        let mut creates = JoinSet::new();
        for store in openings.iter().cycle().take(12).map(Arc::clone) {
            creates.spawn(async move {
                let record = samples::record();
                let created = store.create(&id, &record).await.expect("create failed");
                (created == Created::Done).then_some(record)
            });
        }
        let winners: Vec<_> = creates.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "creates that were done");
        expect_kept(&*openings[0], &id, &winners[0], "after creates at once").await;
    }
}

/// Of any number of updates from one version exactly one is done, and its record is there.
pub async fn of_updates_from_one_version_exactly_one_wins(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    one_update_wins(&[store]).await;
}

/// Of updates from one version through two openings exactly one is done.
pub async fn of_updates_through_two_openings_exactly_one_wins(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    one_update_wins(&[store, harness.reopen().await]).await;
}

async fn one_update_wins(openings: &[Shared]) {
    let mut now = samples::record();
    let id = stored(&*openings[0], &now).await;
    for _ in 0..20 {
        let mut updates = JoinSet::new();
        for (writer, store) in openings.iter().cycle().take(12).enumerate() {
            let (store, seen) = (Arc::clone(store), now.clone());
            updates.spawn(async move {
                let next = changed(&seen, &format!("{{\"writer\":{writer}}}"));
                let written = update(&*store, &id, &next, seen.version).await;
                (written == Written::Done).then_some(next)
            });
        }
        let mut winners: Vec<_> = updates.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "updates that were done");
        now = winners.remove(0);
        expect_kept(&*openings[0], &id, &now, "after updates at once").await;
    }
}

/// 64 tasks that each add one a hundred times count to exactly 6,400, and no two of them
/// write the same number.
pub async fn sixty_four_tasks_count_to_6400(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    count_together(&[store], 64, 100).await;
}

/// Two openings of one backend lose no increment to each other.
pub async fn two_openings_count_together(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    count_together(&[store, harness.reopen().await], 16, 25).await;
}

async fn count_together(openings: &[Shared], tasks: usize, each: usize) {
    let start = changed(&samples::record(), "{\"count\":0}");
    let id = stored(&*openings[0], &start).await;
    let mut counting = JoinSet::new();
    for store in openings.iter().cycle().take(tasks).map(Arc::clone) {
        counting.spawn(async move { count(&*store, &id, each).await });
    }
    let written: Vec<u64> = counting.join_all().await.concat();
    let distinct: BTreeSet<_> = written.iter().copied().collect();
    let total = (tasks * each) as u64;
    assert_eq!(distinct, (1..=total).collect(), "numbers that were written");
    for store in openings {
        let last = load(&**store, &id).await.expect("nobody deletes it");
        assert_eq!(counted(&last), total);
        assert_eq!(last.version.counter(), start.version.counter() + total);
    }
}

/// Adds one `times` times, each time from what is stored; the numbers it wrote.
async fn count(store: &dyn Store, id: &SessionId, times: usize) -> Vec<u64> {
    let mut written = Vec::new();
    // Soon so long that most of the others are not in each other's way.
    let mut wait = WAIT_MIN;
    let mut refused = None;
    for _ in 0..ATTEMPTS_MAX {
        if written.len() == times {
            return written;
        }
        let seen = load(store, id).await.expect("nobody deletes it");
        assert_ne!(
            Some(seen.version),
            refused,
            "a version that was refused is loaded again"
        );
        // Lets others see the same.
        yield_now().await;
        let count = counted(&seen) + 1;
        let next = changed(&seen, &format!("{{\"count\":{count}}}"));
        match update(store, id, &next, seen.version).await {
            Written::Done => {
                written.push(count);
                wait = WAIT_MIN.max(wait / 2);
            }
            Written::Conflict => {
                refused = Some(seen.version);
                wait = WAIT_MAX.min(wait * 2);
                let jitter = (next.version.nonce() >> 32) % (1_000 * wait);
                tokio::time::sleep(Duration::from_micros(jitter)).await;
            }
            Written::Gone => panic!("the record is gone and nobody deletes it"),
        }
    }
    panic!(
        "{} of {times} increments after {ATTEMPTS_MAX} attempts",
        written.len()
    );
}

/// Each of 64 writers needs some 250 where they all meet.
const ATTEMPTS_MAX: usize = 5_000;
/// A writer that met another waits for a random part of a span, in milliseconds: twice the one
/// before, and half of it after a write.
const WAIT_MIN: u64 = 1;
const WAIT_MAX: u64 = 128;

fn counted(record: &Record) -> u64 {
    let count = record.data.raw("count").and_then(|raw| raw.parse().ok());
    count.expect("the record counts")
}

/// A touch and an update at once: the access is the later one and the data the update's.
pub async fn a_touch_beside_an_update_loses_neither(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut now = samples::record();
    let id = stored(&*store, &now).await;
    for _ in 0..40 {
        let accessed_at = now.accessed_at.after(Duration::from_secs(1));
        let generation = now.generation;
        let mut touches = JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(&store);
            touches.spawn(async move { touch(&*store, &id, generation, accessed_at).await });
        }
        yield_now().await;
        let next = changed(&now, "{\"updated\":true}");
        // A touch leaves the version, so it can make no update conflict.
        assert_eq!(
            update(&*store, &id, &next, now.version).await,
            Written::Done
        );
        assert_eq!(touches.join_all().await, [Written::Done; 4]);
        now = Record {
            accessed_at,
            ..next
        };
        expect_kept(&*store, &id, &now, "after a touch and an update at once").await;
    }
}

/// A delete is final, however many updates and touches run beside it.
pub async fn a_delete_beside_writers_is_final(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for _ in 0..20 {
        let record = samples::record();
        let id = stored(&*store, &record).await;
        let mut writers = JoinSet::new();
        for writer in 0..6 {
            let store = Arc::clone(&store);
            writers.spawn(async move { write_until_gone(&*store, &id, writer % 3 == 0).await });
        }
        for _ in 0..4 {
            yield_now().await;
        }
        assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
        expect_absent(&*store, &id, "right after its deletion").await;
        writers.join_all().await;
        expect_absent(&*store, &id, "after the last writer").await;
        assert!(!owned_by(&*store, "user-17").await.contains(&id));
    }
}

async fn write_until_gone(store: &dyn Store, id: &SessionId, touching: bool) {
    for _ in 0..10_000 {
        let Some(seen) = load(store, id).await else {
            return;
        };
        yield_now().await;
        let written = if touching {
            let later = seen.accessed_at.after(Duration::from_millis(1));
            touch(store, id, seen.generation, later).await
        } else {
            update(store, id, &next_of(&seen), seen.version).await
        };
        if written == Written::Gone {
            return;
        }
    }
    panic!("the record was not gone after 10,000 writes");
}

/// Of deletes at once exactly one is done; the others find nothing.
pub async fn of_deletes_at_once_exactly_one_wins(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for _ in 0..20 {
        let id = stored(&*store, &samples::record()).await;
        let mut deletes = JoinSet::new();
        for _ in 0..8 {
            let store = Arc::clone(&store);
            deletes.spawn(async move { delete(&*store, &id, Only::Any).await });
        }
        let answers = deletes.join_all().await;
        let count = |answer| answers.iter().filter(|given| **given == answer).count();
        assert_eq!((count(Written::Done), count(Written::Gone)), (1, 7));
        expect_absent(&*store, &id, "after deletes at once").await;
    }
}

/// What a request under an old secret writes after a renewal has been acknowledged is refused.
pub async fn nothing_of_an_old_generation_is_done_after_a_renewal(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for _ in 0..20 {
        let record = samples::record();
        let id = stored(&*store, &record).await;
        let old = record.generation;
        let renewed = Record {
            generation: Generation(old.0 + 1),
            ..next_of(&record)
        };
        assert_eq!(
            update(&*store, &id, &renewed, record.version).await,
            Written::Done
        );
        let mut late = JoinSet::new();
        for writer in 0..9 {
            let (store, next, version) = (Arc::clone(&store), next_of(&record), record.version);
            late.spawn(async move {
                match writer % 3 {
                    0 => {
                        touch(
                            &*store,
                            &id,
                            old,
                            samples::now().after(Duration::from_secs(60)),
                        )
                        .await
                    }
                    1 => delete(&*store, &id, Only::Generation(old)).await,
                    _ => update(&*store, &id, &next, version).await,
                }
            });
        }
        for written in late.join_all().await {
            assert_eq!(written, Written::Conflict);
        }
        expect_kept(&*store, &id, &renewed, "after late writers").await;
    }
}

/// While a session changes hands, whoever finds a record bound to an owner finds it in the
/// owner's list.
pub async fn the_owner_index_never_misses_a_session_that_changes_hands(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut now = samples::owned_record("owner-0");
    let id = stored(&*store, &now).await;
    // A set, because it ends what it spawned when this property fails.
    let mut looking = JoinSet::new();
    looking.spawn(look_for_owner(Arc::clone(&store), id));
    for turn in 1..150 {
        let owner = samples::owner(&format!("owner-{}", turn % 2));
        let next = Record {
            owner: Some(owner),
            ..next_of(&now)
        };
        assert_eq!(
            update(&*store, &id, &next, now.version).await,
            Written::Done
        );
        now = next;
        yield_now().await;
    }
    assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    expect_absent(&*store, &id, "after its deletion").await;
    looking.join_all().await;
}

async fn look_for_owner(store: Shared, id: SessionId) {
    while let Some(before) = load(&*store, &id).await {
        let owner = before.owner.expect("it always has an owner");
        let listed = owned_by(&*store, owner.as_str()).await;
        let after = load(&*store, &id).await;
        // If the version is the same, the owner was the same all the while.
        if after.is_some_and(|after| after.version == before.version) {
            assert!(listed.contains(&id), "{owner} does not list its session");
        }
        yield_now().await;
    }
}

/// A create whose caller went away has stored the whole record or nothing.
pub async fn a_dropped_create_has_happened_wholly_or_not_at_all(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for waits in WAITS {
        let (id, record) = (samples::id(), samples::record());
        dropped_after(waits, store.create(&id, &record)).await;
        if load(&*store, &id).await.is_some() {
            expect_kept(&*store, &id, &record, "after a dropped create").await;
            assert!(owned_by(&*store, "user-17").await.contains(&id));
        } else if store.create(&id, &record).await.is_ok() {
            // Either the dropped one had gone on, or this one has stored it.
            expect_kept(&*store, &id, &record, "created again").await;
        }
    }
}

/// An update whose caller went away has replaced the whole record or nothing, and the next
/// writer gets through.
pub async fn a_dropped_update_has_happened_wholly_or_not_at_all(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for waits in WAITS {
        let old = samples::owned_record("ada");
        let id = stored(&*store, &old).await;
        let new = Record {
            owner: Some(samples::owner("bob")),
            ..changed(&old, "{\"dropped\":true}")
        };
        dropped_after(waits, store.update(&id, &new, old.version)).await;
        let found = load(&*store, &id).await.expect("nobody deletes it");
        let whole = if found.version == old.version {
            &old
        } else {
            &new
        };
        assert_eq!(&found, whole, "after a dropped update");
        // It may go on for a while, but it is done once and not again over a later write.
        let last = write_last(&*store, &id).await;
        for _ in 0..3 {
            expect_kept(&*store, &id, &last, "after the next writer").await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(owned_by(&*store, "carol").await.contains(&id));
    }
}

async fn write_last(store: &dyn Store, id: &SessionId) -> Record {
    for _ in 0..100 {
        let seen = load(store, id).await.expect("nobody deletes it");
        let last = Record {
            owner: Some(samples::owner("carol")),
            ..changed(&seen, "{\"last\":true}")
        };
        if update(store, id, &last, seen.version).await == Written::Done {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("after a dropped update no writer gets through");
}

/// A touch whose caller went away has moved the access or nothing.
pub async fn a_dropped_touch_has_happened_wholly_or_not_at_all(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for waits in WAITS {
        let record = samples::record();
        let id = stored(&*store, &record).await;
        let touch = Touch {
            generation: record.generation,
            accessed_at: record.accessed_at.after(Duration::from_secs(1)),
        };
        dropped_after(waits, store.touch(&id, &touch)).await;
        let found = load(&*store, &id).await.expect("nobody deletes it");
        let touched = Record {
            accessed_at: touch.accessed_at,
            ..record.clone()
        };
        assert!(found == record || found == touched, "after a dropped touch");
        let written = store.touch(&id, &touch).await.expect("touch failed");
        assert_eq!(written, Written::Done);
        expect_kept(&*store, &id, &touched, "touched again").await;
    }
}

/// A delete whose caller went away has removed the record and its index entry, or nothing that
/// a second delete does not remove.
pub async fn a_dropped_delete_has_happened_wholly_or_not_at_all(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for waits in WAITS {
        let record = samples::owned_record("ada");
        let id = stored(&*store, &record).await;
        dropped_after(waits, store.delete(&id, Only::Any)).await;
        if let Some(found) = load(&*store, &id).await {
            assert_eq!(found, record, "after a dropped delete");
        }
        let _ = delete(&*store, &id, Only::Any).await;
        // Nobody creates it anew: what was dropped may go on for a while, and would end that too.
        expect_absent(&*store, &id, "deleted again").await;
        assert!(!owned_by(&*store, "ada").await.contains(&id));
    }
}

/// After so many waits the suite drops a future; 0 is before it began.
const WAITS: std::ops::Range<usize> = 0..8;
