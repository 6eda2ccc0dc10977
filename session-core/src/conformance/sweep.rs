//! [`Store::sweep`](crate::Store::sweep): removes what has expired, and only that.
//!
//! The stores' clocks play no part: the records of these properties expire in an hour, and the
//! sweep is told that it is later than that. Only [`an_expired_record_is_removed`] and
//! [`a_sweep_goes_past_unreadable_records`] also let the time pass.

use std::sync::Arc;
use std::time::Duration;

use super::samples::{self, expiring_at, never_expiring, next_of};
use super::steps::{
    delete, expect_absent, expect_kept, load, owned_by, scan, stored, sweep, sweep_all, touch,
    update,
};
use super::{Harness, Planted};
use crate::clock::Timestamp;
use crate::error::StoreErrorKind;
use crate::expiry::Expiry;
use crate::record::Record;
use crate::store::{Only, Written};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn in_an_hour() -> Timestamp {
    samples::now().after(HOUR)
}

/// An expired record is gone after its time and a sweep, whether the store or its backend
/// removes it.
pub async fn an_expired_record_is_removed(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = samples::now().after(2 * SECOND);
    let id = stored(&*store, &expiring_at(end)).await;
    let kept = samples::record();
    let kept_id = stored(&*store, &kept).await;
    harness
        .let_pass(3 * SECOND + harness.expires_late_by())
        .await;
    sweep_all(&*store, end).await;
    expect_absent(&*store, &id, "after its time").await;
    expect_kept(&*store, &kept_id, &kept, "before its time").await;
}

/// What expires at the given moment is removed; what expires a millisecond later stays.
pub async fn a_sweep_removes_to_the_millisecond(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let (before, at) = (expiring_at(end.before(MS)), expiring_at(end));
    let (before, at) = (stored(&*store, &before).await, stored(&*store, &at).await);
    let later = expiring_at(end.after(MS));
    let later_id = stored(&*store, &later).await;
    assert_eq!(sweep_all(&*store, end).await, 2);
    expect_absent(&*store, &before, "expired a millisecond before").await;
    expect_absent(&*store, &at, "expired at the given moment").await;
    expect_kept(&*store, &later_id, &later, "expires a millisecond later").await;
    assert_eq!(sweep_all(&*store, end.after(MS)).await, 1);
    expect_absent(&*store, &later_id, "expired by now").await;
}

/// Records whose time has not come stay, and are not counted.
pub async fn a_sweep_keeps_what_has_not_expired(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut kept = Vec::new();
    for minutes in 1..20 {
        let record = expiring_at(samples::now().after(60 * minutes * SECOND));
        kept.push((stored(&*store, &record).await, record));
    }
    assert_eq!(sweep_all(&*store, samples::now()).await, 0);
    for (id, record) in &kept {
        expect_kept(&*store, id, record, "after a sweep").await;
    }
}

/// Records without an expiry stay, however late it is.
pub async fn a_sweep_keeps_what_never_expires(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let created = never_expiring();
    let id = stored(&*store, &created).await;
    let first = samples::plain_record();
    let later_id = stored(&*store, &first).await;
    let later = Record {
        expiry: Expiry::NEVER,
        ..next_of(&first)
    };
    assert_eq!(
        update(&*store, &later_id, &later, first.version).await,
        Written::Done
    );
    for at in [
        in_an_hour().after(HOUR),
        Timestamp::from_unix_ms(99_999_999_999_999),
    ] {
        assert_eq!(sweep_all(&*store, at).await, 0);
        expect_kept(&*store, &id, &created, "created without an expiry").await;
        expect_kept(&*store, &later_id, &later, "updated to have none").await;
    }
}

/// A sweep of an empty store removes nothing.
pub async fn a_sweep_of_an_empty_store_removes_nothing(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    assert_eq!(sweep(&*store, in_an_hour(), 100).await, 0);
}

