//! A store that is broken on purpose: it answers from memory and writes a little later.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_kit::{
    Created, Cursor, MemoryStore, Only, Owner, Page, Record, SessionId, Store, StoreError,
    Timestamp, Touch, Version, Written,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Answers before it has written.
#[derive(Debug)]
pub(crate) struct Hasty {
    memory: MemoryStore,
    behind: Arc<dyn Store>,
    later: UnboundedSender<Write>,
}

#[derive(Debug)]
enum Write {
    Create(SessionId, Record),
    Update(SessionId, Record, Version),
    Touch(SessionId, Touch),
    Delete(SessionId, Only),
}

impl Hasty {
    /// A buffer before `behind`.
    pub(crate) fn before(behind: Arc<dyn Store>) -> Self {
        let (later, mut writes) = unbounded_channel();
        let store = Arc::clone(&behind);
        tokio::spawn(async move {
            while let Some(write) = writes.recv().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
                match write {
                    Write::Create(id, record) => drop(store.create(&id, &record).await),
                    Write::Update(id, record, from) => drop(store.update(&id, &record, from).await),
                    Write::Touch(id, touch) => drop(store.touch(&id, &touch).await),
                    Write::Delete(id, only) => drop(store.delete(&id, only).await),
                }
            }
        });
        Self {
            memory: MemoryStore::new(),
            behind,
            later,
        }
    }

    async fn known(&self, id: &SessionId) -> Result<(), StoreError> {
        if self.memory.load(id).await?.is_none()
            && let Some(record) = self.behind.load(id).await?
        {
            let _created = self.memory.create(id, &record).await?;
        }
        Ok(())
    }

    fn later(&self, write: Write) {
        self.later
            .send(write)
            .expect("the writer lives as long as the process");
    }
}

#[async_trait]
impl Store for Hasty {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.later(Write::Create(*id, record.clone()));
        self.memory.create(id, record).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.known(id).await?;
        self.memory.load(id).await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let written = self.memory.update(id, record, expected).await?;
        if written == Written::Done {
            self.later(Write::Update(*id, record.clone(), expected));
        }
        Ok(written)
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        self.later(Write::Touch(*id, *touch));
        self.memory.touch(id, touch).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        self.later(Write::Delete(*id, only));
        self.memory.delete(id, only).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.memory.owned_by(owner).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.memory.scan(cursor, limit).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.memory.sweep(expired_before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.behind.ping().await
    }
}
