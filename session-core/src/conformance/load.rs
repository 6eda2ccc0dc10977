//! [`Store::load`](crate::Store::load): what is there, expired or not, and nothing else.

use std::time::Duration;

use super::samples;
use super::steps::{create, delete, expect_absent, expect_kept, stored, touch, update};
use super::{Harness, Planted};
use crate::error::StoreErrorKind;
use crate::store::{Only, Written};

/// An absent record is `None` and no error.
pub async fn an_absent_record_is_none(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    expect_absent(&*store, &samples::id(), "in an empty store").await;
    stored(&*store, &samples::record()).await;
    expect_absent(&*store, &samples::id(), "beside another record").await;
    for id in samples::odd_ids() {
        expect_absent(&*store, &id, "under an unusual id").await;
    }
}

/// An expired record is answered like any other: the store does not judge.
pub async fn an_expired_record_is_still_loaded(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let expired = samples::expiring_at(samples::now().before(Duration::from_secs(1)));
    let id = stored(&*store, &expired).await;
    expect_kept(&*store, &id, &expired, "a second after it expired").await;
}

/// Loading writes nothing, not even a time of access.
pub async fn loading_changes_nothing(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    for _ in 0..3 {
        expect_kept(&*store, &id, &record, "after loading").await;
    }
}

/// Ids are compared byte for byte by every operation.
pub async fn every_operation_compares_ids_byte_for_byte(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = samples::id();
    create(&*store, &id, &record).await;
    for twin in samples::case_twins(&id) {
        expect_absent(&*store, &twin, "the twin in letter case").await;
        let next = samples::next_of(&record);
        let written = update(&*store, &twin, &next, record.version).await;
        assert_eq!(written, Written::Gone, "updating the twin");
        let later = record.accessed_at.after(Duration::from_secs(1));
        let written = touch(&*store, &twin, record.generation, later).await;
        assert_eq!(written, Written::Gone, "touching the twin");
        let written = delete(&*store, &twin, Only::Any).await;
        assert_eq!(written, Written::Gone, "deleting the twin");
        expect_kept(&*store, &id, &record, "beside its twin").await;
    }
}

/// An undecodable record is `Corrupt`, one of a newer format `NewerFormat`; loading keeps both.
pub async fn an_unreadable_record_is_an_error_and_is_kept(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for (what, kind) in [
        (Planted::Undecodable, StoreErrorKind::Corrupt),
        (Planted::NewerFormat, StoreErrorKind::NewerFormat),
    ] {
        let id = samples::id();
        harness.plant(&id, what).await;
        for time in ["first", "second"] {
            let loaded = store.load(&id).await;
            let error = loaded.expect_err("an unreadable record was loaded");
            assert_eq!(error.kind(), kind, "{what:?}, {time} time");
        }
    }
}

/// An unreadable record does not hide the others.
pub async fn an_unreadable_record_harms_no_other(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    for what in Planted::ALL {
        harness.plant(&samples::id(), what).await;
    }
    expect_kept(&*store, &id, &record, "beside unreadable records").await;
    let next = samples::changed(&record, "{\"count\":2}");
    let written = update(&*store, &id, &next, record.version).await;
    assert_eq!(written, Written::Done);
    expect_kept(&*store, &id, &next, "beside unreadable records").await;
}

/// A backend that cannot be asked is an error and never `None`.
pub async fn an_outage_is_never_an_absent_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let id = stored(&*store, &samples::record()).await;
    harness.break_backend().await;
    for id in [id, samples::id()] {
        let error = store.load(&id).await.expect_err("an outage was answered");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
}

/// When the outage ends, the same store answers what was stored before it.
pub async fn after_an_outage_everything_is_there(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    harness.break_backend().await;
    assert!(store.load(&id).await.is_err(), "an outage was answered");
    harness.mend_backend().await;
    expect_kept(&*store, &id, &record, "after the outage").await;
    let next = samples::changed(&record, "{\"count\":2}");
    let written = update(&*store, &id, &next, record.version).await;
    assert_eq!(written, Written::Done);
    expect_kept(&*store, &id, &next, "after the outage").await;
}
