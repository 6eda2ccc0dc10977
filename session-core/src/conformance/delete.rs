//! [`Store::delete`](crate::Store::delete): ends a record for good.

use std::time::Duration;

use super::samples::{self, next_of};
use super::steps::{delete, expect_absent, expect_kept, owned_by, stored, touch, update};
use super::{Harness, Planted};
use crate::error::StoreErrorKind;
use crate::record::Generation;
use crate::store::{Only, Written};

/// A deleted record is gone, and deleting it once more says so.
pub async fn a_deleted_record_is_gone(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for (odd, record) in samples::odd_records() {
        let id = stored(&*store, &record).await;
        let only = Only::Generation(record.generation);
        assert_eq!(delete(&*store, &id, only).await, Written::Done, "{odd}");
        expect_absent(&*store, &id, odd).await;
        for again in [only, Only::Any] {
            assert_eq!(delete(&*store, &id, again).await, Written::Gone, "{odd}");
        }
    }
}

/// A delete of a record that was never there is `Gone`.
pub async fn a_delete_of_nothing_is_gone(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for only in [Only::Any, Only::Generation(Generation::FIRST)] {
        assert_eq!(delete(&*store, &samples::id(), only).await, Written::Gone);
    }
}

/// A delete of another generation, older or newer, is refused and removes nothing.
pub async fn a_delete_of_another_generation_is_refused(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    let Generation(current) = record.generation;
    for other in [current - 1, current + 1, current ^ (1 << 31), 0, u32::MAX] {
        let written = delete(&*store, &id, Only::Generation(Generation(other))).await;
        assert_eq!(written, Written::Conflict, "generation {other}");
        expect_kept(&*store, &id, &record, "after a refused delete").await;
        assert!(owned_by(&*store, "user-17").await.contains(&id));
    }
}

/// `Only::Any` removes a record of any generation, expired ones too.
pub async fn an_administrator_deletes_any_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let expired = samples::expiring_at(samples::now().before(Duration::from_secs(1)));
    for record in [samples::plain_record(), samples::record(), expired] {
        let id = stored(&*store, &record).await;
        assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
        expect_absent(&*store, &id, "after its deletion").await;
    }
}

/// A deleted record leaves the list of its owner, and the owner's others stay in it.
pub async fn a_deleted_record_leaves_the_owner_index(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::owned_record("ada");
    let (first, second) = (
        stored(&*store, &record).await,
        stored(&*store, &record).await,
    );
    assert_eq!(delete(&*store, &first, Only::Any).await, Written::Done);
    let listed = owned_by(&*store, "ada").await;
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), [second]);
}

/// Deleting one record leaves all others.
pub async fn a_delete_leaves_the_neighbours(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let record = samples::record();
        kept.push((stored(&*store, &record).await, record));
    }
    for (id, _) in kept.split_off(10) {
        assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    }
    for (id, record) in &kept {
        expect_kept(&*store, id, record, "beside deleted records").await;
    }
}

/// No operation but `create` brings a deleted record back.
pub async fn nothing_brings_a_deleted_record_back(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    let later = record.accessed_at.after(Duration::from_secs(1));
    for _ in 0..2 {
        let written = update(&*store, &id, &next_of(&record), record.version).await;
        assert_eq!(written, Written::Gone);
        let written = touch(&*store, &id, record.generation, later).await;
        assert_eq!(written, Written::Gone);
        assert_eq!(delete(&*store, &id, Only::Any).await, Written::Gone);
        expect_absent(&*store, &id, "after its deletion").await;
    }
}

/// `Only::Any` removes what cannot be read.
pub async fn an_unreadable_record_can_be_deleted(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for what in Planted::ALL {
        let id = samples::id();
        harness.plant(&id, what).await;
        assert_eq!(
            delete(&*store, &id, Only::Any).await,
            Written::Done,
            "{what:?}"
        );
        expect_absent(&*store, &id, "after its deletion").await;
    }
}

/// What one opening of the backend deleted is gone for another.
pub async fn a_delete_is_seen_by_a_second_opening(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let second = harness.reopen().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    expect_kept(&*second, &id, &record, "before its deletion").await;
    assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    expect_absent(&*second, &id, "after its deletion").await;
    let written = update(&*second, &id, &next_of(&record), record.version).await;
    assert_eq!(written, Written::Gone);
    expect_absent(&*store, &id, "after a late update").await;
}

/// An outage is an error and not a session that has ended.
pub async fn an_outage_is_never_a_deleted_session(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    harness.break_backend().await;
    for only in [Only::Any, Only::Generation(record.generation)] {
        let error = store
            .delete(&id, only)
            .await
            .expect_err("an outage was answered");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
}
