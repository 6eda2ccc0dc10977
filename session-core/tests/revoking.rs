//! O2: every session is ended, also where scans have to begin again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_core::conformance::{Fault, Operation, SpyStore, samples};
use session_core::{
    Clock, Created, Cursor, ErrorKind, IntoStore, MemoryStore, Only, Owner, Page, Record,
    SessionConfig, SessionId, SessionManager, Store, StoreError, StoreErrorKind, Timestamp, Touch,
    Version, Written,
};

/// More than a scan lists at once, a few times.
const SESSIONS: u64 = 3_500;

/// A cluster whose slots are being moved: some steps of a scan say that it has to begin again.
#[derive(Debug)]
struct Resharded {
    store: Arc<dyn Store>,
    steps: AtomicUsize,
    refuses: fn(usize, &Cursor) -> bool,
}

impl Resharded {
    async fn with(refuses: fn(usize, &Cursor) -> bool) -> Arc<Self> {
        let store = MemoryStore::new().into_store();
        for _ in 0..SESSIONS {
            let mut record = samples::record();
            // By a clock that is ahead.
            record.created_at = Clock::system().now().after(Duration::from_secs(10));
            let created = store.create(&samples::id(), &record).await;
            assert_eq!(created.unwrap(), Created::Done);
        }
        Arc::new(Self {
            store,
            steps: AtomicUsize::new(0),
            refuses,
        })
    }

    fn manager(self: &Arc<Self>) -> SessionManager {
        let config = SessionConfig::builder().build().unwrap();
        SessionManager::new(Arc::clone(self) as Arc<dyn Store>, config)
    }
}

#[async_trait]
impl Store for Resharded {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.store.create(id, record).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.store.load(id).await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.store.update(id, record, expected).await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        self.store.touch(id, touch).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        self.store.delete(id, only).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.store.owned_by(owner).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if (self.refuses)(step, &cursor) {
            let why = "the cluster has changed: the scan has to begin again";
            return Err(StoreError::new(StoreErrorKind::Unavailable, why));
        }
        self.store.scan(cursor, limit).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.store.sweep(expired_before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

#[tokio::test]
async fn o2_revoke_all_ends_every_session_though_no_scan_comes_further_than_a_step() {
    let store = Resharded::with(|_, cursor| cursor.position().is_some()).await;
    assert_eq!(store.manager().revoke_all().await.unwrap(), SESSIONS);
    let left = store.store.scan(Cursor::start(), 1).await.unwrap();
    assert!(left.ids.is_empty());
}

#[tokio::test]
async fn o2_revoke_all_looks_once_more_after_scans_that_failed() {
    // Each has ended all there is, or nothing was left.
    let store = Resharded::with(|step, _| [4, 5, 6, 7].contains(&step)).await;
    assert_eq!(store.manager().revoke_all().await.unwrap(), SESSIONS);
}

#[tokio::test]
async fn o2_revoke_all_gives_up_when_scans_fail_one_after_the_other() {
    let store = Resharded::with(|_, _| true).await;
    let error = store.manager().revoke_all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(store.steps.load(Ordering::Relaxed), 5);
    // Also after some that ended sessions.
    let store = Resharded::with(|step, _| step % 2 == 1 || step > 4).await;
    let error = store.manager().revoke_all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn o2_revoke_all_ends_the_others_where_one_cannot_be_looked_at() {
    let store = Resharded::with(|step, _| step == 1).await;
    let spy = SpyStore::new(Arc::clone(&store));
    spy.once(Operation::Load, Fault::Refuse(StoreErrorKind::Unavailable));
    let sessions = SessionManager::new(spy, SessionConfig::builder().build().unwrap());
    let error = sessions.revoke_all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let left = store.store.scan(Cursor::start(), 10).await.unwrap();
    assert_eq!(left.ids.len(), 1);
    assert_eq!(sessions.revoke_all().await.unwrap(), 1);
}
