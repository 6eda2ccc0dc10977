//! A map behind one lock: the contract of a store at its shortest.
//!
//! What it takes: `update`, `touch` and `delete` look and write as one step, only `create`
//! creates, and what is there is answered as it is: the manager judges, the store does not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use session_kit::{
    Created, Cursor, Only, Owner, Page, Record, SessionId, Store, StoreError, Timestamp, Touch,
    Version, Written,
};

/// Keeps everything until the process ends, however much it is: good for a test, not for more.
#[derive(Debug, Default)]
pub(crate) struct MapStore(Mutex<BTreeMap<SessionId, Record>>);

impl MapStore {
    /// Nothing here waits while it holds the lock.
    fn records(&self) -> MutexGuard<'_, BTreeMap<SessionId, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MapStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let mut records = self.records();
        if records.contains_key(id) {
            return Ok(Created::Taken);
        }
        records.insert(*id, record.clone());
        Ok(Created::Done)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        Ok(self.records().get(id).cloned())
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let mut records = self.records();
        let Some(stored) = records.get_mut(id) else {
            return Ok(Written::Gone);
        };
        if stored.version != expected {
            return Ok(Written::Conflict);
        }
        // A touch since the record was read is kept.
        let accessed_at = stored.accessed_at.max(record.accessed_at);
        *stored = Record {
            accessed_at,
            ..record.clone()
        };
        Ok(Written::Done)
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let mut records = self.records();
        let Some(stored) = records.get_mut(id) else {
            return Ok(Written::Gone);
        };
        if stored.generation != touch.generation {
            return Ok(Written::Conflict);
        }
        stored.touch(touch);
        Ok(Written::Done)
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let mut records = self.records();
        let Some(stored) = records.get(id) else {
            return Ok(Written::Gone);
        };
        if matches!(only, Only::Generation(generation) if generation != stored.generation) {
            return Ok(Written::Conflict);
        }
        records.remove(id);
        Ok(Written::Done)
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        // An index would be faster; it must then be written before the record and removed after.
        let records = self.records();
        let theirs = records
            .iter()
            .filter(|(_, record)| record.owner.as_ref() == Some(owner));
        Ok(theirs.map(|(id, _)| *id).collect())
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let after = cursor.position().and_then(|id| id.parse().ok());
        let records = self.records();
        let rest = records.keys().filter(|id| Some(**id) > after);
        let ids: Vec<_> = rest.take(limit.max(1)).copied().collect();
        let next = ids.last().map(|last| Cursor::at(last.to_string()));
        Ok(Page { ids, next })
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut records = self.records();
        let expired = |record: &Record| {
            let ends = record.expires_at();
            ends.is_some_and(|ends| ends <= expired_before)
        };
        let before = records.len();
        let mut left = limit;
        records.retain(|_, record| {
            let goes = left > 0 && expired(record);
            left -= usize::from(goes);
            !goes
        });
        Ok((before - records.len()) as u64)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
