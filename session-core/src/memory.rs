//! A store in the application's own memory: for one process, and for tests.

use std::collections::BTreeSet;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::hash::BuildHasher;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

mod shard;

pub(crate) use self::shard::weight;
use self::shard::{SHARDS, Shard, Slot, shard_of};

/// Keeps sessions in memory, up to a number of sessions and of bytes: for one process, and for tests.
///
/// Sessions end with the process. A full store refuses new ones rather than dropping live ones,
/// because to a visitor a dropped session is a lost basket; the manager's sweep makes room. What
/// `load` hands out shares the data with what is kept.
///
/// ```
/// use session_core::{Clock, Created, Expiry, MemoryStore, Record, Store, Token};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let token = Token::random()?;
/// let record = Record::new(token.digest(), Clock::system().now(), Expiry::NEVER)?;
/// assert_eq!(store.create(&token.id(), &record).await?, Created::Done);
/// assert_eq!(store.load(&token.id()).await?, Some(record));
/// assert_eq!(store.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    /// By a byte of their ids. A lock is held for one operation and never across an `.await`.
    shards: Box<[Mutex<Shard>]>,
    owners: Box<[Mutex<Owners>]>,
    owner_hasher: RandomState,
    limits: MemoryLimits,
    sessions: AtomicUsize,
    bytes: AtomicUsize,
    /// The shard at which the next sweep begins, so that small batches reach all of them.
    sweep_from: AtomicUsize,
}

/// How much a [`MemoryStore`] holds before it refuses.
///
/// # Default
///
/// A million sessions and 1 GiB, whichever is reached first.
///
/// ```
/// use session_core::{MemoryLimits, MemoryStore};
///
/// let limits = MemoryLimits { sessions: 10_000, ..MemoryLimits::default() };
/// let store = MemoryStore::bounded(limits);
/// assert!(store.is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The most sessions.
    pub sessions: usize,
    /// The most memory that sessions take, in bytes, as [`MemoryStore::bytes`] counts it.
    pub bytes: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            sessions: 1_000_000,
            bytes: 1 << 30,
        }
    }
}

impl MemoryStore {
    /// An empty store with the default [`MemoryLimits`].
    #[must_use]
    pub fn new() -> Self {
        Self::bounded(MemoryLimits::default())
    }

