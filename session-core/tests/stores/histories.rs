//! Random histories catch the faults that show only where clients meet.

use std::sync::Arc;

use session_core::conformance::history::Histories;
use session_core::{MemoryStore, Store};

use crate::TRIES;
use crate::broken::{Broken, Fault as F, Fault};

const BROKEN: &[Fault] = &[
    F::AcknowledgesWhatItDrops,
    F::BlindUpsert,
    F::CreateAnswersDoneWhenTaken,
    F::CreateChecksThenWrites,
    F::DeleteIgnoresGeneration,
    F::DeleteOnlyAnswersDone,
    F::DropsWhatItUpdatesInMemory,
    F::LoadLagsBehind,
    F::MemoryLagsBehind,
    F::OwnerIndexOnlyAtCreate,
    F::RemembersWhatItLoaded,
    F::ResurrectingTouch,
    F::ResurrectingUpdate,
    F::TouchWritesWhatItRead,
    F::UpdateChecksThenWrites,
    F::UpdateKeepsTheGeneration,
    F::UpdateWritesOnConflict,
];

/// What the failure says, if there is one. How clients meet is chance: what one suite misses the
/// next one catches.
async fn failure(histories: Histories) -> Option<String> {
    for _property in 0..TRIES {
        if let Err(died) = tokio::spawn(histories.clone().check()).await {
            let panic = died.into_panic();
            let said = panic.downcast_ref::<String>().cloned();
            return Some(said.unwrap_or_default());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_catch_what_is_broken_where_clients_meet() {
    crate::silence_expected_panics();
    let mut missed = Vec::new();
    for fault in BROKEN {
        let store: Arc<dyn Store> = Arc::new(Broken::new(Arc::new(MemoryStore::new()), *fault));
        let two_nodes = Histories::new().node(Arc::clone(&store)).node(store);
        match failure(two_nodes).await {
            Some(said) => println!("{fault:?}: {said}"),
            None => missed.push(*fault),
        }
    }
    assert_eq!(missed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_catch_a_node_that_reads_what_once_was() {
    crate::silence_expected_panics();
    let fresh: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let lagging: Arc<dyn Store> = Arc::new(Broken::new(Arc::clone(&fresh), F::LoadLagsBehind));
    // That a node which is allowed to lag is not taken for a broken one is shown with real caches:
    // this one lags also where a write looks again, which nobody allows.
    let honest = Histories::new().node(fresh).node(lagging);
    let said = failure(honest).await.expect("a stale read has no order");
    assert!(said.contains("SESSION_HISTORY_SEED="), "{said}");
}
