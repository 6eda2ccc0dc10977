//! Records in memory, as they were last loaded or written: loading such a record again waits for
//! nothing, and so needs no thread but the caller's.
//!
//! - One process has the database open and one thread writes, so nobody changes a record behind
//!   this.
//! - A record that is being written is not here from before its write until it is safe, so nobody
//!   finds an older version here than the engine has shown.
//! - What was loaded is kept only if no write has come in between.
//!
//! It also knows what is being written, because in sled a reader finds that before it is safe: who
//! does waits here for the end of the group.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::{Data, Record, SessionId};
use tokio::sync::{Notify, futures::Notified};

pub(crate) struct Recent {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// So many bytes in the young ones of a shard, and as many in its old ones.
    half_bytes_max: usize,
    /// Whether a group is being written.
    is_writing: AtomicBool,
    /// So many groups have failed; what was read before may have been theirs.
    failures: AtomicU64,
    ended: Notify,
}

#[derive(Default)]
struct Shard {
    young: HashMap<SessionId, Arc<Record>>,
    young_bytes: usize,
    /// Those that were young before; what is found here becomes young again.
    old: HashMap<SessionId, Arc<Record>>,
    /// What is being written, and whether it may be kept then.
    writing: HashMap<SessionId, bool>,
    turn: Turn,
}

/// Changes with everything that makes what a reader has seen older than what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn(u64);

impl Turn {
    /// With this, nothing is kept.
    pub(crate) const PAST: Self = Self(u64::MAX);
}

impl Recent {
    /// Room for records of about `bytes` together.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            half_bytes_max: bytes / SHARDS / 2,
            is_writing: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            ended: Notify::new(),
        }
    }

    /// To be called before a group is written, by the one thread that writes.
    pub(crate) fn begin_group(&self) {
        self.is_writing.store(true, SeqCst);
    }

    /// To be called when a group is safe, or has failed, with what it has written: each record that
    /// is now stored, `None` if there is none.
    pub(crate) fn end_group(
        &self,
        is_safe: bool,
        stored: impl IntoIterator<Item = (SessionId, Option<Record>)>,
    ) {
        if !is_safe {
            // Before anybody can find that a record of it is no longer being written.
            self.failures.fetch_add(1, SeqCst);
        }
        for (id, record) in stored {
            self.end(&id, record.filter(|_| is_safe));
        }
        self.is_writing.store(false, SeqCst);
        self.ended.notify_waiters();
    }

    /// Comes when the group that is written now, or a later one, has ended.
    pub(crate) fn group_ended(&self) -> Notified<'_> {
        self.ended.notified()
    }

    pub(crate) fn is_group_written(&self) -> bool {
        self.is_writing.load(SeqCst)
    }

    pub(crate) fn is_written(&self, id: &SessionId) -> bool {
        self.is_group_written() && self.shard(id).writing.contains_key(id)
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(SeqCst)
    }

    /// The record, if it is here.
    ///
    /// # Errors
    ///
    /// It is not; then what is loaded may be [kept](Self::keep) with this turn.
    pub(crate) fn find(&self, id: &SessionId) -> Result<Arc<Record>, Turn> {
        let mut shard = self.shard(id);
        if let Some(record) = shard.young.get(id) {
            return Ok(Arc::clone(record));
        }
        let Some(record) = shard.old.remove(id) else {
            return Err(shard.turn);
        };
        let forgotten = shard.put(*id, Arc::clone(&record), self.half_bytes_max);
        drop(shard);
        drop(forgotten);
        Ok(record)
    }

    /// Keeps what was loaded after it was not found here.
    pub(crate) fn keep(&self, id: &SessionId, record: &Record, turn: Turn) {
        let mut shard = self.shard(id);
        if shard.turn == turn && !shard.writing.contains_key(id) {
            let record = Arc::new(record.clone());
            let forgotten = shard.put(*id, record, self.half_bytes_max);
            drop(shard);
            drop(forgotten);
        }
    }

    /// To be called before a record is written, by the one thread that writes.
    pub(crate) fn begin(&self, id: &SessionId) {
        let mut shard = self.shard(id);
        shard.forget(id);
        shard.writing.entry(*id).or_insert(true);
    }

    /// To be called when the write has come to its end, with the record that is now stored; without
    /// one if there is none, or nobody knows.
    fn end(&self, id: &SessionId, stored: Option<Record>) {
        let mut shard = self.shard(id);
        shard.turn.0 += 1;
        let may_be_kept = shard.writing.remove(id) == Some(true);
        if let Some(record) = stored.filter(|_| may_be_kept) {
            let forgotten = shard.put(*id, Arc::new(record), self.half_bytes_max);
            drop(shard);
            drop(forgotten);
        }
    }

    /// Forgets everything, because the database will be opened anew.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = locked(shard);
            shard.turn.0 += 1;
            shard.young_bytes = 0;
            shard.writing.values_mut().for_each(|kept| *kept = false);
            let forgotten = (mem::take(&mut shard.young), mem::take(&mut shard.old));
            drop(shard);
            drop(forgotten);
        }
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(id);
        locked(&self.shards[hash as usize % SHARDS])
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// What has no place any more is best dropped after the lock.
    #[must_use]
    fn put(
        &mut self,
        id: SessionId,
        record: Arc<Record>,
        half_bytes_max: usize,
    ) -> HashMap<SessionId, Arc<Record>> {
        self.forget(&id);
        let bytes = weight(&record);
        if bytes > half_bytes_max {
            return HashMap::new();
        }
        let mut forgotten = HashMap::new();
        if self.young_bytes + bytes > half_bytes_max {
            self.young_bytes = 0;
            forgotten = mem::replace(&mut self.old, mem::take(&mut self.young));
        }
        self.young_bytes += bytes;
        self.young.insert(id, record);
        forgotten
    }

    fn forget(&mut self, id: &SessionId) {
        match self.young.remove(id) {
            Some(record) => self.young_bytes -= weight(&record),
            None => drop(self.old.remove(id)),
        }
    }
}

