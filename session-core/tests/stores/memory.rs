//! The harness of the memory store: all but what a process's own memory cannot offer.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::conformance::{Breakable, Harness};
use session_core::{MemoryLimits, MemoryStore, Store};

/// Leaves out `plant` and `reopen`.
#[derive(Default)]
pub(crate) struct InMemory {
    outage: Breakable,
}

#[async_trait]
impl Harness for InMemory {
    async fn empty_store(&self) -> Arc<dyn Store> {
        Arc::new(self.outage.around(Arc::new(MemoryStore::new())))
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::bounded(MemoryLimits {
            sessions: 100,
            bytes: 200_000,
        }))
    }

    async fn break_backend(&self) {
        self.outage.begin();
    }

    async fn mend_backend(&self) {
        self.outage.end();
    }
}
