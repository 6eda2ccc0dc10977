//! A store around another that counts calls and breaks on request.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::gate::Gate;
use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};

/// Counts the calls of the store it wraps and injects faults into them; clones share both.
///
/// "An untouched session costs nothing" and "an outage is never a success" become tests: the
/// first compares whole [`Counts`], the second injects a [`Fault`] into one [`Operation`].
///
/// ```
/// use session_core::conformance::{Counts, Fault, Operation, SpyStore};
/// use session_core::{MemoryStore, SessionId, Store, StoreErrorKind};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spy = SpyStore::new(MemoryStore::new());
/// let id = SessionId::random()?;
/// assert_eq!(spy.load(&id).await?, None);
/// assert_eq!(spy.counts(), Counts { loads: 1, ..Counts::default() });
///
/// spy.always(Operation::Load, Fault::Refuse(StoreErrorKind::Unavailable));
/// assert!(spy.load(&id).await.is_err());
/// spy.heal();
/// assert_eq!(spy.load(&id).await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SpyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    always: HashMap<Operation, Fault>,
    once: HashMap<Operation, Fault>,
    yields: bool,
    late: Option<Late>,
}

/// A write that is still on its way.
#[derive(Debug)]
struct Late {
    id: SessionId,
    record: Record,
    expected: Option<Version>,
}

/// How often each operation was called, faulty calls included.
///
/// ```
/// use session_core::conformance::Counts;
///
/// let one_read = Counts { loads: 1, ..Counts::default() };
/// assert_ne!(one_read, Counts::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of [`Store::create`].
    pub creates: u64,
    /// Calls of [`Store::load`].
    pub loads: u64,
    /// Calls of [`Store::update`].
    pub updates: u64,
    /// Calls of [`Store::touch`].
    pub touches: u64,
    /// Calls of [`Store::delete`].
    pub deletes: u64,
    /// Calls of [`Store::owned_by`].
    pub owned_bys: u64,
    /// Calls of [`Store::scan`].
    pub scans: u64,
    /// Calls of [`Store::sweep`].
    pub sweeps: u64,
    /// Calls of [`Store::ping`].
    pub pings: u64,
}

/// One method of [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Store::create`].
    Create,
    /// [`Store::load`].
    Load,
    /// [`Store::update`].
    Update,
    /// [`Store::touch`].
    Touch,
    /// [`Store::delete`].
    Delete,
    /// [`Store::owned_by`].
    OwnedBy,
    /// [`Store::scan`].
    Scan,
    /// [`Store::sweep`].
    Sweep,
    /// [`Store::ping`].
    Ping,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails with an error of this kind; nothing is done.
    Refuse(StoreErrorKind),
    /// It never answers; nothing is done.
    Hang,
    /// It is done, and its answer never comes.
    LoseAnswer,
    /// It is done, and its answer is [`StoreErrorKind::Unavailable`].
    BreakAnswer,
    /// A write answers that another was first; nothing is done.
    Conflict,
    /// It waits at this gate, then it is done.
    Hold(Gate),
    /// It is done, and its answer waits at this gate.
    HoldAnswer(Gate),
    /// A create or update fails with [`StoreErrorKind::Unavailable`] and arrives all the same:
    /// just before the next create or update.
    ArriveLate,
}

impl SpyStore {
    /// A spy around `store`.
    pub fn new(store: impl IntoStore) -> Self {
        Self(Arc::new(Inner {
            store: store.into_store(),
            state: Mutex::default(),
        }))
    }

