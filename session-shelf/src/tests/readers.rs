//! Reads that are still under way, or still waiting, when nobody waits for them any more.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use session_core::{Created, Store};

use super::flaky::flaky;
use super::outages::until;
use super::{ENGINES, config, id, open, owned};
use crate::ShelfStore;
use crate::store::READERS_MAX;

#[tokio::test]
async fn a_store_that_is_dropped_waits_for_a_read_that_is_under_way() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf, faults) = flaky(config(*kind, dir.path()));
        let created = store.create(&id(1), &owned("ada")).await.unwrap();
        assert_eq!(created, Created::Done);
        faults.reads.store(0, Ordering::SeqCst);
        faults.reads_held.store(true, Ordering::SeqCst);
        let loading = tokio::spawn({
            let store = store.clone();
            // Not the one that was written, which is in memory.
            async move { store.load(&id(2)).await }
        });
        until(|| faults.reads.load(Ordering::SeqCst) == 1).await;
        loading.abort();
        assert!(loading.await.unwrap_err().is_cancelled());
        drop(shelf);
        let closing = thread::spawn(move || drop(store));
        // Time enough to be done, if it did not wait.
        let begun = Instant::now();
        until(|| closing.is_finished() || begun.elapsed() > Duration::from_millis(300)).await;
        let waits = !closing.is_finished();
        faults.reads_held.store(false, Ordering::SeqCst);
        closing.join().unwrap();
        assert!(waits, "a read was under way");
        let store = ShelfStore::with_config(config(*kind, dir.path())).unwrap();
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(owned("ada")));
    }
}

#[test]
fn a_read_that_comes_to_its_turn_after_the_store_was_dropped_opens_nothing() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let (store, shelf) = open(config(*kind, dir.path()));
        let (release, released) = mpsc::channel::<()>();
        let before = runtime.spawn_blocking(move || released.recv());
        let one = id(1);
        let mut loading = store.load(&one);
        let polled = loading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the only thread is busy");
        drop(loading);
        drop(store);
        drop(release);
        let after = runtime.spawn_blocking(|| ());
        runtime.block_on(async {
            assert!(before.await.unwrap().is_err());
            after.await.unwrap();
        });
        let error = shelf.read(|_| Ok(())).unwrap_err();
        assert_eq!(error.error().to_string(), "the store was dropped");
        // It is shut: another store may have it.
        let (store, _) = open(config(*kind, dir.path()));
        let created = runtime.block_on(store.create(&id(1), &owned("ada")));
        assert_eq!(created.unwrap(), Created::Done);
    }
}

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
