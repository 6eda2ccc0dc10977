//! A bounded cache in memory, in front of a store that is further away.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Clock, Started, Timestamp};
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};

mod flight;
mod shard;

use self::flight::{Flight, SweepFlight};
use self::shard::{Entry, Known, Limits, Outcome, Shard};

/// Keeps records that were lately loaded from a store (rule W1).
///
/// ```
/// use session_core::wrap::Cached;
/// use session_core::{MemoryStore, SessionConfig, SessionManager};
/// use std::time::Duration;
///
/// let store = Cached::new(MemoryStore::new())
///     .max_stale(Duration::from_millis(500))
///     .sessions_max(50_000);
/// let sessions = SessionManager::new(store, SessionConfig::builder().build()?);
/// # let _ = sessions;
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// Off unless put there. It saves the loads of sessions that are read many times a second, and
/// nothing else: every write goes through, with its condition.
///
/// # Rules
///
/// - What another node wrote, revoked or superseded is seen by every load that begins
///   [`max_stale`](Cached::max_stale) later. Until then this node may still hand out what it
///   has: a session that was destroyed elsewhere can be *read* here for that long. It cannot be
///   written: the store refuses, by version and generation, and the refusal drops the entry.
/// - So a login on another node is not known here either, if the session was read here without it
///   less than [`max_stale`](Cached::max_stale) before: the new token reads as an unknown one, and
///   a handler that stores something then begins a session whose cookie replaces the login's.
///   Where one client's requests may reach several nodes within that time, keep it short, or
///   route a client to one node.
/// - What this node wrote, it sees at once. A record that was loaded before a write to its id
///   ended, or while one is under way, is handed to who asked for it and not kept.
/// - After an error, or when a write's future is dropped, the write may yet arrive. Nothing is
///   kept under that id for a minute (unless the cache is full of such ids), so that whoever
///   looks for the outcome (rule C5) looks into the store.
/// - What an owner's list names is loaded anew: a login on another node is not overlooked when
///   its owner is signed out everywhere.
/// - Records with an owner are not kept, unless [`cache_owned`](Cached::cache_owned) is asked
///   for: a login that was revoked on another node ends at once.
/// - Absence is not kept, and an error is never answered with what was there before. While the
///   store is down, what is kept is handed out until `max_stale` has passed, and no longer.
/// - A cached `accessed_at` is as old as the entry: another node's touches are seen with it.
///
/// # Why not a library's cache
///
/// Whether an answer may be kept depends on what else is under way for its id, and that look
/// and the insertion must be one step, so there is a lock around the map in any case; `moka`
/// under that lock would give up its concurrency. What is left is a bound and an order of
/// eviction. As entries live for a second and all equally long, the oldest is the first to end,
/// so first in, first out loses nothing against LRU, and 34 crates would bring nothing but a
/// clock that tests cannot move.
pub struct Cached {
    inner: Arc<dyn Store>,
    shards: Box<[Mutex<Shard>]>,
    limits: Limits,
    max_stale: Duration,
    cache_owned: bool,
    clock: Clock,
}

impl Cached {
    /// A cache in front of `store`.
    #[must_use]
    pub fn new(store: impl IntoStore) -> Self {
        let cached = Self {
            inner: store.into_store(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            limits: Limits {
                entries: 0,
                bytes: 0,
            },
            max_stale: Duration::from_secs(1),
            cache_owned: false,
            clock: Clock::system(),
        };
        cached.sessions_max(10_000).bytes_max(64 << 20)
    }

    /// How long after another node's write this node may still hand out what was before it.
    ///
    /// # Default
    ///
    /// One second. Zero keeps nothing.
    ///
    /// # Cost
    ///
    /// A session destroyed on another node can be read here for as long.
    #[must_use]
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// The most sessions kept, rounded up to a multiple of 16.
    ///
    /// # Default
    ///
    /// 10,000.
    #[must_use]
    pub fn sessions_max(mut self, sessions: usize) -> Self {
        self.limits.entries = sessions.div_ceil(SHARDS);
        self
    }

    /// The most memory that kept sessions take, in bytes; what would take more than a sixteenth
    /// of it alone is not kept.
    ///
    /// # Default
    ///
    /// 64 MiB.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes / SHARDS;
        self
    }