    /// An empty store with these limits.
    #[must_use]
    pub fn bounded(limits: MemoryLimits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            owners: (0..SHARDS).map(|_| Mutex::default()).collect(),
            owner_hasher: RandomState::new(),
            limits,
            sessions: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            sweep_from: AtomicUsize::new(0),
        }
    }

    /// The number of sessions kept, expired ones included until they are swept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Whether no session is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the sessions take, in bytes: data, index entries and bookkeeping.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, Shard> {
        locked(&self.shards[shard_of(id)])
    }

    fn owned(&self, owner: &Owner) -> MutexGuard<'_, Owners> {
        let hash = self.owner_hasher.hash_one(owner);
        locked(&self.owners[hash as usize % SHARDS])
    }

    /// Called under the record's shard lock, as is [`unbind`](Self::unbind): two changes of one
    /// record's owner cannot interleave and drop the entry that the later one needs.
    fn bind(&self, owner: Option<&Owner>, id: &SessionId) {
        if let Some(owner) = owner {
            self.owned(owner).insert((owner.clone(), *id));
        }
    }

    fn unbind(&self, owner: Option<&Owner>, id: &SessionId) {
        if let Some(owner) = owner {
            self.owned(owner).remove(&(owner.clone(), *id));
        }
    }

    /// Takes room for one more session, or for none where an existing one grows.
    fn reserve(&self, sessions: usize, bytes: usize) -> Result<(), StoreError> {
        if !add_within(&self.sessions, sessions, self.limits.sessions) {
            let most = self.limits.sessions;
            return Err(full(format!(
                "the memory store holds {most} sessions already"
            )));
        }
        if !add_within(&self.bytes, bytes, self.limits.bytes) {
            self.sessions.fetch_sub(sessions, Ordering::Relaxed);
            let most = self.limits.bytes;
            return Err(full(format!("the memory store's {most} bytes are taken")));
        }
        Ok(())
    }

    fn release(&self, sessions: usize, bytes: usize) {
        self.sessions.fetch_sub(sessions, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn weighed(&self, record: &Record) -> Result<usize, StoreError> {
        let bytes = weight(record);
        if bytes > self.limits.bytes {
            let most = self.limits.bytes;
            return Err(StoreError::new(
                StoreErrorKind::TooLarge,
                format!("the record takes {bytes} bytes, the memory store has {most}"),
            ));
        }
        Ok(bytes)
    }

    /// Puts `other` in the place of the one at version `expected`.
    fn replace(
        &self,
        id: &SessionId,
        mut other: Arc<Record>,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let bytes = self.weighed(&other)?;
        let mut guard = self.shard(id);
        let shard = &mut *guard;
        let Some(slot) = shard.slots.get_mut(id) else {
            return Ok(Written::Gone);
        };
        if slot.record.version != expected {
            return Ok(Written::Conflict);
        }
        let before = weight(&slot.record);
        match bytes.checked_sub(before) {
            Some(growth) => self.reserve(0, growth)?,
            None => self.release(0, before - bytes),
        }
        if slot.record.accessed_at > other.accessed_at {
            Arc::make_mut(&mut other).accessed_at = slot.record.accessed_at;
        }
        let moved = slot.record.owner != other.owner;
        if moved {
            self.bind(other.owner.as_ref(), id);
        }
        mem::swap(&mut slot.record, &mut other);
        slot.keep_bound_low(&mut shard.queue, id);
        if moved {
            self.unbind(other.owner.as_ref(), id);
        }
        // What was replaced is freed after the lock.
        drop(guard);
        Ok(Written::Done)
    }

    /// Removes a record, its place in the order of expiry and then its index entry; what it
    /// returns is best dropped after the lock.
    fn remove(&self, shard: &mut Shard, id: &SessionId) -> Option<Arc<Record>> {
        let slot = shard.slots.remove(id)?;
        if let Some(bound) = slot.queued {
            shard.queue.remove(&(bound, *id));
        }
        shard.give_back_room();
        self.unbind(slot.record.owner.as_ref(), id);
        self.release(1, weight(&slot.record));
        Some(slot.record)
    }

    /// Sweeps a part of one shard under one lock; says whether there may be more that is due.
    fn sweep_some(&self, at: usize, before: Timestamp, limit: u64) -> (Vec<Arc<Record>>, bool) {
        let mut removed = Vec::new();
        let mut shard = locked(&self.shards[at]);
        for _ in 0..SWEPT_UNDER_ONE_LOCK {
            if removed.len() as u64 == limit {
                return (removed, false);
            }
            let Some(&(bound, id)) = shard.queue.first().filter(|(bound, _)| *bound <= before)
            else {
                return (removed, false);
            };
            let Some(slot) = shard.slots.get_mut(&id) else {
                shard.queue.pop_first();
                continue;
            };
            match slot.record.expires_at() {
                Some(end) if end <= before => removed.extend(self.remove(&mut shard, &id)),
                later => {
                    slot.queued = later;
                    shard.queue.remove(&(bound, id));
                    shard.queue.extend(later.map(|end| (end, id)));
                }
            }
        }
        (removed, true)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    /// Shows sizes only: ids, owners and data may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.len())
            .field("bytes", &self.bytes())
            .field("limits", &self.limits)
            .finish()
    }
}

// No method but `sweep` awaits anything: each has happened, or not begun, whenever its future is dropped.
#[async_trait]
impl Store for MemoryStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let bytes = self.weighed(record)?;
        let mut shard = self.shard(id);
        let shard = &mut *shard;
        let Entry::Vacant(place) = shard.slots.entry(*id) else {
            return Ok(Created::Taken);
        };
        self.reserve(1, bytes)?;
        self.bind(record.owner.as_ref(), id);
        let queued = record.expires_at();
        place.insert(Slot {
            record: Arc::new(record.clone()),
            queued,
        });
        shard.queue.extend(queued.map(|end| (end, *id)));
        Ok(Created::Done)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        Ok(self.in_memory(id).map(Arc::unwrap_or_clone))
    }

    fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        let shard = self.shard(id);
        shard.slots.get(id).map(|slot| Arc::clone(&slot.record))
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.replace(id, Arc::new(record.clone()), expected)
    }

    fn update_in_memory(
        &self,
        id: &SessionId,
        record: &Arc<Record>,
        expected: Version,
    ) -> Option<Result<Written, StoreError>> {
        Some(self.replace(id, Arc::clone(record), expected))
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let mut shard = self.shard(id);
        Ok(match shard.slots.get_mut(id) {
            None => Written::Gone,
            // A later access never brings the expiry forward, so the bound stays a lower one.
            Some(slot) => match Arc::make_mut(&mut slot.record).touch(touch) {
                true => Written::Done,
                false => Written::Conflict,
            },
        })
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let mut shard = self.shard(id);
        let Some(slot) = shard.slots.get(id) else {
            return Ok(Written::Gone);
        };
        match only {
            Only::Generation(generation) if slot.record.generation != generation => {
                Ok(Written::Conflict)
            }
            Only::Generation(_) | Only::Any => {
                let removed = self.remove(&mut shard, id);
                drop(shard);
                drop(removed);
                Ok(Written::Done)
            }
        }
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let lowest = SessionId::from_bytes([0; SessionId::BYTES]);
        let owned = self.owned(owner);
        let from_first = owned.range((owner.clone(), lowest)..);
        Ok(from_first
            .take_while(|(of, _)| of == owner)
            .map(|(_, id)| *id)
            .collect())
    }

    /// A page costs a walk over one shard: ids are handed out in their order, maps have none.
    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let limit = limit.max(1);
        // A position that is not ours starts over, which lists too much and never too little.
        let mut after = cursor.position().and_then(|text| text.parse().ok());
        let mut ids: Vec<SessionId> = Vec::new();
        for at in after.as_ref().map_or(0, shard_of)..SHARDS {
            let from = ids.len();
            {
                let shard = locked(&self.shards[at]);
                let past = |id: &&SessionId| after.is_none_or(|after| **id > after);
                ids.extend(shard.slots.keys().filter(past));
            }
            after = None;
            ids[from..].sort_unstable();
            if ids.len() >= limit {
                ids.truncate(limit);
                let next = ids.last().map(|last| Cursor::at(last.encode().as_str()));
                return Ok(Page { ids, next });
            }
        }
        Ok(Page { ids, next: None })
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let limit = limit as u64;
        let first = self.sweep_from.fetch_add(1, Ordering::Relaxed);
        let (mut removed, mut since_others) = (0, 0);
        for at in (0..SHARDS).map(|step| first.wrapping_add(step) % SHARDS) {
            let mut more = true;
            while more && removed < limit {
                let swept;
                (swept, more) = self.sweep_some(at, expired_before, limit - removed);
                removed += swept.len() as u64;
                since_others += swept.len();
                drop(swept);
                // The requests of this thread are not to wait for the rest, either.
                if since_others >= SWEPT_UNDER_ONE_LOCK && removed < limit {
                    since_others = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(removed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// So many entries of the order of expiry are looked at before others get the lock.
const SWEPT_UNDER_ONE_LOCK: usize = 256;

/// A set of pairs and not a map of sets: most owners have one session.
type Owners = BTreeSet<(Owner, SessionId)>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under a lock, so what is behind a poisoned one is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add_within(counter: &AtomicUsize, amount: usize, most: usize) -> bool {
    let within = |now: usize| now.checked_add(amount).filter(|sum| *sum <= most);
    amount == 0
        || counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_ok()
}

fn full(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Full, message)
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
