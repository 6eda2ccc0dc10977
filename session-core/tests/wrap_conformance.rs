//! Every wrapper keeps the contract that the store inside it keeps.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use session_core::conformance::history::Histories;
use session_core::conformance::{Breakable, Harness};
use session_core::wrap::{Cached, Encrypted, Traced};
use session_core::{KeyRing, MemoryLimits, MemoryStore, Store};

/// A wrapper around a memory store that can fail.
struct Wrapped {
    wrap: fn(Arc<dyn Store>) -> Arc<dyn Store>,
    outage: Breakable,
    backend: Mutex<Option<Arc<dyn Store>>>,
}

impl Wrapped {
    fn by(wrap: fn(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        Self {
            wrap,
            outage: Breakable::default(),
            backend: Mutex::default(),
        }
    }
}

#[async_trait]
impl Harness for Wrapped {
    async fn empty_store(&self) -> Arc<dyn Store> {
        let backend: Arc<dyn Store> = Arc::new(self.outage.around(Arc::new(MemoryStore::new())));
        *self.backend.lock().unwrap() = Some(Arc::clone(&backend));
        (self.wrap)(backend)
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        (self.wrap)(Arc::new(MemoryStore::bounded(MemoryLimits {
            sessions: 100,
            bytes: 200_000,
        })))
    }

    /// Another node in front of the same backend.
    async fn reopen(&self) -> Arc<dyn Store> {
        let backend = self.backend.lock().unwrap().clone();
        (self.wrap)(backend.expect("a store was made before"))
    }

    async fn break_backend(&self) {
        self.outage.begin();
    }

    async fn mend_backend(&self) {
        self.outage.end();
    }
}

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn encrypted(store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(Encrypted::new(store, &KeyRing::new(KEY).unwrap()))
}

fn cached(store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(Cached::new(store))
}

fn cached_owned(store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(Cached::new(store).cache_owned(true))
}

fn traced(store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(Traced::new(store))
}

mod encrypted_store {
    session_core::store_conformance!(
        super::Wrapped::by(super::encrypted),
        without: [plant]
    );
}

/// Another node's writes are seen within `max_stale` and not at once, so `reopen` is left out.
mod cached_store {
    session_core::store_conformance!(
        super::Wrapped::by(super::cached),
        without: [plant, reopen]
    );
}

/// What is kept is handed out for `max_stale` also in an outage, so `break_backend` is left out.
mod cached_owned_store {
    session_core::store_conformance!(
        super::Wrapped::by(super::cached_owned),
        without: [plant, reopen, break_backend]
    );
}

mod traced_store {
    session_core::store_conformance!(
        super::Wrapped::by(super::traced),
        without: [plant]
    );
}

mod all_of_them {
    session_core::store_conformance!(
        super::Wrapped::by(|store| super::traced(super::cached_owned(super::encrypted(store)))),
        without: [plant, reopen, break_backend]
    );
}

/// Behind a cache of its own each node may read what was there a moment ago; nothing is lost for
/// that, nothing written over, and nothing brought back.
#[tokio::test(flavor = "multi_thread")]
async fn w1_histories_of_nodes_with_caches_have_an_order_but_for_stale_reads() {
    for cache in [cached, cached_owned] {
        let backend: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let nodes = Histories::new()
            .node(Arc::clone(&backend))
            .stale_node(cache(Arc::clone(&backend)))
            .stale_node(cache(backend));
        nodes.clone().check().await;
        nodes.over_a_bad_wire().check().await;
    }
}