    /// Also keeps records that are bound to an owner.
    ///
    /// # Default
    ///
    /// Off.
    ///
    /// # Cost
    ///
    /// A login that was revoked on another node works here, for reading, until
    /// [`max_stale`](Self::max_stale) has passed.
    #[must_use]
    pub fn cache_owned(mut self, cache_owned: bool) -> Self {
        self.cache_owned = cache_owned;
        self
    }

    /// The clock that entries grow old by; a test passes one that it moves.
    ///
    /// # Default
    ///
    /// The system's wall clock and steady clock, whichever says that more time has passed.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The number of entries kept, stale ones included until they make room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the entries take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).bytes()).sum()
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, Shard> {
        locked(&self.shards[usize::from(id.as_bytes()[0]) % SHARDS])
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        let age = self.clock.elapsed(&entry.since);
        age < match entry.known {
            Known::Record(_) => self.max_stale,
            Known::Doubt => DOUBT,
        }
    }

    /// The record under `id`, if what is kept is fresh.
    fn kept(&self, shard: &mut Shard, id: &SessionId) -> Option<Arc<Record>> {
        match &shard.fresh(id, |entry| self.is_fresh(entry))?.known {
            Known::Record(record) => Some(Arc::clone(record)),
            Known::Doubt => None,
        }
    }

    /// What may be kept of `record`, which the store had at `since` or later.
    fn entry(&self, record: Record, since: Started) -> Option<Entry> {
        (self.cache_owned || record.owner.is_none()).then_some(Entry {
            known: Known::Record(Arc::new(record)),
            since,
        })
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("inner", &self.inner)
            .field("entries", &self.len())
            .field("max_stale", &self.max_stale)
            .field("cache_owned", &self.cache_owned)
            .finish()
    }
}

#[async_trait]
impl Store for Cached {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let since = self.clock.start();
        let (mut flight, _) = Flight::write(self, id);
        let answer = self.inner.create(id, record).await;
        flight.settle(&answer, |created| match created {
            Created::Done => self.entry(record.clone(), since),
            Created::Taken => None,
        });
        answer
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let since = self.clock.start();
        let mut flight = {
            let mut shard = self.shard(id);
            if let Some(record) = self.kept(&mut shard, id) {
                return Ok(Some(Arc::unwrap_or_clone(record)));
            }
            Flight::read(self, &mut shard, id)
        };
        let answer = self.inner.load(id).await;
        if let Ok(found) = &answer {
            let found = found.clone();
            flight.outcome = Outcome::Learned(found.and_then(|record| self.entry(record, since)));
        }
        answer
    }

    fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        self.kept(&mut self.shard(id), id)
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let (mut flight, base) = Flight::write(self, id);
        let answer = self.inner.update(id, record, expected).await;
        flight.settle(&answer, |written| match (written, base?) {
            (
                Written::Done,
                Entry {
                    known: Known::Record(base),
                    since,
                },
            ) if base.version == expected => {
                let accessed_at = record.accessed_at.max(base.accessed_at);
                let record = Record {
                    accessed_at,
                    ..record.clone()
                };
                // As old as what was there before: another node's touch of that is then seen
                // in time too.
                self.entry(record, since)
            }
            _ => None,
        });
        answer
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        // Not kept: under the same generation another node may have written other data.
        let (mut flight, _) = Flight::write(self, id);
        let answer = self.inner.touch(id, touch).await;
        flight.settle(&answer, |_| None);
        answer
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let (mut flight, _) = Flight::write(self, id);
        let answer = self.inner.delete(id, only).await;
        flight.settle(&answer, |_| None);
        answer
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let listed = self.inner.owned_by(owner).await?;
        // Who asks goes on to look whose they are now, to end them all (rule O2): what was kept
        // of one before its login on another node would hide it.
        for id in &listed {
            self.shard(id).forget(id);
        }
        Ok(listed)
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.inner.scan(cursor, limit).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut flight = SweepFlight::new(self, expired_before);
        let answer = self.inner.sweep(expired_before, limit).await;
        flight.removed_none = matches!(answer, Ok(0));
        answer
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

const SHARDS: usize = 16;
/// How long a write is expected to arrive late.
const DOUBT: Duration = Duration::from_secs(60);

fn locked(mutex: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nothing was written, though the answer is an error.
fn wrote_nothing(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::Full | StoreErrorKind::TooLarge
    )
}

#[cfg(test)]
#[path = "cached_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "cached_model_tests.rs"]
mod model_tests;
