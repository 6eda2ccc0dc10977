//! [`Store::touch`](crate::Store::touch): a sign of life, and nothing else.

use std::time::Duration;

use super::samples::{self, next_of};
use super::steps::{
    delete, expect_absent, expect_kept, owned_by, stored, sweep_all, touch, update,
};
use super::{Harness, Planted};
use crate::error::StoreErrorKind;
use crate::expiry::Expiry;
use crate::record::{Generation, Record};
use crate::store::{Only, Touch, Written};

const SECOND: Duration = Duration::from_secs(1);

/// A touch moves `accessed_at` and leaves version, data and all else.
pub async fn a_touch_moves_the_access_and_leaves_the_rest(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for (odd, record) in samples::odd_records() {
        let id = stored(&*store, &record).await;
        let accessed_at = record.accessed_at.after(Duration::from_millis(1_001));
        let written = touch(&*store, &id, record.generation, accessed_at).await;
        assert_eq!(written, Written::Done, "{odd}");
        let touched = Record {
            accessed_at,
            ..record
        };
        expect_kept(&*store, &id, &touched, odd).await;
    }
}

/// A touch from before the last access is done and moves nothing back.
pub async fn a_touch_never_moves_the_access_back(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    for earlier in [Duration::ZERO, Duration::from_millis(1), 3_600 * SECOND] {
        let at = record.accessed_at.before(earlier);
        let written = touch(&*store, &id, record.generation, at).await;
        assert_eq!(written, Written::Done);
        expect_kept(&*store, &id, &record, "after a touch from the past").await;
    }
}

/// A touch of another generation, older or newer, is refused and moves nothing.
pub async fn a_touch_of_another_generation_is_refused(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    let later = record.accessed_at.after(SECOND);
    let Generation(current) = record.generation;
    for other in [current - 1, current + 1, current ^ (1 << 31), 0, u32::MAX] {
        let written = touch(&*store, &id, Generation(other), later).await;
        assert_eq!(written, Written::Conflict, "generation {other}");
        expect_kept(&*store, &id, &record, "after a refused touch").await;
    }
}

/// A touch of a record that is not there, or no longer, is `Gone` and creates nothing.
pub async fn a_touch_creates_nothing(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let deleted = stored(&*store, &record).await;
    assert_eq!(delete(&*store, &deleted, Only::Any).await, Written::Done);
    for id in [samples::id(), deleted] {
        let later = record.accessed_at.after(SECOND);
        let written = touch(&*store, &id, record.generation, later).await;
        assert_eq!(written, Written::Gone);
        expect_absent(&*store, &id, "after a touch of nothing").await;
    }
}

/// A touched record's expiry is its access plus its own stored time-out, to the millisecond.
pub async fn a_touched_record_expires_by_its_stored_time_out(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for timeout in [90 * SECOND, 7_200 * SECOND, 40_000_000 * SECOND] {
        let record = Record {
            expiry: Expiry::new(Some(timeout), None),
            ..samples::plain_record()
        };
        let id = stored(&*store, &record).await;
        let accessed_at = record.accessed_at.after(45 * SECOND);
        let _ = touch(&*store, &id, record.generation, accessed_at).await;
        let touched = Record {
            accessed_at,
            ..record
        };
        let end = accessed_at.after(timeout);
        sweep_all(&*store, end.before(Duration::from_millis(1))).await;
        expect_kept(&*store, &id, &touched, "a millisecond before it expires").await;
        sweep_all(&*store, end).await;
        expect_absent(&*store, &id, "swept as it expires").await;
    }
}

/// However often it is touched, a record expires at its stored end.
pub async fn a_touched_record_still_expires_at_its_end(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let end = samples::now().after(100 * SECOND);
    let record = Record {
        expiry: Expiry::new(Some(60 * SECOND), Some(end)),
        ..samples::plain_record()
    };
    let id = stored(&*store, &record).await;
    let accessed_at = end.before(SECOND);
    let _ = touch(&*store, &id, record.generation, accessed_at).await;
    let touched = Record {
        accessed_at,
        ..record
    };
    sweep_all(&*store, end.before(Duration::from_millis(1))).await;
    expect_kept(&*store, &id, &touched, "before its end").await;
    sweep_all(&*store, end).await;
    expect_absent(&*store, &id, "swept at its end").await;
}

