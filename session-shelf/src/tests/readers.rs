//! Reads that are still under way, or still waiting, when nobody waits for them any more.

use std::sync::atomic::Ordering;

use session_core::Store;

use super::flaky::flaky;
use super::outages::until;
use super::{ENGINES, config, id};
use crate::store::READERS_MAX;

#[tokio::test]
async fn reads_that_hang_take_so_many_threads_and_no_more() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, _, faults) = flaky(config(*kind, dir.path()));
        faults.reads.store(0, Ordering::SeqCst);
        faults.reads_held.store(true, Ordering::SeqCst);
        let loading: Vec<_> = (0..READERS_MAX + 20)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.load(&id(1)).await })
            })
            .collect();
        until(|| faults.reads.load(Ordering::SeqCst) >= READERS_MAX).await;
        for task in loading {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        faults.reads_held.store(false, Ordering::SeqCst);
        // Those that were waiting have left nothing behind, and those that hung have ended.
        assert_eq!(store.load(&id(1)).await.unwrap(), None);
        drop(store);
        assert_eq!(faults.reads.load(Ordering::SeqCst), READERS_MAX + 1);
    }
}
