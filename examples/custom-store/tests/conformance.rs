//! Every sentence of the contract as a test of the custom store.

use std::sync::Arc;

use async_trait::async_trait;
use session_kit::Store;
use session_kit::conformance::{Breakable, Harness};

#[path = "../src/store.rs"]
mod store;

use store::MapStore;

/// How the suite makes a store, and makes it fail.
#[derive(Default)]
struct Maps {
    outage: Breakable,
}

#[async_trait]
impl Harness for Maps {
    async fn empty_store(&self) -> Arc<dyn Store> {
        Arc::new(self.outage.around(Arc::new(MapStore::default())))
    }

    async fn break_backend(&self) {
        self.outage.begin();
    }

    async fn mend_backend(&self) {
        self.outage.end();
    }
}

// A map has no form that could be damaged, no second opening, and no limit.
session_kit::store_conformance!(Maps::default(), without: [plant, reopen, small_store]);
