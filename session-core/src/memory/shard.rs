//! One of the maps of a `MemoryStore`: its slots, their order of expiry, what they weigh.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::data::Data;
use crate::id::{IdMap, SessionId};
use crate::record::{Owner, Previous, Record};

/// The number of maps that records are spread over.
pub(super) const SHARDS: usize = 64;

#[derive(Default)]
pub(super) struct Shard {
    pub(super) slots: IdMap<Slot>,
    /// For each record that may expire, a moment before which it does not.
    ///
    /// A touch or an update that lets a record live longer leaves its place here as it is, and a sweep
    /// that finds it there moves it to where it belongs by now. So the order costs a busy session one
    /// move per time-out and not one per request.
    pub(super) queue: BTreeSet<(Timestamp, SessionId)>,
}

pub(super) struct Slot {
    pub(super) record: Arc<Record>,
    /// Where the record stands in the order of expiry.
    pub(super) queued: Option<Timestamp>,
}

impl Shard {
    /// After many removals the map is made smaller, rarely enough to cost each little.
    pub(super) fn give_back_room(&mut self) {
        let used = self.slots.len().max(64);
        if self.slots.capacity() > 8 * used {
            self.slots.shrink_to(2 * used);
        }
    }
}

impl Slot {
    pub(super) fn keep_bound_low(
        &mut self,
        queue: &mut BTreeSet<(Timestamp, SessionId)>,
        id: &SessionId,
    ) {
        let Some(end) = self.record.expires_at() else {
            return;
        };
        match self.queued {
            Some(bound) if bound <= end => return,
            Some(bound) => queue.remove(&(bound, *id)),
            None => true,
        };
        queue.insert((end, *id));
        self.queued = Some(end);
    }
}

/// By the first byte, which the hash leaves out.
pub(super) fn shard_of(id: &SessionId) -> usize {
    usize::from(id.as_bytes()[0]) % SHARDS
}

/// What a record takes in memory, but for the allocator's rounding.
pub(crate) fn weight(record: &Record) -> usize {
    // Two counters before what an `Arc` holds.
    const SHARED: usize = 2 * size_of::<usize>();
    // Map and order of expiry, both partly empty.
    const INDEXED: usize =
        2 * (size_of::<(SessionId, Slot)>() + size_of::<(Timestamp, SessionId)>());
    let data = |data: &Data| data.bytes_held().map_or(0, |held| SHARED + held);
    let owner = record.owner.as_ref().map_or(0, |owner| {
        SHARED + owner.as_str().len() + 2 * size_of::<(Owner, SessionId)>()
    });
    let agent = record
        .agent
        .as_ref()
        .map_or(0, |agent| SHARED + agent.len());
    let previous = record
        .previous
        .as_ref()
        .map_or(0, |_| size_of::<Previous>());
    SHARED
        + size_of::<Record>()
        + INDEXED
        + data(&record.data)
        + data(&record.own)
        + owner
        + agent
        + previous
}
