//! Stores that break the contract in one place each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted};
use session_core::{
    Created, Cursor, Data, MemoryStore, Only, Owner, Page, Record, SessionId, Store, StoreError,
    StoreErrorKind, Timestamp, Touch, Version, Written,
};

mod fault;
mod reads;
mod writes;

use Fault as F;
pub(crate) use fault::Fault;

/// A store that works, and one fault in front of it.
#[derive(Debug)]
pub(crate) struct Broken {
    store: Arc<dyn Store>,
    fault: Fault,
    seen: Mutex<Seen>,
}

/// What a broken store keeps beside the one that works.
#[derive(Debug, Default)]
struct Seen {
    loaded: BTreeMap<SessionId, Record>,
    owners: BTreeMap<SessionId, Owner>,
    deleted: Vec<SessionId>,
    cursor: Option<Cursor>,
    failed: bool,
    calls: u64,
}

impl Broken {
    pub(crate) fn new(store: Arc<dyn Store>, fault: Fault) -> Self {
        Self {
            store,
            fault,
            seen: Mutex::default(),
        }
    }

    fn seen<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        with(&mut self.seen.lock().expect("nothing panics under the lock"))
    }

    /// Whether this is one of the calls that a fault of now and then hits.
    fn every(&self, so_many: u64) -> bool {
        self.seen(|seen| {
            seen.calls += 1;
            seen.calls.is_multiple_of(so_many)
        })
    }

    fn id(&self, id: &SessionId) -> SessionId {
        match self.fault {
            F::CaseInsensitiveIds => {
                let text = id.to_string();
                let (front, last) = text.split_at(SessionId::TEXT_LEN - 1);
                format!("{}{last}", front.to_lowercase()).parse().unwrap()
            }
            F::IgnoresABitOfTheId => {
                let mut bytes = *id.as_bytes();
                bytes[9] &= 0xfb;
                SessionId::from_bytes(bytes)
            }
            _ => *id,
        }
    }

    fn owner(&self, owner: &Owner) -> Owner {
        let name = owner.as_str();
        let name = match self.fault {
            F::OwnersFoldCase => name.to_lowercase(),
            F::OwnersTrimmed => name.trim_end().to_owned(),
            F::IgnoresTheLastByteOfOwners => name.chars().take(254).collect(),
            _ => name.to_owned(),
        };
        Owner::new(name).unwrap_or_else(|_| owner.clone())
    }

    /// The record as this store would bring it back.
    fn kept(&self, record: &Record) -> Record {
        let mut record = record.clone();
        match self.fault {
            F::DataAsSortedMap => {
                let map: BTreeMap<_, _> = record.data.entries().collect();
                let text: Vec<_> = map.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
                if let Ok(data) = Data::parse(&format!("{{{}}}", text.join(","))) {
                    record.data = data;
                }
            }
            F::CutsLargeData if record.data.as_str().len() > 65_535 => record.data = Data::new(),
            F::TimesInSeconds => {
                let ms = record.accessed_at.as_unix_ms();
                record.accessed_at = Timestamp::from_unix_ms(ms - ms % 1_000);
            }
            _ => {}
        }
        record
    }

    fn lost<T>(&self, result: Result<T, StoreError>, answer: T) -> Result<T, StoreError> {
        match (self.fault, result) {
            (F::LosesErrors, Err(error)) if error.kind() == StoreErrorKind::Unavailable => {
                Ok(answer)
            }
            (F::NeverRecovers, Err(error)) => {
                self.seen(|seen| seen.failed = true);
                Err(error)
            }
            (F::NeverRecovers, Ok(_)) if self.seen(|seen| seen.failed) => {
                Err(StoreError::new(StoreErrorKind::Unavailable, "still down"))
            }
            (_, result) => result,
        }
    }

    /// Replaces whatever is there.
    async fn put(&self, id: &SessionId, record: &Record) -> Result<(), StoreError> {
        while self.store.create(id, record).await? == Created::Taken {
            let _ = self.store.delete(id, Only::Any).await?;
        }
        Ok(())
    }

    async fn every_record(&self) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut all = Vec::new();
        for id in self.store.scan(Cursor::start(), usize::MAX).await?.ids {
            if let Ok(Some(record)) = self.store.load(&id).await {
                all.push((id, record));
            }
        }
        Ok(all)
    }
}

fn later(at: Timestamp) -> Timestamp {
    at.after(Duration::from_millis(1))
}

// Each call goes to the inherent method of the same name.
#[async_trait]
impl Store for Broken {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        Broken::create(self, id, record).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        Broken::load(self, id).await
    }

    fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        Broken::in_memory(self, id)
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        Broken::update(self, id, record, expected).await
    }

    fn update_in_memory(
        &self,
        _: &SessionId,
        _: &Arc<Record>,
        _: Version,
    ) -> Option<Result<Written, StoreError>> {
        let drops = self.fault == F::DropsWhatItUpdatesInMemory;
        drops.then_some(Ok(Written::Done))
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        Broken::touch(self, id, touch).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        Broken::delete(self, id, only).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        Broken::owned_by(self, owner).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        Broken::scan(self, cursor, limit).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        Broken::sweep(self, expired_before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Broken::ping(self).await
    }
}

/// Another harness's stores, broken.
pub(crate) struct BrokenHarness<H> {
    pub(crate) harness: H,
    pub(crate) fault: Fault,
}

#[async_trait]
impl<H: Harness> Harness for BrokenHarness<H> {
    async fn empty_store(&self) -> Arc<dyn Store> {
        Arc::new(Broken::new(self.harness.empty_store().await, self.fault))
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        Arc::new(Broken::new(self.harness.small_store().await, self.fault))
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        if self.fault == F::SeesNothingOfOthers {
            return Arc::new(MemoryStore::new());
        }
        Arc::new(Broken::new(self.harness.reopen().await, self.fault))
    }

    /// Every broken store meets these properties; few are there for them.
    fn histories(&self) -> usize {
        25
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        self.harness.plant(id, what).await;
    }

    async fn break_backend(&self) {
        self.harness.break_backend().await;
    }

    async fn mend_backend(&self) {
        self.harness.mend_backend().await;
    }
}
