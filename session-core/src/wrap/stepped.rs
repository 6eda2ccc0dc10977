//! A store for tests, whose operations take steps that a test decides about.

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::data::Data;
use crate::error::{StoreError, StoreErrorKind};
use crate::expiry::Expiry;
use crate::id::{Secret, SessionId};
use crate::memory::MemoryStore;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

/// A `MemoryStore` that counts, can fail, and can wait before and after it acts.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    pub(super) memory: MemoryStore,
    pub(super) loads: AtomicUsize,
    /// Each operation is pending once before it acts and once after.
    pub(super) waits: AtomicBool,
    /// The next operation acts, and then fails with this.
    pub(super) fails: Mutex<Option<StoreErrorKind>>,
}

impl Stepped {
    #[cfg(feature = "cached")]
    pub(super) fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    pub(super) fn wait(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    pub(super) fn fail(&self, kind: StoreErrorKind) {
        *self.fails.lock().unwrap() = Some(kind);
    }

    async fn step<T>(
        &self,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.waits.load(Ordering::Relaxed) {
            once_pending().await;
        }
        let answer = act.await;
        if self.waits.load(Ordering::Relaxed) {
            once_pending().await;
        }
        match self.fails.lock().unwrap().take() {
            Some(kind) => Err(StoreError::new(kind, "made to fail")),
            None => answer,
        }
    }
}

async fn once_pending() {
    let mut was = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut was, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// The answer of a future that does not wait.
pub(super) fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waited"),
    }
}

pub(super) const START: Timestamp = Timestamp::from_unix_ms(1_764_000_000_000);

/// A record that holds `{"count":count}` and lives for a minute.
pub(super) fn record(id: &SessionId, count: u64) -> Record {
    let digest = Secret::random().unwrap().digest(id);
    let expiry = Expiry::new(Some(Duration::from_secs(60)), None);
    Record {
        data: Data::parse(&format!("{{\"count\":{count}}}")).unwrap(),
        ..Record::new(digest, START, expiry).unwrap()
    }
}

/// What follows `record` with another count.
pub(super) fn next(record: &Record, count: u64) -> Record {
    Record {
        version: record.version.next().unwrap(),
        data: Data::parse(&format!("{{\"count\":{count}}}")).unwrap(),
        ..record.clone()
    }
}

#[async_trait]
impl Store for Stepped {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.step(self.memory.create(id, record)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.step(self.memory.load(id)).await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.step(self.memory.update(id, record, expected)).await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        self.step(self.memory.touch(id, touch)).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        self.step(self.memory.delete(id, only)).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.step(self.memory.owned_by(owner)).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.step(self.memory.scan(cursor, limit)).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.step(self.memory.sweep(expired_before, limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.step(self.memory.ping()).await
    }
}