/// The answer is the number of records removed.
pub async fn a_sweep_counts_what_it_removes(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    for _ in 0..12 {
        stored(&*store, &expiring_at(end)).await;
        stored(&*store, &expiring_at(end.after(HOUR))).await;
        let deleted = stored(&*store, &expiring_at(end)).await;
        assert_eq!(delete(&*store, &deleted, Only::Any).await, Written::Done);
    }
    assert_eq!(sweep(&*store, end, 100).await, 12);
    assert_eq!(scan(&*store, 100).await.len(), 12);
    assert_eq!(sweep(&*store, end, 100).await, 0);
}

/// At most `limit` records are removed, and fewer only when nothing more was due.
pub async fn a_sweep_stops_at_its_limit(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    for _ in 0..10 {
        stored(&*store, &expiring_at(end)).await;
    }
    let kept = samples::never_expiring();
    let id = stored(&*store, &kept).await;
    for left in [7, 4, 1] {
        assert_eq!(sweep(&*store, end, 3).await, 3);
        assert_eq!(scan(&*store, 100).await.len(), left + 1);
    }
    assert_eq!(sweep(&*store, end, 3).await, 1);
    assert_eq!(sweep(&*store, end, 3).await, 0);
    expect_kept(&*store, &id, &kept, "after all sweeps").await;
}

/// A record that was touched since stays until its new expiry, and goes then.
pub async fn a_sweep_keeps_what_was_touched(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let record = expiring_at(end);
    let id = stored(&*store, &record).await;
    let accessed_at = record.accessed_at.after(SECOND);
    let written = touch(&*store, &id, record.generation, accessed_at).await;
    assert_eq!(written, Written::Done);
    let touched = Record {
        accessed_at,
        ..record
    };
    for before in [end, end.after(SECOND).before(MS)] {
        assert_eq!(sweep_all(&*store, before).await, 0);
        expect_kept(&*store, &id, &touched, "before its new expiry").await;
    }
    sweep_all(&*store, end.after(SECOND)).await;
    expect_absent(&*store, &id, "at its new expiry").await;
}

/// A record whose life was lengthened by an update stays until its new expiry.
pub async fn a_sweep_keeps_what_was_lengthened(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let record = expiring_at(end);
    let id = stored(&*store, &record).await;
    let longer = Record {
        expiry: Expiry::new(Some(2 * HOUR), None),
        ..next_of(&record)
    };
    assert_eq!(
        update(&*store, &id, &longer, record.version).await,
        Written::Done
    );
    assert_eq!(sweep_all(&*store, end.after(HOUR).before(MS)).await, 0);
    expect_kept(&*store, &id, &longer, "past its old expiry").await;
    sweep_all(&*store, end.after(HOUR)).await;
    expect_absent(&*store, &id, "at its new expiry").await;
}

/// A record whose life was shortened by an update goes at its new expiry.
pub async fn a_sweep_removes_what_was_shortened(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for first in [expiring_at(in_an_hour()), never_expiring()] {
        let id = stored(&*store, &first).await;
        let shorter = Record {
            expiry: Expiry::new(Some(60 * SECOND), None),
            accessed_at: samples::now(),
            ..next_of(&first)
        };
        assert_eq!(
            update(&*store, &id, &shorter, first.version).await,
            Written::Done
        );
        let end = shorter.accessed_at.after(60 * SECOND);
        assert_eq!(sweep_all(&*store, end.before(MS)).await, 0);
        assert_eq!(sweep_all(&*store, end).await, 1);
        expect_absent(&*store, &id, "at its new expiry").await;
    }
}

/// An update that keeps a touch's time of access keeps the expiry that follows from it.
pub async fn a_sweep_keeps_what_was_touched_and_then_updated(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let record = expiring_at(end);
    let id = stored(&*store, &record).await;
    let accessed_at = record.accessed_at.after(60 * SECOND);
    let _ = touch(&*store, &id, record.generation, accessed_at).await;
    let next = next_of(&record);
    assert_eq!(
        update(&*store, &id, &next, record.version).await,
        Written::Done
    );
    assert_eq!(
        sweep_all(&*store, end.after(60 * SECOND).before(MS)).await,
        0
    );
    let kept = Record {
        accessed_at,
        ..next
    };
    expect_kept(&*store, &id, &kept, "before the expiry the touch gave it").await;
}

