//! [`Store::scan`]: every record, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::samples;
use super::steps::{create, delete, scan, stored};
use super::{Harness, Planted};
use crate::error::StoreErrorKind;
use crate::id::SessionId;
use crate::store::{Cursor, Only, Store, Written};

/// A scan of an empty store ends and lists nothing.
pub async fn a_scan_of_an_empty_store_ends(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for limit in [1, 100, usize::MAX] {
        assert!(scan(&*store, limit).await.is_empty());
    }
}

/// Every record is listed, and nothing else, whatever the limit.
pub async fn a_scan_lists_every_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let all = many(&*store, 230).await;
    for limit in [7, 100, 230, 1_000, usize::MAX] {
        assert_eq!(scan(&*store, limit).await, all, "by pages of {limit}");
    }
}

/// Pages of one id reach every record.
pub async fn a_scan_by_single_ids_lists_every_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let all = many(&*store, 40).await;
    assert_eq!(scan(&*store, 1).await, all);
}

/// Unusual ids are listed like others, whatever they mean in a pattern or a path.
pub async fn a_scan_lists_unusual_ids(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let ids: BTreeSet<_> = samples::odd_ids().into_iter().collect();
    for id in &ids {
        create(&*store, id, &samples::plain_record()).await;
    }
    assert_eq!(scan(&*store, 3).await, ids);
}

/// Records that have expired, never expire, or have an owner are listed like others.
pub async fn a_scan_lists_every_kind_of_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut all = BTreeSet::new();
    let expired = samples::expiring_at(samples::now().before(Duration::from_secs(1)));
    all.insert(stored(&*store, &expired).await);
    for (_, record) in samples::odd_records() {
        all.insert(stored(&*store, &record).await);
    }
    assert_eq!(scan(&*store, 5).await, all);
}

/// What cannot be read is listed: an administrator must find it.
pub async fn a_scan_lists_unreadable_records(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut all = many(&*store, 5).await;
    for what in Planted::ALL {
        let id = samples::id();
        harness.plant(&id, what).await;
        all.insert(id);
    }
    assert_eq!(scan(&*store, 3).await, all);
}

/// A record that was deleted before the scan began is not listed.
pub async fn a_scan_lists_no_deleted_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut all = many(&*store, 20).await;
    let deleted = all.pop_first().expect("twenty were stored");
    assert_eq!(delete(&*store, &deleted, Only::Any).await, Written::Done);
    assert_eq!(scan(&*store, 6).await, all);
}

/// Two scans do not disturb each other: where a scan stands is in its cursor alone.
pub async fn two_scans_at_once_both_list_every_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let all = many(&*store, 30).await;
    let mut cursors = [Some(Cursor::start()), Some(Cursor::start())];
    let mut listed = [BTreeSet::new(), BTreeSet::new()];
    for _ in 0..1_000 {
        for (cursor, listed) in cursors.iter_mut().zip(&mut listed) {
            if let Some(from) = cursor.take() {
                let page = store.scan(from, 4).await.expect("scan failed");
                listed.extend(page.ids);
                *cursor = page.next;
            }
        }
    }
    assert_eq!(cursors, [None, None], "the scans have ended");
    assert_eq!(listed, [all.clone(), all]);
}

/// Every record that exists throughout is listed while others come and go between the pages.
pub async fn a_scan_misses_nothing_between_its_pages(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let lasting = many(&*store, 60).await;
    let mut going = many(&*store, 60).await;
    let (mut listed, mut cursor) = (BTreeSet::new(), Some(Cursor::start()));
    for _ in 0..1_000 {
        let Some(from) = cursor else { break };
        let page = store.scan(from, 5).await.expect("scan failed");
        listed.extend(page.ids);
        cursor = page.next;
        for deleted in [going.pop_first(), going.pop_last()].into_iter().flatten() {
            let _ = delete(&*store, &deleted, Only::Any).await;
        }
        if going.len() > 20 {
            stored(&*store, &samples::plain_record()).await;
        }
    }
    assert_eq!(cursor, None, "the scan has ended");
    let missing: Vec<_> = lasting.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?} were not listed");
}

/// Every record that exists throughout is listed while others come and go at the same time.
pub async fn a_scan_misses_nothing_while_others_come_and_go(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let lasting = many(&*store, 60).await;
    let comings_and_goings: Vec<_> = (0..3)
        .map(|_| tokio::spawn(come_and_go(Arc::clone(&store))))
        .collect();
    for limit in [1, 5, 17, 100, 3] {
        let listed = scan(&*store, limit).await;
        let missing: Vec<_> = lasting.difference(&listed).collect();
        assert!(
            missing.is_empty(),
            "{missing:?} were not listed by pages of {limit}"
        );
    }
    for task in comings_and_goings {
        task.await.expect("creating and deleting failed");
    }
    assert_eq!(scan(&*store, 10).await, lasting);
}

async fn come_and_go(store: Arc<dyn Store>) {
    for _ in 0..40 {
        let id = stored(&*store, &samples::plain_record()).await;
        tokio::task::yield_now().await;
        assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    }
}

/// An outage is an error and never the end of a scan.
pub async fn an_outage_is_never_the_end_of_a_scan(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    many(&*store, 3).await;
    harness.break_backend().await;
    let page = store.scan(Cursor::start(), 10).await;
    let error = page.expect_err("an outage was answered");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

async fn many(store: &dyn Store, count: usize) -> BTreeSet<SessionId> {
    let mut ids = BTreeSet::new();
    for _ in 0..count {
        ids.insert(stored(store, &samples::plain_record()).await);
    }
    ids
}