/// A power of two, for few readers that meet.
const SHARDS: usize = 16;

/// About what a record takes in memory.
fn weight(record: &Record) -> usize {
    let data = |data: &Data| data.as_str().len() + 8 * data.len();
    let agent = record.agent.as_ref().map_or(0, |agent| agent.len());
    let owner = record
        .owner
        .as_ref()
        .map_or(0, |owner| owner.as_str().len());
    FIXED_BYTES + data(&record.data) + data(&record.own) + agent + owner
}

const FIXED_BYTES: usize = size_of::<(SessionId, Record)>() + 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{counted, id, next};

    fn turn(recent: &Recent) -> Turn {
        recent.find(&id(1)).unwrap_err()
    }

    #[test]
    fn what_was_loaded_before_a_write_is_not_kept_after_it() {
        let recent = Recent::new(1 << 20);
        let (old, new) = (counted(1), counted(2));
        let before = turn(&recent);
        recent.begin(&id(1));
        recent.keep(&id(1), &old, before);
        let within = turn(&recent);
        recent.end(&id(1), None);
        recent.keep(&id(1), &old, within);
        turn(&recent);
        recent.begin(&id(1));
        recent.end(&id(1), Some(new.clone()));
        recent.keep(&id(1), &old, within);
        assert_eq!(*recent.find(&id(1)).unwrap(), new);
    }

    #[test]
    fn a_record_is_not_found_while_it_is_written() {
        let recent = Recent::new(1 << 20);
        recent.keep(&id(1), &counted(1), turn(&recent));
        assert_eq!(*recent.find(&id(1)).unwrap(), counted(1));
        recent.begin(&id(1));
        recent.begin(&id(1));
        turn(&recent);
        recent.end(&id(1), None);
        turn(&recent);
    }

    #[test]
    fn nothing_of_before_is_kept_after_everything_was_forgotten() {
        let recent = Recent::new(1 << 20);
        let before = turn(&recent);
        recent.begin(&id(1));
        recent.clear();
        recent.begin(&id(1));
        recent.end(&id(1), Some(counted(2)));
        recent.keep(&id(1), &counted(1), before);
        let now = turn(&recent);
        recent.keep(&id(1), &counted(1), now);
        recent.clear();
        turn(&recent);
    }

    #[test]
    fn what_is_found_again_outlives_what_is_not_and_the_room_is_bounded() {
        let one = weight(&counted(1));
        let recent = Recent::new(20 * one * SHARDS);
        let all = || (0..=u8::MAX).map(id);
        for other in all() {
            recent.keep(&other, &counted(1), turn_of(&recent, &other));
            let _ = recent.find(&id(0));
        }
        assert!(recent.find(&id(0)).is_ok());
        for shard in &recent.shards {
            let shard = locked(shard);
            let young: usize = shard.young.values().map(|one| weight(one)).sum();
            assert_eq!(shard.young_bytes, young);
            assert!(shard.young.len() <= 10 && shard.old.len() <= 10);
        }
        let large = next(&counted(1), "x".repeat(20 * one));
        recent.keep(&id(0), &large, turn_of(&recent, &id(200)));
        assert_eq!(recent.find(&id(0)).ok(), None);
    }

    fn turn_of(recent: &Recent, id: &SessionId) -> Turn {
        recent.find(id).err().unwrap_or_default()
    }
}