/// A touch by someone who loaded the record before its life was lengthened cannot shorten it.
pub async fn a_touch_uses_the_limits_that_are_stored_now(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = Record {
        expiry: Expiry::new(Some(60 * SECOND), None),
        ..samples::plain_record()
    };
    let id = stored(&*store, &record).await;
    let longer = Record {
        expiry: Expiry::new(Some(6_000 * SECOND), None),
        own_timeout: Some(6_000 * SECOND),
        ..next_of(&record)
    };
    assert_eq!(
        update(&*store, &id, &longer, record.version).await,
        Written::Done
    );
    let accessed_at = record.accessed_at.after(30 * SECOND);
    let _ = touch(&*store, &id, record.generation, accessed_at).await;
    let touched = Record {
        accessed_at,
        ..longer
    };
    expect_kept(&*store, &id, &touched, "after the touch").await;
    sweep_all(&*store, accessed_at.after(5_999 * SECOND)).await;
    expect_kept(&*store, &id, &touched, "past the old time-out").await;
}

/// A record that never expires still never expires when it was touched.
pub async fn a_touch_gives_no_expiry(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::never_expiring();
    let id = stored(&*store, &record).await;
    let accessed_at = record.accessed_at.after(SECOND);
    let _ = touch(&*store, &id, record.generation, accessed_at).await;
    sweep_all(&*store, accessed_at.after(500_000_000 * SECOND)).await;
    let touched = Record {
        accessed_at,
        ..record
    };
    expect_kept(&*store, &id, &touched, "years later").await;
}

/// An expired record is touched like any other: the store does not judge.
pub async fn an_expired_record_is_still_touched(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let expired = samples::expiring_at(samples::now().before(SECOND));
    let id = stored(&*store, &expired).await;
    let accessed_at = samples::now();
    let written = touch(&*store, &id, expired.generation, accessed_at).await;
    assert_eq!(written, Written::Done);
    let touched = Record {
        accessed_at,
        ..expired
    };
    expect_kept(&*store, &id, &touched, "after the touch").await;
}

/// A touched record and its entry in the owner index outlive the expiry it had before.
pub async fn the_owner_index_lives_as_long_as_a_touched_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = Record {
        expiry: Expiry::new(Some(2 * SECOND), None),
        ..samples::owned_record("ada")
    };
    let id = stored(&*store, &record).await;
    harness.let_pass(SECOND).await;
    let accessed_at = record.accessed_at.after(SECOND);
    let written = touch(&*store, &id, record.generation, accessed_at).await;
    assert_eq!(written, Written::Done);
    harness.let_pass(Duration::from_millis(1_500)).await;
    sweep_all(&*store, record.accessed_at.after(2 * SECOND)).await;
    let touched = Record {
        accessed_at,
        ..record
    };
    expect_kept(&*store, &id, &touched, "past its first expiry").await;
    assert!(owned_by(&*store, "ada").await.contains(&id));
}

/// A touch does not replace what it cannot read, and does not say that it did.
pub async fn an_unreadable_record_is_not_touched(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for what in Planted::ALL {
        let id = samples::id();
        harness.plant(&id, what).await;
        let touch = Touch {
            generation: Generation::FIRST,
            accessed_at: samples::now(),
        };
        if let Ok(written) = store.touch(&id, &touch).await {
            assert_eq!(written, Written::Conflict, "{what:?}");
        }
        assert!(store.load(&id).await.is_err(), "{what:?} was replaced");
    }
}

/// An outage is an error and not a sign of life.
pub async fn an_outage_is_never_a_stored_touch(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    harness.break_backend().await;
    let touch = Touch {
        generation: record.generation,
        accessed_at: record.accessed_at.after(SECOND),
    };
    let error = store
        .touch(&id, &touch)
        .await
        .expect_err("an outage was answered");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
