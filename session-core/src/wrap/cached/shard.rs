//! One of the maps of a `Cached`: what is kept, and what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::{Started, Timestamp};
use crate::id::{IdMap, SessionId};
use crate::memory::weight;
use crate::record::Record;

/// Changed under one lock and without waiting, so that looking whether an answer is still good
/// and keeping it are one step.
#[derive(Default)]
pub(super) struct Shard {
    slots: IdMap<Slot>,
    /// Ids in the order their entries came: the first is the first to go.
    order: BTreeMap<u64, SessionId>,
    next_place: u64,
    bytes: usize,
    under_way: IdMap<UnderWay>,
}

/// What is known about one id.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) known: Known,
    /// When the store was asked: what it answered was true then or later.
    pub(super) since: Started,
}

#[derive(Clone)]
pub(super) enum Known {
    /// The record, with the version and generation it had then.
    Record(Arc<Record>),
    /// A write was sent whose outcome is unknown and that may still arrive: nothing is kept.
    Doubt,
}

/// What an operation learned by its end.
pub(super) enum Outcome {
    /// Nothing: it failed, or was dropped. A write may nevertheless have happened.
    Unknown,
    /// What may be kept, if anything.
    Learned(Option<Entry>),
}

/// How much one shard keeps.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// Operations on one id that have begun and not ended.
#[derive(Default)]
struct UnderWay {
    operations: usize,
    writes: usize,
    /// Grows with whatever makes an answer asked for earlier worthless: the end of a write, a
    /// sweep.
    epoch: u64,
}

struct Slot {
    entry: Entry,
    place: u64,
    bytes: usize,
}

impl Shard {
    /// The entry under `id`; one that is not `fresh` is dropped.
    pub(super) fn fresh(
        &mut self,
        id: &SessionId,
        fresh: impl Fn(&Entry) -> bool,
    ) -> Option<&Entry> {
        if !fresh(&self.slots.get(id)?.entry) {
            self.remove(id);
        }
        self.slots.get(id).map(|slot| &slot.entry)
    }

    /// Begins a read and returns the epoch to end it with.
    pub(super) fn begin_read(&mut self, id: &SessionId) -> u64 {
        let under_way = self.under_way.entry(*id).or_default();
        under_way.operations += 1;
        under_way.epoch
    }

    /// Begins a write: the record is kept no longer, and handed out to compute the next from.
    pub(super) fn begin_write(&mut self, id: &SessionId) -> (u64, Option<Entry>) {
        let under_way = self.under_way.entry(*id).or_default();
        under_way.operations += 1;
        under_way.writes += 1;
        (under_way.epoch, self.take_record(id))
    }

    /// Ends a read: its answer is kept if nothing happened to the id since it began.
    pub(super) fn end_read(
        &mut self,
        id: &SessionId,
        epoch: u64,
        outcome: Outcome,
        limits: Limits,
    ) {
        let undisturbed = self.end(id, epoch, false);
        let Outcome::Learned(learned) = outcome else {
            return;
        };
        let kept = match (&self.slots.get(id).map(|slot| &slot.entry.known), &learned) {
            (Some(Known::Doubt), _) => return,
            (Some(Known::Record(kept)), Some(learned)) => {
                matches!(&learned.known, Known::Record(record) if record.version == kept.version)
            }
            (Some(Known::Record(_)), None) => false,
            (None, _) => true,
        };
        // Two reads that disagree leave nothing: which of them is the later one is not known.
        if !kept || (undisturbed && learned.is_none()) {
            self.remove(id);
        } else if let (true, Some(entry)) = (undisturbed, learned) {
            self.insert(id, entry, limits);
        }
    }

    /// Ends a write: what it left is kept if it was alone; an unknown outcome is remembered.
    pub(super) fn end_write(
        &mut self,
        id: &SessionId,
        epoch: u64,
        outcome: Outcome,
        now: Started,
        limits: Limits,
    ) {
        let undisturbed = self.end(id, epoch, true);
        self.take_record(id);
        match outcome {
            Outcome::Unknown => {
                let known = Known::Doubt;
                self.insert(id, Entry { known, since: now }, limits);
            }
            Outcome::Learned(Some(entry)) if undisturbed && !self.slots.contains_key(id) => {
                self.insert(id, entry, limits);
            }
            Outcome::Learned(_) => {}
        }
    }

    /// Forgets the record under `id`, one that a read brings just now included.
    pub(super) fn forget(&mut self, id: &SessionId) {
        if let Some(under_way) = self.under_way.get_mut(id) {
            under_way.epoch += 1;
        }
        self.take_record(id);
    }

    /// Forgets what a sweep up to `before` may have removed, whatever is under way included.
    pub(super) fn swept(&mut self, before: Timestamp) {
        for under_way in self.under_way.values_mut() {
            under_way.epoch += 1;
        }
        let due = self
            .slots
            .iter()
            .filter(|(_, slot)| match &slot.entry.known {
                Known::Record(record) => record.is_expired(before),
                Known::Doubt => false,
            });
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.remove(&id);
        }
    }

    /// Makes room of entries that came first and are fresh no more: some at a time.
    pub(super) fn drop_some_stale(&mut self, fresh: impl Fn(&Entry) -> bool) {
        for _ in 0..STALE_DROPPED_AT_ONCE {
            let Some((_, id)) = self.order.first_key_value() else {
                return;
            };
            let id = *id;
            if self.fresh(&id, &fresh).is_some() {
                return;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing happened to the id since `epoch`, and no write is under way.
    fn end(&mut self, id: &SessionId, epoch: u64, write: bool) -> bool {
        let under_way = self
            .under_way
            .get_mut(id)
            .expect("what ends has begun and is counted");
        under_way.operations -= 1;
        under_way.writes -= usize::from(write);
        let undisturbed = under_way.epoch == epoch && under_way.writes == 0;
        if under_way.operations == 0 {
            self.under_way.remove(id);
        } else if write {
            under_way.epoch += 1;
        }
        undisturbed
    }

    fn insert(&mut self, id: &SessionId, entry: Entry, limits: Limits) {
        self.remove(id);
        let bytes = match &entry.known {
            Known::Record(record) => weight(record) + size_of::<Slot>(),
            Known::Doubt => 2 * size_of::<Slot>(),
        };
        if bytes > limits.bytes || limits.entries == 0 {
            return;
        }
        while self.slots.len() >= limits.entries || self.bytes + bytes > limits.bytes {
            let (_, first) = self.order.first_key_value().expect("each slot has a place");
            let first = *first;
            self.remove(&first);
        }
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, *id);
        self.bytes += bytes;
        self.slots.insert(
            *id,
            Slot {
                entry,
                place,
                bytes,
            },
        );
    }

    fn take_record(&mut self, id: &SessionId) -> Option<Entry> {
        match &self.slots.get(id)?.entry.known {
            Known::Record(_) => self.remove(id),
            Known::Doubt => None,
        }
    }

    fn remove(&mut self, id: &SessionId) -> Option<Entry> {
        let slot = self.slots.remove(id)?;
        self.order.remove(&slot.place);
        self.bytes -= slot.bytes;
        Some(slot.entry)
    }
}

/// More than one, so that a cache which is used less becomes smaller.
const STALE_DROPPED_AT_ONCE: usize = 4;