    /// The store without the spy: what is asked of it is not counted and does not break.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// The calls since the spy was made or last reset.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.state().counts = Counts::default();
    }

    /// Every call of `operation` meets `fault`, until [`heal`](Self::heal).
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.state().always.insert(operation, fault);
    }

    /// The next call of `operation` meets `fault`.
    pub fn once(&self, operation: Operation, fault: Fault) {
        self.state().once.insert(operation, fault);
    }

    /// The next call of `operation` waits at the gate returned.
    #[must_use]
    pub fn hold(&self, operation: Operation) -> Gate {
        let gate = Gate::new();
        self.once(operation, Fault::Hold(gate.clone()));
        gate
    }

    /// The answer of the next call of `operation` waits at the gate returned.
    #[must_use]
    pub fn hold_answer(&self, operation: Operation) -> Gate {
        let gate = Gate::new();
        self.once(operation, Fault::HoldAnswer(gate.clone()));
        gate
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        let mut state = self.state();
        state.always.clear();
        state.once.clear();
    }

    /// Lets other tasks run before and after each call, so that requests on one thread come
    /// between each other's loads and writes as they would over a network.
    pub fn interleave(&self) {
        self.state().yields = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the write arrive that is on its way, then sends this one on its way if it is to be
    /// late.
    async fn mind_late(
        &self,
        operation: Operation,
        id: &SessionId,
        record: &Record,
        expected: Option<Version>,
    ) {
        let arriving = {
            let mut state = self.state();
            let once = state.once.get(&operation);
            let fault = once.or_else(|| state.always.get(&operation));
            let next = matches!(fault, Some(Fault::ArriveLate)).then(|| Late {
                id: *id,
                record: record.clone(),
                expected,
            });
            std::mem::replace(&mut state.late, next)
        };
        if let Some(late) = arriving {
            // Nobody waits for its answer any more.
            match late.expected {
                Some(expected) => {
                    let update = self.0.store.update(&late.id, &late.record, expected);
                    let _unheard = update.await;
                }
                None => {
                    let _unheard = self.0.store.create(&late.id, &late.record).await;
                }
            }
        }
    }

    async fn call<T>(
        &self,
        operation: Operation,
        conflict: Option<T>,
        done: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let (fault, yields) = {
            let mut state = self.state();
            *state.counts.of(operation) += 1;
            let once = state.once.remove(&operation);
            let fault = once.or_else(|| state.always.get(&operation).cloned());
            (fault, state.yields)
        };
        if yields {
            tokio::task::yield_now().await;
        }
        let answer = match (fault, conflict) {
            (Some(Fault::Refuse(kind)), _) => Err(StoreError::new(kind, "the spy says no")),
            (Some(Fault::Hang), _) => pending().await,
            (Some(Fault::LoseAnswer), _) => {
                let _lost = done.await;
                pending().await
            }
            (Some(Fault::BreakAnswer), _) => {
                let _lost = done.await;
                let kind = StoreErrorKind::Unavailable;
                Err(StoreError::new(kind, "the connection broke"))
            }
            (Some(Fault::Conflict), Some(conflict)) => Ok(conflict),
            (Some(Fault::Hold(gate)), _) => {
                gate.pass().await;
                done.await
            }
            (Some(Fault::HoldAnswer(gate)), _) => {
                let answer = done.await;
                gate.pass().await;
                answer
            }
            (Some(Fault::ArriveLate), _) => {
                let kind = StoreErrorKind::Unavailable;
                Err(StoreError::new(kind, "it is still on its way"))
            }
            (Some(Fault::Conflict) | None, _) => done.await,
        };
        if yields {
            tokio::task::yield_now().await;
        }
        answer
    }
}

impl Counts {
    fn of(&mut self, operation: Operation) -> &mut u64 {
        match operation {
            Operation::Create => &mut self.creates,
            Operation::Load => &mut self.loads,
            Operation::Update => &mut self.updates,
            Operation::Touch => &mut self.touches,
            Operation::Delete => &mut self.deletes,
            Operation::OwnedBy => &mut self.owned_bys,
            Operation::Scan => &mut self.scans,
            Operation::Sweep => &mut self.sweeps,
            Operation::Ping => &mut self.pings,
        }
    }
}

#[async_trait]
impl Store for SpyStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.mind_late(Operation::Create, id, record, None).await;
        let done = self.0.store.create(id, record);
        self.call(Operation::Create, Some(Created::Taken), done)
            .await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.call(Operation::Load, None, self.0.store.load(id))
            .await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.mind_late(Operation::Update, id, record, Some(expected))
            .await;
        let done = self.0.store.update(id, record, expected);
        self.call(Operation::Update, Some(Written::Conflict), done)
            .await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let done = self.0.store.touch(id, touch);
        self.call(Operation::Touch, Some(Written::Conflict), done)
            .await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let done = self.0.store.delete(id, only);
        self.call(Operation::Delete, Some(Written::Conflict), done)
            .await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.call(Operation::OwnedBy, None, self.0.store.owned_by(owner))
            .await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let done = self.0.store.scan(cursor, limit);
        self.call(Operation::Scan, None, done).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let done = self.0.store.sweep(expired_before, limit);
        self.call(Operation::Sweep, None, done).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(Operation::Ping, None, self.0.store.ping()).await
    }
}
