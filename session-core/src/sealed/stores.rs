//! The stores that a manager of sealed sessions works with: none keeps a session.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::Sealed;
use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

/// The sessions of one exchange: the one that came with the request, and those begun since.
///
/// The manager reads and writes it as it does any store, so its rules need no exceptions; the
/// exchange's end seals what is in force.
pub(super) struct Slot {
    sealed: Arc<Sealed>,
    records: Mutex<Vec<(SessionId, Arc<Record>)>>,
}

impl Slot {
    /// With the session that the request's token opened.
    pub(super) fn new(sealed: Arc<Sealed>, found: Option<(SessionId, &Arc<Record>)>) -> Self {
        let records = found.map(|(id, record)| (id, Arc::clone(record)));
        Self {
            sealed,
            records: Mutex::new(records.into_iter().collect()),
        }
    }

    fn records(&self) -> MutexGuard<'_, Vec<(SessionId, Arc<Record>)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

#[async_trait]
impl Store for Slot {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.sealed.check_record(id, record)?;
        let mut records = self.records();
        if records.iter().any(|(known, _)| known == id) {
            return Ok(Created::Taken);
        }
        records.push((*id, Arc::new(record.clone())));
        Ok(Created::Done)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let records = self.records();
        let found = records.iter().find(|(known, _)| known == id);
        Ok(found.map(|(_, record)| Record::clone(record)))
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.sealed.check_record(id, record)?;
        let mut records = self.records();
        let Some((_, stored)) = records.iter_mut().find(|(known, _)| known == id) else {
            return Ok(Written::Gone);
        };
        if stored.version != expected {
            return Ok(Written::Conflict);
        }
        let accessed_at = stored.accessed_at.max(record.accessed_at);
        *stored = Arc::new(Record {
            accessed_at,
            ..record.clone()
        });
        Ok(Written::Done)
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let mut records = self.records();
        let found = records.iter_mut().find(|(known, _)| known == id);
        Ok(
            match found.map(|(_, record)| Arc::make_mut(record).touch(touch)) {
                Some(true) => Written::Done,
                Some(false) => Written::Conflict,
                None => Written::Gone,
            },
        )
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let mut records = self.records();
        let Some(at) = records.iter().position(|(known, _)| known == id) else {
            return Ok(Written::Gone);
        };
        if let Only::Generation(generation) = only
            && records[at].1.generation != generation
        {
            return Ok(Written::Conflict);
        }
        records.swap_remove(at);
        Ok(Written::Done)
    }

    async fn owned_by(&self, _: &Owner) -> Result<Vec<SessionId>, StoreError> {
        Err(unsupported())
    }

    async fn scan(&self, _: Cursor, _: usize) -> Result<Page, StoreError> {
        Err(unsupported())
    }

    async fn sweep(&self, _: Timestamp, _: usize) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Where sealed sessions can be looked for from outside of an exchange; what is known of them
/// all is what was revoked.
#[derive(Debug)]
pub(super) struct Nowhere {
    pub(super) revocations: Option<Arc<dyn Store>>,
}

#[async_trait]
impl Store for Nowhere {
    async fn create(&self, _: &SessionId, _: &Record) -> Result<Created, StoreError> {
        Err(unsupported())
    }

    async fn load(&self, _: &SessionId) -> Result<Option<Record>, StoreError> {
        Err(unsupported())
    }

    async fn update(&self, _: &SessionId, _: &Record, _: Version) -> Result<Written, StoreError> {
        Err(unsupported())
    }

    async fn touch(&self, _: &SessionId, _: &Touch) -> Result<Written, StoreError> {
        Err(unsupported())
    }

    async fn delete(&self, _: &SessionId, _: Only) -> Result<Written, StoreError> {
        Err(unsupported())
    }

    async fn owned_by(&self, _: &Owner) -> Result<Vec<SessionId>, StoreError> {
        Err(unsupported())
    }

    async fn scan(&self, _: Cursor, _: usize) -> Result<Page, StoreError> {
        Err(unsupported())
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        match &self.revocations {
            Some(store) => store.sweep(expired_before, limit).await,
            None => Ok(0),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match &self.revocations {
            Some(store) => store.ping().await,
            None => Ok(()),
        }
    }
}

fn unsupported() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unsupported,
        "sealed sessions are kept by their clients, so none can be looked up",
    )
}
