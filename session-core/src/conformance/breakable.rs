//! An outage to order, for stores that have no backend to stop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

/// The switch of an outage: what stands [`around`](Self::around) a store fails while it lasts.
///
/// For harnesses, and for tests of what stands in front of a store. Clones switch together.
///
/// ```
/// use std::sync::Arc;
/// use session_core::conformance::Breakable;
/// use session_core::{MemoryStore, Store, StoreErrorKind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let outage = Breakable::default();
/// let store = outage.around(Arc::new(MemoryStore::new()));
/// outage.begin();
/// assert_eq!(store.ping().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
/// outage.end();
/// assert!(store.ping().await.is_ok());
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Breakable(Arc<AtomicBool>);

impl Breakable {
    /// `store`, reached through this switch.
    #[must_use]
    pub fn around(&self, store: Arc<dyn Store>) -> BreakableStore {
        BreakableStore {
            outage: self.clone(),
            store,
        }
    }

    /// From now on every operation fails and does nothing.
    pub fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// From now on the store answers again.
    pub fn end(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A store behind a [`Breakable`].
pub struct BreakableStore {
    outage: Breakable,
    store: Arc<dyn Store>,
}

impl BreakableStore {
    fn reached(&self) -> Result<&dyn Store, StoreError> {
        if self.outage.0.load(Ordering::SeqCst) {
            let message = "reaching the store failed: the test switched it off";
            return Err(StoreError::new(StoreErrorKind::Unavailable, message));
        }
        Ok(&*self.store)
    }
}

impl fmt::Debug for BreakableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BreakableStore({:?})", self.store)
    }
}

#[async_trait]
impl Store for BreakableStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.reached()?.create(id, record).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.reached()?.load(id).await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.reached()?.update(id, record, expected).await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        self.reached()?.touch(id, touch).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        self.reached()?.delete(id, only).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.reached()?.owned_by(owner).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.reached()?.scan(cursor, limit).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.reached()?.sweep(expired_before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reached()?.ping().await
    }
}
