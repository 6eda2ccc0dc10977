//! Sessions in the application's own memory: for tests, and for one process that may forget.
//!
//! Records are held as they are, so a load copies pointers and no data. The map is divided into
//! shards by the id's first byte; an operation takes one shard's lock once and never across an
//! `.await`. The order of expiry is kept lazily: an entry is a lower bound, and a sweep that finds
//! its record living longer puts it back, so that updates and touches leave the order alone.
//!
//! Full is full: a new session is refused rather than a live one dropped, since dropping would
//! let a flood of visitors sign everybody out.
//!
//! ```
//! use session_core::{MemoryLimits, MemoryStore};
//!
//! let store = MemoryStore::bounded(MemoryLimits { sessions: 10_000, bytes: 64 << 20 });
//! assert!(store.is_empty());
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::{IdMap, SessionId};
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

/// A bounded store in the process's own memory; it survives no restart.
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    owners: Mutex<HashMap<Owner, HashSet<SessionId>>>,
    limits: MemoryLimits,
    sessions: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a [`MemoryStore`] holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The number of sessions.
    pub sessions: usize,
    /// Their size in bytes, estimated: text held, and 320 bytes for each record.
    pub bytes: usize,
}

impl Default for MemoryLimits {
    /// A million sessions, one GiB.
    fn default() -> Self {
        Self {
            sessions: 1_000_000,
            bytes: 1 << 30,
        }
    }
}

#[derive(Default)]
struct Shard {
    records: IdMap<Slot>,
    /// When each expiring record is to be looked at, at the latest moment that is surely early
    /// enough.
    due: BTreeSet<(Timestamp, SessionId)>,
}

struct Slot {
    record: Record,
    queued: Option<Timestamp>,
}

