//! [`Store::ping`](crate::Store::ping): whether the backend is there.

use super::Harness;
use super::samples;
use super::steps::{expect_kept, scan, stored};
use crate::error::StoreErrorKind;

/// A store that is there answers, and answers again.
pub async fn a_ping_is_answered(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for _ in 0..3 {
        store.ping().await.expect("ping failed");
    }
}

/// A ping leaves no record behind and changes none.
pub async fn a_ping_leaves_nothing_behind(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    store.ping().await.expect("ping failed");
    assert!(scan(&*store, 100).await.is_empty(), "a ping made a record");
    let record = samples::record();
    let id = stored(&*store, &record).await;
    store.ping().await.expect("ping failed");
    expect_kept(&*store, &id, &record, "after a ping").await;
}

/// An outage fails the ping, and its end lets it succeed.
pub async fn an_outage_fails_the_ping(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    harness.break_backend().await;
    let error = store.ping().await.expect_err("an outage was answered");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    harness.mend_backend().await;
    store.ping().await.expect("ping failed after the outage");
}
