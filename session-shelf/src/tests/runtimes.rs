//! Runtimes of every kind, futures that are dropped, and runtimes that end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use session_core::{Created, Owner, Record, Store, Written};

use super::flaky::flaky;
use super::outages::until;
use super::{ENGINES, config, consistent, counted, id, next, open, owned};

#[test]
fn a_runtime_of_one_thread_will_do() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (store, _) = open(config(*kind, dir.path()));
            let first = owned("ada");
            assert_eq!(store.create(&id(1), &first).await.unwrap(), Created::Done);
            let second = next(&first, "second");
            let written = store.update(&id(1), &second, first.version).await.unwrap();
            assert_eq!(written, Written::Done);
            assert_eq!(store.load(&id(1)).await.unwrap(), Some(second));
            store.ping().await.unwrap();
        });
    }
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_done_wholly_or_not_at_all() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf, faults) = flaky(config(*kind, dir.path()));
        faults.held.store(true, Ordering::SeqCst);
        faults.reached.store(false, Ordering::SeqCst);
        let create = |number| {
            let store = store.clone();
            tokio::spawn(async move { store.create(&id(number), &owned("ada")).await })
        };
        let begun = create(1);
        until(|| faults.reached.load(Ordering::SeqCst)).await;
        let waiting = create(2);
        tokio::time::sleep(Duration::from_millis(5)).await;
        for task in [begun, waiting] {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        faults.held.store(false, Ordering::SeqCst);
        store.ping().await.unwrap();
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(owned("ada")));
        assert_eq!(
            store.load(&id(2)).await.unwrap(),
            None,
            "nobody waited for it"
        );
        consistent::check(&shelf);
        assert_eq!(
            store.create(&id(2), &owned("ada")).await.unwrap(),
            Created::Done
        );
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_leaves_a_store_that_works() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (store, shelf) = open(config(*kind, dir.path()));
        for _ in 0..5 {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            for number in 0..8 {
                let store = store.clone();
                runtime.spawn(async move {
                    for counter in 1.. {
                        let named = Record {
                            owner: Some(Owner::new(format!("owner {counter}")).unwrap()),
                            ..counted(counter)
                        };
                        let _ = store.create(&id(number), &named).await;
                        if let Ok(Some(old)) = store.load(&id(number)).await {
                            let _ = store.update(&id(number), &named, old.version).await;
                        }
                    }
                });
            }
            let first = store.clone();
            runtime.block_on(async move { first.ping().await.unwrap() });
            runtime.shutdown_background();
            let next = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            next.block_on(store.ping()).unwrap();
            consistent::check(&shelf);
        }
    }
}
