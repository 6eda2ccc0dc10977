//! The simplest store that passes the whole suite: encoded records in an ordered map.
//!
//! It keeps bytes, as a file or a table does, so its records can be damaged; and its backend
//! can be opened twice, filled up and broken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted, samples};
use session_core::{
    Created, Cursor, Only, Owner, Page, Record, SessionId, Store, StoreError, StoreErrorKind,
    Timestamp, Touch, Version, Written,
};

#[derive(Debug, Default)]
pub(crate) struct Backend {
    rows: Mutex<BTreeMap<SessionId, Vec<u8>>>,
    bytes_max: Option<usize>,
    down: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct PlainStore(pub(crate) Arc<Backend>);

type Rows = BTreeMap<SessionId, Vec<u8>>;

impl PlainStore {
    fn rows(&self) -> Result<MutexGuard<'_, Rows>, StoreError> {
        if self.0.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "it is down"));
        }
        Ok(self.0.rows.lock().expect("nothing panics under the lock"))
    }

    fn put(&self, rows: &mut Rows, id: &SessionId, record: &Record) -> Result<(), StoreError> {
        let json = record.encode().into_bytes();
        let others = rows.iter().filter(|(other, _)| *other != id);
        let bytes: usize = others.map(|(_, bytes)| bytes.len()).sum();
        if self.0.bytes_max.is_some_and(|max| bytes + json.len() > max) {
            return Err(StoreError::new(StoreErrorKind::Full, "it is full"));
        }
        rows.insert(*id, json);
        Ok(())
    }
}

fn read(rows: &Rows, id: &SessionId) -> Result<Option<Record>, StoreError> {
    rows.get(id).map(|bytes| Record::decode(bytes)).transpose()
}

#[async_trait]
impl Store for PlainStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let mut rows = self.rows()?;
        if rows.contains_key(id) {
            return Ok(Created::Taken);
        }
        self.put(&mut rows, id, record)?;
        Ok(Created::Done)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        read(&*self.rows()?, id)
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let mut rows = self.rows()?;
        let Some(stored) = read(&rows, id)? else {
            return Ok(Written::Gone);
        };
        if stored.version != expected {
            return Ok(Written::Conflict);
        }
        let accessed_at = record.accessed_at.max(stored.accessed_at);
        let record = Record {
            accessed_at,
            ..record.clone()
        };
        self.put(&mut rows, id, &record)?;
        Ok(Written::Done)
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let mut rows = self.rows()?;
        let Some(mut stored) = read(&rows, id)? else {
            return Ok(Written::Gone);
        };
        if !stored.touch(touch) {
            return Ok(Written::Conflict);
        }
        self.put(&mut rows, id, &stored)?;
        Ok(Written::Done)
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let mut rows = self.rows()?;
        if !rows.contains_key(id) {
            return Ok(Written::Gone);
        }
        if let Only::Generation(generation) = only
            && read(&rows, id)?.is_some_and(|stored| stored.generation != generation)
        {
            return Ok(Written::Conflict);
        }
        rows.remove(id);
        Ok(Written::Done)
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let rows = self.rows()?;
        let of_owner = |id: &&SessionId| {
            let record = read(&rows, id).ok().flatten();
            record.is_some_and(|record| record.owner.as_ref() == Some(owner))
        };
        Ok(rows.keys().filter(of_owner).copied().collect())
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let after: Option<SessionId> = cursor.position().and_then(|text| text.parse().ok());
        let rows = self.rows()?;
        let past = rows
            .keys()
            .filter(|id| after.is_none_or(|after| **id > after));
        let ids: Vec<_> = past.take(limit).copied().collect();
        let last = ids.last().filter(|_| ids.len() == limit);
        let next = last.map(|last| Cursor::at(last.to_string()));
        Ok(Page { ids, next })
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut rows = self.rows()?;
        let expired = |id: &&SessionId| {
            let record = read(&rows, id).ok().flatten();
            record.is_some_and(|record| record.is_expired(expired_before))
        };
        let due: Vec<_> = rows.keys().filter(expired).take(limit).copied().collect();
        due.iter().for_each(|id| drop(rows.remove(id)));
        Ok(due.len() as u64)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.rows().map(drop)
    }
}

/// Offers everything.
#[derive(Default)]
pub(crate) struct Plain {
    backend: Mutex<Arc<Backend>>,
}

impl Plain {
    pub(crate) fn backend(&self) -> Arc<Backend> {
        Arc::clone(&self.backend.lock().expect("nothing panics under the lock"))
    }

    fn open_new(&self, bytes_max: Option<usize>) -> Arc<dyn Store> {
        let backend = Arc::new(Backend {
            bytes_max,
            ..Backend::default()
        });
        *self.backend.lock().expect("nothing panics under the lock") = Arc::clone(&backend);
        Arc::new(PlainStore(backend))
    }
}

#[async_trait]
impl Harness for Plain {
    async fn empty_store(&self) -> Arc<dyn Store> {
        self.open_new(None)
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        self.open_new(Some(100_000))
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        Arc::new(PlainStore(self.backend()))
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        let bytes = match what {
            Planted::Undecodable => samples::UNDECODABLE.to_vec(),
            Planted::NewerFormat => samples::newer_format().into_bytes(),
        };
        let backend = self.backend();
        let mut rows = backend.rows.lock().expect("nothing panics under the lock");
        rows.insert(*id, bytes);
    }

    async fn break_backend(&self) {
        self.backend().down.store(true, Ordering::SeqCst);
    }

    async fn mend_backend(&self) {
        self.backend().down.store(false, Ordering::SeqCst);
    }
}
