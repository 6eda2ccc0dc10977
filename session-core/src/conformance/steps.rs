//! The steps that properties are made of: each asks the store and insists on an answer.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::samples;
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::record::{Generation, Record, Version};
use crate::store::{Created, Cursor, Only, Store, Touch, Written};

/// Stores `record` under `id`, which must be free.
pub(super) async fn create(store: &dyn Store, id: &SessionId, record: &Record) {
    let created = store.create(id, record).await.expect("create failed");
    assert_eq!(created, Created::Done, "creating under a free id");
}

/// Stores `record` under a new id.
pub(super) async fn stored(store: &dyn Store, record: &Record) -> SessionId {
    let id = samples::id();
    create(store, &id, record).await;
    id
}

pub(super) async fn load(store: &dyn Store, id: &SessionId) -> Option<Record> {
    store.load(id).await.expect("load failed")
}

pub(super) async fn update(
    store: &dyn Store,
    id: &SessionId,
    record: &Record,
    expected: Version,
) -> Written {
    // Both ways have to do the same; by turns, as the versions go.
    let at_once = expected.counter() % 2 == 1;
    let written = match at_once {
        true => store.update_in_memory(id, &Arc::new(record.clone()), expected),
        false => None,
    };
    let written = match written {
        Some(written) => written,
        None => store.update(id, record, expected).await,
    };
    written.expect("update failed")
}

pub(super) async fn touch(
    store: &dyn Store,
    id: &SessionId,
    generation: Generation,
    accessed_at: Timestamp,
) -> Written {
    let touch = Touch {
        generation,
        accessed_at,
    };
    store.touch(id, &touch).await.expect("touch failed")
}

pub(super) async fn delete(store: &dyn Store, id: &SessionId, only: Only) -> Written {
    store.delete(id, only).await.expect("delete failed")
}

/// The ids listed under the owner of this name.
pub(super) async fn owned_by(store: &dyn Store, name: &str) -> BTreeSet<SessionId> {
    let ids = store.owned_by(&samples::owner(name)).await;
    ids.expect("owned_by failed").into_iter().collect()
}

/// All ids that a scan by pages of `limit` lists.
pub(super) async fn scan(store: &dyn Store, limit: usize) -> BTreeSet<SessionId> {
    let (mut ids, mut cursor) = (BTreeSet::new(), Cursor::start());
    for _ in 0..PAGES_MAX {
        let page = store.scan(cursor, limit).await.expect("scan failed");
        ids.extend(page.ids);
        match page.next {
            Some(next) => cursor = next,
            None => return ids,
        }
    }
    panic!("the scan has not ended after {PAGES_MAX} pages");
}

const PAGES_MAX: usize = 10_000;

pub(super) async fn sweep(store: &dyn Store, expired_before: Timestamp, limit: usize) -> u64 {
    let removed = store
        .sweep(expired_before, limit)
        .await
        .expect("sweep failed");
    assert!(
        removed <= limit as u64,
        "swept {removed} of at most {limit}"
    );
    removed
}

/// Sweeps until nothing more is due.
pub(super) async fn sweep_all(store: &dyn Store, expired_before: Timestamp) -> u64 {
    let mut removed = 0;
    for _ in 0..PAGES_MAX {
        let swept = sweep(store, expired_before, 100).await;
        removed += swept;
        if swept < 100 {
            return removed;
        }
    }
    panic!("the sweep has not ended after {PAGES_MAX} batches");
}

/// What is stored under `id`, where nobody else is at work: the same by each way to ask.
async fn at_rest(store: &dyn Store, id: &SessionId) -> Option<Record> {
    // Before as well: what loading puts into memory must not hide what was there.
    let before = store.in_memory(id);
    let loaded = load(store, id).await;
    for in_memory in [before, store.in_memory(id)].iter().flatten() {
        assert_eq!(Some(&**in_memory), loaded.as_ref(), "what is in memory");
    }
    loaded
}

/// Insists that exactly `expected` is stored under `id`.
pub(super) async fn expect_kept(store: &dyn Store, id: &SessionId, expected: &Record, when: &str) {
    let found = at_rest(store, id).await;
    if found.as_ref() != Some(expected) {
        let found = found.map_or("nothing".to_owned(), |record| shown(&record));
        let expected = shown(expected);
        panic!("{when}: there should be\n  {expected}\nand there is\n  {found}");
    }
}

/// Insists that nothing is stored under `id`.
pub(super) async fn expect_absent(store: &dyn Store, id: &SessionId, when: &str) {
    if let Some(found) = at_rest(store, id).await {
        panic!(
            "{when}: there should be nothing and there is\n  {}",
            shown(&found)
        );
    }
}

/// Unlike `Debug`, with the data: it is the suite's own.
fn shown(record: &Record) -> String {
    record.encode().chars().take(2_000).collect()
}

/// Polls a future until it has waited `waits` times and then drops it, as a server does with
/// the requests of clients that went away; the answer, if it came first.
pub(super) async fn dropped_after<T>(waits: usize, future: impl Future<Output = T>) -> Option<T> {
    if waits == 0 {
        drop(future);
        return None;
    }
    let (mut future, mut waited) = (pin!(future), 0);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => {
            waited += 1;
            if waited == waits {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}
