//! Random histories catch the faults that show only where clients meet, and say what is wrong.

use std::sync::Arc;

use session_core::conformance::history::Histories;
use session_core::{MemoryStore, Store};

use crate::broken::{Broken, Fault as F, Fault};

/// What is broken, and what the failure may say of it: one of these.
const BROKEN: &[(Fault, &[&str])] = &[
    (F::AcknowledgesWhatItDrops, &["no order", "is lost"]),
    (F::BlindUpsert, &["no order"]),
    (F::CreateAnswersDoneWhenTaken, &["created twice"]),
    (F::CreateChecksThenWrites, &["created twice"]),
    (F::DeleteIgnoresGeneration, &["no order"]),
    (F::DeleteOnlyAnswersDone, &["could still be used"]),
    (F::LoadLagsBehind, &["no order"]),
    (F::OwnerIndexOnlyAtCreate, &["list ", "revoke all"]),
    (F::RemembersWhatItLoaded, &["no order", "too many requests"]),
    (F::ResurrectingTouch, &["never signed in"]),
    (F::ResurrectingUpdate, &["could still be used", "no order"]),
    (F::TouchWritesWhatItRead, &["no order"]),
    (F::UpdateChecksThenWrites, &["no order"]),
    (F::UpdateKeepsTheGeneration, &["no order"]),
    (F::UpdateWritesOnConflict, &["no order"]),
];

/// What the failure says, if there is one within as many histories as a store's suite makes.
async fn failure(histories: Histories) -> Option<String> {
    for _property in 0..3 {
        if let Err(died) = tokio::spawn(histories.clone().check()).await {
            let panic = died.into_panic();
            return panic.downcast_ref::<String>().cloned();
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_catch_what_is_broken_where_clients_meet() {
    crate::silence_expected_panics();
    let mut missed = Vec::new();
    for (fault, says) in BROKEN {
        let store: Arc<dyn Store> = Arc::new(Broken::new(Arc::new(MemoryStore::new()), *fault));
        let two_nodes = Histories::new().node(Arc::clone(&store)).node(store);
        let said = failure(two_nodes).await.unwrap_or_default();
        println!("{fault:?}: {said}");
        if !says.iter().any(|part| said.contains(part)) {
            missed.push((*fault, said));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_catch_a_node_that_reads_what_once_was() {
    crate::silence_expected_panics();
    let fresh: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let lagging: Arc<dyn Store> = Arc::new(Broken::new(Arc::clone(&fresh), F::LoadLagsBehind));
    let honest = Histories::new()
        .node(Arc::clone(&fresh))
        .node(Arc::clone(&lagging));
    let said = failure(honest).await.expect("a stale read has no order");
    assert!(said.contains("SESSION_HISTORY_SEED="), "{said}");
    // A node that is allowed to lag is not taken for a broken one.
    Histories::new()
        .node(fresh)
        .stale_node(lagging)
        .check()
        .await;
}