impl MemoryStore {
    /// A store of up to a million sessions and one GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::bounded(MemoryLimits::default())
    }

    /// A store of these limits.
    #[must_use]
    pub fn bounded(limits: MemoryLimits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            owners: Mutex::default(),
            limits,
            sessions: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The number of sessions held, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }

    /// Whether no session is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The estimated size of all sessions in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, Shard> {
        self.shard_at(usize::from(id.as_bytes()[0]) % SHARDS)
    }

    fn shard_at(&self, at: usize) -> MutexGuard<'_, Shard> {
        // No operation can panic between two writes of a shard.
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<Owner, HashSet<SessionId>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the index follow a change of owner; the record's shard is locked meanwhile.
    fn reindex(&self, id: &SessionId, before: Option<&Owner>, after: Option<&Owner>) {
        if before == after {
            return;
        }
        let mut owners = self.owners();
        if let Some(after) = after {
            owners.entry(after.clone()).or_default().insert(*id);
        }
        if let Some(before) = before {
            if let Some(ids) = owners.get_mut(before) {
                ids.remove(id);
                if ids.is_empty() {
                    owners.remove(before);
                }
            }
        }
    }

    fn remove(&self, shard: &mut Shard, id: &SessionId) {
        if let Some(slot) = shard.records.remove(id) {
            if let Some(at) = slot.queued {
                shard.due.remove(&(at, *id));
            }
            self.reindex(id, slot.record.owner.as_ref(), None);
            self.sessions.fetch_sub(1, Ordering::SeqCst);
            self.bytes.fetch_sub(size(&slot.record), Ordering::SeqCst);
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let mut shard = self.shard(id);
        if shard.records.contains_key(id) {
            return Ok(Created::Taken);
        }
        let limits = self.limits;
        reserve(&self.sessions, 1, limits.sessions, "sessions")?;
        if let Err(full) = reserve(&self.bytes, size(record), limits.bytes, "bytes") {
            self.sessions.fetch_sub(1, Ordering::SeqCst);
            return Err(full);
        }
        self.reindex(id, None, record.owner.as_ref());
        let queued = record.expires_at();
        if let Some(at) = queued {
            shard.due.insert((at, *id));
        }
        let record = record.clone();
        shard.records.insert(*id, Slot { record, queued });
        Ok(Created::Done)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        Ok(self
            .shard(id)
            .records
            .get(id)
            .map(|slot| slot.record.clone()))
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let mut guard = self.shard(id);
        let shard = &mut *guard;
        let Some(slot) = shard.records.get_mut(id) else {
            return Ok(Written::Gone);
        };
        if slot.record.version != expected {
            return Ok(Written::Conflict);
        }
        let (before, after) = (size(&slot.record), size(record));
        if after > before {
            reserve(&self.bytes, after - before, self.limits.bytes, "bytes")?;
        } else {
            self.bytes.fetch_sub(before - after, Ordering::SeqCst);
        }
        self.reindex(id, slot.record.owner.as_ref(), record.owner.as_ref());
        let accessed_at = slot.record.accessed_at.max(record.accessed_at);
        slot.record.clone_from(record);
        slot.record.accessed_at = accessed_at;
        requeue(id, slot, &mut shard.due);
        Ok(Written::Done)
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let mut shard = self.shard(id);
        Ok(match shard.records.get_mut(id) {
            None => Written::Gone,
            Some(slot) => {
                if slot.record.touch(touch) {
                    Written::Done
                } else {
                    Written::Conflict
                }
            }
        })
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let mut shard = self.shard(id);
        let Some(slot) = shard.records.get(id) else {
            return Ok(Written::Gone);
        };
        if let Only::Generation(generation) = only {
            if slot.record.generation != generation {
                return Ok(Written::Conflict);
            }
        }
        self.remove(&mut shard, id);
        Ok(Written::Done)
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let owners = self.owners();
        Ok(owners.get(owner).into_iter().flatten().copied().collect())
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let after = match cursor.position() {
            None => None,
            Some(text) => Some(text.parse::<SessionId>().map_err(|source| {
                StoreError::new(
                    StoreErrorKind::Unavailable,
                    "the cursor is not one of this store",
                )
                .caused_by(source)
            })?),
        };
        // Ids are listed in order of shard, then of bytes: a cursor is the last one listed.
        let first = after.map_or(0, |id| usize::from(id.as_bytes()[0]) % SHARDS);
        let mut ids: Vec<SessionId> = Vec::new();
        let limit = limit.max(1);
        for at in first..SHARDS {
            let shard = self.shard_at(at);
            let here = shard.records.keys().copied();
            let mut found: Vec<SessionId> = here
                .filter(|id| at != first || after.is_none_or(|after| *id > after))
                .collect();
            drop(shard);
            found.sort_unstable();
            found.truncate(limit - ids.len());
            ids.append(&mut found);
            if ids.len() == limit {
                let next = ids.last().map(|id| Cursor::at(id.to_string()));
                return Ok(Page { ids, next });
            }
        }
        Ok(Page { ids, next: None })
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut removed = 0;
        for at in 0..SHARDS {
            while removed < limit {
                let mut guard = self.shard_at(at);
                let shard = &mut *guard;
                let Some(&(due, id)) = shard.due.first() else {
                    break;
                };
                if due > expired_before {
                    break;
                }
                shard.due.pop_first();
                let Some(slot) = shard.records.get_mut(&id) else {
                    continue;
                };
                slot.queued = None;
                match slot.record.expires_at() {
                    Some(end) if end <= expired_before => {
                        self.remove(shard, &id);
                        removed += 1;
                    }
                    _ => requeue(&id, slot, &mut shard.due),
                }
            }
        }
        Ok(removed as u64)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.len())
            .field("bytes", &self.bytes())
            .field("limits", &self.limits)
            .finish()
    }
}

const SHARDS: usize = 64;

/// Queues a record for its expiry, unless it is queued for an earlier look already.
fn requeue(id: &SessionId, slot: &mut Slot, due: &mut BTreeSet<(Timestamp, SessionId)>) {
    let Some(end) = slot.record.expires_at() else {
        return;
    };
    if slot.queued.is_none_or(|at| end < at) {
        if let Some(at) = slot.queued.replace(end) {
            due.remove(&(at, *id));
        }
        due.insert((end, *id));
    }
}

/// What a record counts for: its texts, and what surrounds them in memory.
fn size(record: &Record) -> usize {
    let text = record.data.as_str().len() + record.own.as_str().len();
    let owner = record
        .owner
        .as_ref()
        .map_or(0, |owner| owner.as_str().len());
    320 + text + owner + record.agent.as_deref().map_or(0, str::len)
}

fn reserve(used: &AtomicUsize, more: usize, most: usize, what: &str) -> Result<(), StoreError> {
    let add = |used: usize| used.checked_add(more).filter(|sum| *sum <= most);
    used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add)
        .map(|_| ())
        .map_err(|_| {
            StoreError::new(
                StoreErrorKind::Full,
                format!("the memory store is full: its limit is {most} {what}"),
            )
        })
}