/// A removed record leaves the list of its owner; the owner's others stay in it.
pub async fn a_swept_record_leaves_the_owner_index(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let expiring = Record {
        owner: Some(samples::owner("ada")),
        ..expiring_at(end)
    };
    stored(&*store, &expiring).await;
    let lasting = Record {
        expiry: Expiry::NEVER,
        ..expiring
    };
    let kept = stored(&*store, &lasting).await;
    assert_eq!(sweep_all(&*store, end).await, 1);
    let listed = owned_by(&*store, "ada").await;
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), [kept]);
}

/// A sweep that removes nothing leaves the owner index too.
pub async fn the_owner_index_outlives_a_sweep(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let ids = [
        stored(&*store, &samples::owned_record("ada")).await,
        stored(
            &*store,
            &Record {
                expiry: Expiry::NEVER,
                ..samples::owned_record("ada")
            },
        )
        .await,
    ];
    assert_eq!(sweep_all(&*store, samples::now()).await, 0);
    assert_eq!(owned_by(&*store, "ada").await, ids.into());
}

/// A removed record stays removed: late writers learn that it is gone.
pub async fn a_swept_record_is_not_brought_back(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = expiring_at(in_an_hour());
    let id = stored(&*store, &record).await;
    sweep_all(&*store, in_an_hour()).await;
    let written = update(&*store, &id, &next_of(&record), record.version).await;
    assert_eq!(written, Written::Gone);
    let written = touch(&*store, &id, record.generation, in_an_hour()).await;
    assert_eq!(written, Written::Gone);
    expect_absent(&*store, &id, "after late writes").await;
}

/// Sweeps at the same time remove what is due once, and nothing else.
pub async fn sweeps_at_once_do_no_harm(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let mut kept = Vec::new();
    for _ in 0..60 {
        stored(&*store, &expiring_at(end)).await;
        let record = expiring_at(end.after(MS));
        kept.push((stored(&*store, &record).await, record));
    }
    let sweeps: Vec<_> = (0..6)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { sweep(&*store, end, 20).await })
        })
        .collect();
    let mut removed = 0;
    for task in sweeps {
        removed += task.await.expect("a sweep beside others failed");
    }
    removed += sweep_all(&*store, end).await;
    assert_eq!(removed, 60, "each is counted by one sweep");
    for (id, record) in &kept {
        expect_kept(&*store, id, record, "after the sweeps").await;
    }
    assert_eq!(scan(&*store, 100).await.len(), kept.len());
}

/// Of a touch and a sweep at once either wins: what was touched in time is there.
pub async fn a_sweep_beside_touches_keeps_what_they_reached(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = in_an_hour();
    let mut touches = Vec::new();
    for _ in 0..40 {
        let record = expiring_at(end);
        let id = stored(&*store, &record).await;
        let store = Arc::clone(&store);
        touches.push(tokio::spawn(async move {
            let later = record.accessed_at.after(SECOND);
            (id, touch(&*store, &id, record.generation, later).await)
        }));
    }
    sweep_all(&*store, end).await;
    for task in touches {
        let (id, touched) = task.await.expect("a touch beside a sweep failed");
        let there = load(&*store, &id).await.is_some();
        assert_eq!(
            there,
            touched == Written::Done,
            "the touch answered {touched:?}"
        );
    }
}

/// What cannot be read does not stop the sweep of the others.
pub async fn a_sweep_goes_past_unreadable_records(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for _ in 0..3 {
        for what in Planted::ALL {
            harness.plant(&samples::id(), what).await;
        }
    }
    let end = samples::now().after(2 * SECOND);
    let id = stored(&*store, &expiring_at(end)).await;
    harness
        .let_pass(3 * SECOND + harness.expires_late_by())
        .await;
    sweep_all(&*store, end).await;
    expect_absent(&*store, &id, "beside unreadable records").await;
}

/// An outage is an error and not the end of the work.
pub async fn an_outage_is_never_a_finished_sweep(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    stored(&*store, &expiring_at(in_an_hour())).await;
    harness.break_backend().await;
    let swept = store.sweep(in_an_hour(), 100).await;
    let error = swept.expect_err("an outage was answered");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
