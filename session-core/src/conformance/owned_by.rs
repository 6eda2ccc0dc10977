//! [`Store::owned_by`](crate::Store::owned_by): every session of an owner, none missing.

use std::collections::BTreeSet;

use super::Harness;
use super::samples::{self, next_of};
use super::steps::{create, owned_by, stored, update};
use crate::error::StoreErrorKind;
use crate::record::Record;
use crate::store::Written;

/// An owner without sessions has an empty list.
pub async fn an_owner_without_sessions_has_none(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    assert!(owned_by(&*store, "ada").await.is_empty());
    stored(&*store, &samples::plain_record()).await;
    stored(&*store, &samples::owned_record("bob")).await;
    assert!(owned_by(&*store, "ada").await.is_empty());
}

/// Every session is in the list of its owner and in no other.
pub async fn every_session_is_listed_under_its_owner(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let (mut ada, mut bob) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..5 {
        ada.insert(stored(&*store, &samples::owned_record("ada")).await);
        bob.insert(stored(&*store, &samples::owned_record("bob")).await);
        stored(&*store, &samples::plain_record()).await;
    }
    assert_eq!(owned_by(&*store, "ada").await, ada);
    assert_eq!(owned_by(&*store, "bob").await, bob);
}

/// Three hundred sessions of one owner are all listed: no page of a backend cuts the list.
pub async fn three_hundred_sessions_of_one_owner_are_listed(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut all = BTreeSet::new();
    for _ in 0..300 {
        all.insert(stored(&*store, &samples::owned_record("ada")).await);
    }
    assert_eq!(owned_by(&*store, "ada").await, all);
}

/// Sessions under unusual ids are listed under those ids.
pub async fn sessions_of_unusual_ids_are_listed(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let ids: BTreeSet<_> = samples::odd_ids().into_iter().collect();
    for id in &ids {
        create(&*store, id, &samples::owned_record("ada")).await;
    }
    assert_eq!(owned_by(&*store, "ada").await, ids);
}

/// Owners are compared byte for byte: letter case, white space, accents, patterns and
/// separators make different owners, up to 255 bytes.
pub async fn owners_are_compared_byte_for_byte(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut all = Vec::new();
    for owner in samples::odd_owners() {
        let id = stored(&*store, &samples::owned_record(owner.as_str())).await;
        all.push((owner, id));
    }
    for (owner, id) in &all {
        let listed = store.owned_by(owner).await.expect("owned_by failed");
        assert_eq!(listed, [*id], "the sessions of {owner:?}");
    }
}

/// Owners that differ only in letter case are different.
pub async fn owners_that_differ_in_letter_case_are_different(harness: &dyn Harness) {
    kept_apart(harness, ["ada", "Ada"]).await;
}

/// Owners that differ only in a space at the end are different.
pub async fn owners_that_differ_in_a_trailing_space_are_different(harness: &dyn Harness) {
    kept_apart(harness, ["ada", "ada "]).await;
}

/// Owners of 255 bytes that differ only in the last are different.
pub async fn owners_of_255_bytes_are_kept_whole(harness: &dyn Harness) {
    let long = "x".repeat(254);
    kept_apart(harness, [&format!("{long}a"), &format!("{long}b")]).await;
}

async fn kept_apart(harness: &dyn Harness, names: [&str; 2]) {
    let store = harness.empty_store().await;
    let first = stored(&*store, &samples::owned_record(names[0])).await;
    assert!(
        owned_by(&*store, names[1]).await.is_empty(),
        "before the second"
    );
    let second = stored(&*store, &samples::owned_record(names[1])).await;
    assert_eq!(owned_by(&*store, names[0]).await, BTreeSet::from([first]));
    assert_eq!(owned_by(&*store, names[1]).await, BTreeSet::from([second]));
}

/// What one opening of the backend bound to an owner another one lists.
pub async fn the_owner_index_is_seen_by_a_second_opening(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let second = harness.reopen().await;
    let record = samples::owned_record("ada");
    let id = stored(&*store, &record).await;
    assert_eq!(owned_by(&*second, "ada").await, BTreeSet::from([id]));
    let next = Record {
        owner: Some(samples::owner("bob")),
        ..next_of(&record)
    };
    assert_eq!(
        update(&*second, &id, &next, record.version).await,
        Written::Done
    );
    assert_eq!(owned_by(&*store, "bob").await, BTreeSet::from([id]));
    assert!(owned_by(&*store, "ada").await.is_empty());
}

/// An outage is an error and never an empty list.
pub async fn an_outage_is_never_an_empty_list(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    stored(&*store, &samples::owned_record("ada")).await;
    harness.break_backend().await;
    let listed = store.owned_by(&samples::owner("ada")).await;
    let error = listed.expect_err("an outage was answered");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
