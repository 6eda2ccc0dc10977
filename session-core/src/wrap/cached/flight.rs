//! An operation between its begin and its end; being dropped is an end too.

use super::shard::{Entry, Outcome, Shard};
use super::{Cached, locked, wrote_nothing};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::SessionId;

/// One load or write on its way to the store and back.
pub(super) struct Flight<'a> {
    cached: &'a Cached,
    id: SessionId,
    epoch: u64,
    is_write: bool,
    pub(super) outcome: Outcome,
}

impl<'a> Flight<'a> {
    pub(super) fn read(cached: &'a Cached, shard: &mut Shard, id: &SessionId) -> Self {
        Self {
            cached,
            id: *id,
            epoch: shard.begin_read(id),
            is_write: false,
            outcome: Outcome::Unknown,
        }
    }

    /// Also returns what was kept of the record.
    pub(super) fn write(cached: &'a Cached, id: &SessionId) -> (Self, Option<Entry>) {
        let (epoch, base) = cached.shard(id).begin_write(id);
        let flight = Self {
            cached,
            id: *id,
            epoch,
            is_write: true,
            outcome: Outcome::Unknown,
        };
        (flight, base)
    }

    pub(super) fn settle<T: Copy>(
        &mut self,
        answer: &Result<T, StoreError>,
        left: impl FnOnce(T) -> Option<Entry>,
    ) {
        match answer {
            Ok(answer) => self.outcome = Outcome::Learned(left(*answer)),
            Err(error) if wrote_nothing(error) => self.outcome = Outcome::Learned(None),
            Err(_) => {}
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Unknown);
        let limits = self.cached.limits;
        let mut shard = self.cached.shard(&self.id);
        if self.is_write {
            let now = self.cached.clock.start();
            shard.end_write(&self.id, self.epoch, outcome, now, limits);
        } else {
            shard.end_read(&self.id, self.epoch, outcome, limits);
        }
        shard.drop_some_stale(|entry| self.cached.is_fresh(entry));
    }
}

/// A sweep on its way.
pub(super) struct SweepFlight<'a> {
    cached: &'a Cached,
    before: Timestamp,
    pub(super) removed_none: bool,
}

impl<'a> SweepFlight<'a> {
    pub(super) fn new(cached: &'a Cached, before: Timestamp) -> Self {
        Self {
            cached,
            before,
            removed_none: false,
        }
    }
}

impl Drop for SweepFlight<'_> {
    fn drop(&mut self) {
        if !self.removed_none {
            for shard in &self.cached.shards {
                locked(shard).swept(self.before);
            }
        }
    }
}
