//! What stores and adapters are tested with: published, so that others' can be too.
//!
//! [`SpyStore`] wraps any store, counts what it is asked and breaks on request. [`http`] holds
//! the scenarios that every adapter passes.
//!
//! The rest is the suite that every store passes: one property for each sentence of the contract
//! in [`Store`].
//!
//! [`store_conformance!`](crate::store_conformance) turns every property into a test of the
//! calling crate, so that each shows under its own name. A store joins by a [`Harness`]:
//!
//! ```
//! use std::sync::Arc;
//!
//! use session_core::conformance::{Breakable, Harness};
//! use session_core::{MemoryLimits, MemoryStore, Store};
//!
//! #[derive(Default)]
//! struct InMemory {
//!     outage: Breakable,
//! }
//!
//! #[async_trait::async_trait]
//! impl Harness for InMemory {
//!     async fn empty_store(&self) -> Arc<dyn Store> {
//!         Arc::new(self.outage.around(Arc::new(MemoryStore::new())))
//!     }
//!
//!     async fn small_store(&self) -> Arc<dyn Store> {
//!         let limits = MemoryLimits { sessions: 20, ..MemoryLimits::default() };
//!         Arc::new(MemoryStore::bounded(limits))
//!     }
//!
//!     async fn break_backend(&self) {
//!         self.outage.begin();
//!     }
//!
//!     async fn mend_backend(&self) {
//!         self.outage.end();
//!     }
//! }
//!
//! session_core::store_conformance!(InMemory::default(), without: [plant, reopen]);
//! ```
//!
//! The calling crate needs `async-trait` for the harness and, among its dev-dependencies, tokio
//! with `macros` and `rt-multi-thread`.
//!
//! What a store cannot offer is left out by name, in the source, and its tests then show as
//! ignored with the reason; nothing passes that was not looked at:
//!
//! | `without` | for a store that | what is then not looked at |
//! |---|---|---|
//! | `plant` | keeps records in no form that could be damaged | undecodable records and newer formats |
//! | `reopen` | cannot be opened twice | writes seen by another process |
//! | `break_backend` | has no backend that could fail | outages answered as success or absence |
//! | `small_store` | cannot be made small | refusals for want of room |
//! | `sweep` | lets its backend expire records | that `sweep` itself removes, counts and stops |
//!
//! Properties look at what was stored. They take the time from [`samples::now`]: their records
//! expire in an hour, never, or a second ago. The last must still be there in a store whose
//! backend expires records by itself, because it waits `clock_skew` longer (rule E3).

pub mod admin;
pub mod concurrency;
pub mod create;
pub mod delete;
pub mod devices;
mod gate;
pub mod history;
pub mod http;
pub mod limits;
pub mod load;
pub mod owned_by;
pub mod ping;
mod properties;
pub mod samples;
pub mod scan;
mod spy;
mod steps;
pub mod sweep;
pub mod touch;
pub mod update;

mod breakable;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::breakable::{Breakable, BreakableStore};
pub use self::gate::Gate;
pub use self::properties::{PROPERTIES, Property};
pub use self::spy::{Counts, Fault, Operation, SpyStore};
use crate::id::SessionId;
use crate::store::Store;

/// What the suite needs of the store it looks at.
///
/// Each test makes a harness of its own and calls [`empty_store`](Self::empty_store) or
/// [`small_store`](Self::small_store) before anything else; the other methods are about the
/// store that was made last. A method that is not implemented fails its tests, until it stands
/// in the macro's `without` list. The module has an example.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A store with nothing in it, independent of every other one: a directory, a table prefix
    /// or a key prefix of its own.
    async fn empty_store(&self) -> Arc<dyn Store>;

    /// An empty store with room for at most 10,000 records of 1,000 bytes; less is quicker.
    async fn small_store(&self) -> Arc<dyn Store> {
        not_offered("small_store")
    }

    /// The same backend opened once more, as by another process: nothing shared in memory.
    async fn reopen(&self) -> Arc<dyn Store> {
        not_offered("reopen")
    }

    /// Lets the backend's clock pass by `span`: at most a few seconds and
    /// [`expires_late_by`](Self::expires_late_by).
    ///
    /// Only for backends that expire records by themselves; sleeping is fine.
    ///
    /// # Default
    ///
    /// Nothing: the stores' decisions depend on no clock.
    async fn let_pass(&self, _span: Duration) {}

    /// How long after its expiry the backend itself removes a record: the `clock_skew` that the
    /// store was opened with.
    ///
    /// # Default
    ///
    /// Zero: the sweep removes, and waits for nothing.
    fn expires_late_by(&self) -> Duration {
        Duration::ZERO
    }

    /// Puts something unreadable where the record of `id` is or would be.
    async fn plant(&self, _id: &SessionId, _what: Planted) {
        not_offered("plant")
    }

    /// Makes the backend fail every operation, as when it is stopped or refuses.
    async fn break_backend(&self) {
        not_offered("break_backend")
    }

    /// Ends what [`break_backend`](Self::break_backend) began; nothing stored is lost.
    async fn mend_backend(&self) {
        not_offered("break_backend")
    }

    /// How many random [`histories`](history) each of their three properties makes, of about
    /// forty operations each.
    ///
    /// # Default
    ///
    /// 200. A store whose writes take many milliseconds gives fewer.
    fn histories(&self) -> usize {
        200
    }
}

/// What [`Harness::plant`] puts in place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Bytes that are no record: [`samples::UNDECODABLE`] where the store keeps JSON.
    Undecodable,
    /// A record of a format this version does not know: [`samples::newer_format`] where the
    /// store keeps JSON.
    NewerFormat,
}

impl Planted {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Undecodable, Self::NewerFormat];
}

fn not_offered(method: &str) -> ! {
    panic!(
        "the harness has no `{method}`: implement it, or leave it out in the open: `without: [{method}]`"
    )
}
