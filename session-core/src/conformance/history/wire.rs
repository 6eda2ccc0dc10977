//! The way to a store: calls take their time, and may get lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::{JoinSet, yield_now};

use super::dice::Dice;
use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

/// A store at the end of a wire.
#[derive(Debug)]
pub(super) struct Wire {
    store: Arc<dyn Store>,
    /// Of a hundred calls so many fail.
    faults: AtomicUsize,
    dice: Mutex<Dice>,
    late: Mutex<JoinSet<()>>,
}

/// What happens to one call.
struct Course {
    /// Pauses before and after, in which other clients come between.
    pauses: (usize, usize),
    fault: Option<Fault>,
}

#[derive(Clone, Copy)]
enum Fault {
    /// It does not arrive.
    Refused,
    /// It is done and the answer is lost.
    AnswerLost,
    /// The caller is told of an error while it is still on its way.
    Late,
}

impl Wire {
    pub(super) fn new(store: Arc<dyn Store>, faults: usize, dice: Dice) -> Self {
        Self {
            store,
            faults: AtomicUsize::new(faults),
            dice: Mutex::new(dice),
            late: Mutex::default(),
        }
    }

    /// From now on no call goes wrong.
    pub(super) fn mend(&self) {
        self.faults.store(0, Ordering::SeqCst);
    }

    /// Waits until nothing is on its way any more.
    pub(super) async fn settle(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        late.join_all().await;
    }

    fn course(&self) -> Course {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = self.faults.load(Ordering::SeqCst);
        let pauses = (dice.below(3), dice.below(3));
        let fault = dice.percent(faults).then(|| match dice.below(3) {
            0 => Fault::Refused,
            1 => Fault::AnswerLost,
            _ => Fault::Late,
        });
        Course { pauses, fault }
    }

    /// Nothing can be lost on the way to memory, so that is asked now and then.
    fn asks_memory(&self) -> bool {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        dice.percent(50)
    }

    async fn read<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let course = self.course();
        pause(course.pauses.0).await;
        let answer = match course.fault {
            Some(_) => Err(lost()),
            None => call.await,
        };
        pause(course.pauses.1).await;
        answer
    }

    async fn write<T, F>(&self, call: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let course = self.course();
        let call = call(Arc::clone(&self.store));
        pause(course.pauses.0).await;
        let answer = match course.fault {
            None => call.await,
            Some(Fault::Refused) => Err(lost()),
            Some(Fault::AnswerLost) => {
                let _unheard = call.await;
                Err(lost())
            }
            Some(Fault::Late) => {
                let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
                late.spawn(async move {
                    pause(3 * course.pauses.1).await;
                    let _unheard = call.await;
                });
                Err(lost())
            }
        };
        pause(course.pauses.1).await;
        answer
    }
}

async fn pause(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the suite cut the wire")
}

#[async_trait]
impl Store for Wire {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let (id, record) = (*id, record.clone());
        self.write(|store| async move { store.create(&id, &record).await })
            .await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.read(self.store.load(id)).await
    }

    fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        self.asks_memory().then(|| self.store.in_memory(id))?
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let (id, record) = (*id, record.clone());
        self.write(move |store| async move { store.update(&id, &record, expected).await })
            .await
    }

    fn update_in_memory(
        &self,
        id: &SessionId,
        record: &Arc<Record>,
        expected: Version,
    ) -> Option<Result<Written, StoreError>> {
        let ask = || self.store.update_in_memory(id, record, expected);
        self.asks_memory().then(ask)?
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let (id, touch) = (*id, *touch);
        self.write(move |store| async move { store.touch(&id, &touch).await })
            .await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let id = *id;
        self.write(move |store| async move { store.delete(&id, only).await })
            .await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.read(self.store.owned_by(owner)).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.read(self.store.scan(cursor, limit)).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let sweep =
            move |store: Arc<dyn Store>| async move { store.sweep(expired_before, limit).await };
        self.write(sweep).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(self.store.ping()).await
    }
}
