//! What each write finds and changes: decided on a view, without a change of its own.
//!
//! Writes are decided and applied one after the other, by one thread, so what a decision saw is
//! what its changes meet.

use session_core::{
    Created, Only, Record, SessionId, StoreError, StoreErrorKind, Timestamp, Touch, Version,
    Written,
};

use crate::engine::{Change, View};
use crate::failure::Failure;
use crate::keys;
use crate::marks::{Marks, moved};
use crate::records::{load, readable_marks, stored};

/// What a caller asks for.
pub(crate) trait Write: Send + 'static {
    type Answer: Send;

    /// As it stands in error messages.
    const OPERATION: &'static str;

    /// The answer, and what to change so that it is true.
    fn decide(&self, view: &dyn View) -> Result<Decision<Self::Answer>, Failure>;

    /// How much more will be stored; `None` for what makes room.
    fn bytes(&self) -> Option<usize> {
        None
    }

    /// After a failure: whether the database is certainly as if this had not been asked for.
    fn left_nothing(&self, _view: &dyn View) -> bool {
        false
    }
}

pub(crate) type Decision<A> = (A, Vec<Change>);

/// A record and its JSON, made on the caller's thread.
pub(crate) struct Encoded {
    record: Record,
    json: Vec<u8>,
}

impl Encoded {
    pub(crate) fn new(record: &Record) -> Result<Self, Failure> {
        let json = record.encode().into_bytes();
        if json.len() > RECORD_BYTES_MAX {
            let bytes = json.len();
            return Err(Failure::Record(StoreError::new(
                StoreErrorKind::TooLarge,
                format!("the record has {bytes} bytes; the store takes {RECORD_BYTES_MAX}"),
            )));
        }
        Ok(Self {
            record: record.clone(),
            json,
        })
    }
}

/// Longest record in bytes of JSON.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;

pub(crate) struct Create {
    pub(crate) id: SessionId,
    pub(crate) new: Encoded,
}

impl Write for Create {
    type Answer = Created;
    const OPERATION: &'static str = "creating the session";

    fn decide(&self, view: &dyn View) -> Result<Decision<Created>, Failure> {
        let key = keys::record(&self.id);
        if view.get(&key)?.is_some() {
            return Ok((Created::Taken, Vec::new()));
        }
        let marks = Marks::of(&self.new.record);
        let mut changes = moved(&self.id, None, Some(&marks));
        changes.push((key, Some(self.new.json.clone())));
        Ok((Created::Done, changes))
    }

    fn bytes(&self) -> Option<usize> {
        Some(self.new.json.len())
    }

    fn left_nothing(&self, view: &dyn View) -> bool {
        matches!(view.get(&keys::record(&self.id)), Ok(None))
    }
}

pub(crate) struct Update {
    pub(crate) id: SessionId,
    pub(crate) new: Encoded,
    pub(crate) expected: Version,
}

impl Write for Update {
    type Answer = Written;
    const OPERATION: &'static str = "updating the session";

    fn decide(&self, view: &dyn View) -> Result<Decision<Written>, Failure> {
        let Some((old, old_marks)) = stored(view, &self.id)? else {
            return Ok((Written::Gone, Vec::new()));
        };
        if old.version != self.expected {
            return Ok((Written::Conflict, Vec::new()));
        }
        let Encoded { record, json } = &self.new;
        let (marks, json) = if old.accessed_at > record.accessed_at {
            let kept = Record {
                accessed_at: old.accessed_at,
                ..record.clone()
            };
            (Marks::of(&kept), kept.encode().into_bytes())
        } else {
            (Marks::of(record), json.clone())
        };
        let mut changes = moved(&self.id, old_marks.as_ref(), Some(&marks));
        changes.push((keys::record(&self.id), Some(json)));
        Ok((Written::Done, changes))
    }

    fn bytes(&self) -> Option<usize> {
        Some(self.new.json.len())
    }

    fn left_nothing(&self, view: &dyn View) -> bool {
        matches!(load(view, &self.id), Ok(Some(record)) if record.version == self.expected)
    }
}

pub(crate) struct Touching {
    pub(crate) id: SessionId,
    pub(crate) touch: Touch,
}

impl Write for Touching {
    type Answer = Written;
    const OPERATION: &'static str = "touching the session";

    fn decide(&self, view: &dyn View) -> Result<Decision<Written>, Failure> {
        let Some((mut record, old)) = stored(view, &self.id)? else {
            return Ok((Written::Gone, Vec::new()));
        };
        if !record.touch(&self.touch) {
            return Ok((Written::Conflict, Vec::new()));
        }
        let changes = moved(&self.id, old.as_ref(), Some(&Marks::of(&record)));
        Ok((Written::Done, changes))
    }

    fn bytes(&self) -> Option<usize> {
        Some(0)
    }
}

pub(crate) struct Delete {
    pub(crate) id: SessionId,
    pub(crate) only: Only,
}

impl Write for Delete {
    type Answer = Written;
    const OPERATION: &'static str = "deleting the session";

    fn decide(&self, view: &dyn View) -> Result<Decision<Written>, Failure> {
        let Some(json) = view.get(&keys::record(&self.id))? else {
            return Ok((Written::Gone, Vec::new()));
        };
        if let Only::Generation(generation) = self.only
            && Record::decode(&json)?.generation != generation
        {
            return Ok((Written::Conflict, Vec::new()));
        }
        // Marks that cannot be read keep no record from its end; the entries they would name
        // then lead nowhere.
        let marks = readable_marks(view, &self.id)?;
        Ok((Written::Done, removal(&self.id, marks.as_ref())))
    }
}

fn removal(id: &SessionId, marks: Option<&Marks>) -> Vec<Change> {
    let mut changes = moved(id, marks, None);
    if marks.is_none() {
        changes.push((keys::marks(id), None));
    }
    changes.push((keys::record(id), None));
    changes
}

pub(crate) struct Sweep {
    pub(crate) expired_before: Timestamp,
    pub(crate) limit: usize,
}

/// How many records a sweep removed, and whether it stopped at its limit.
pub(crate) struct Swept {
    pub(crate) removed: u64,
    pub(crate) more: bool,
}

impl Write for Sweep {
    type Answer = Swept;
    const OPERATION: &'static str = "sweeping";

    /// An entry counts only if its record's marks still say so.
    fn decide(&self, view: &dyn View) -> Result<Decision<Swept>, Failure> {
        let due = keys::expired(self.expired_before);
        let due = view.keys(&due.start, &due.end, self.limit)?;
        let more = due.len() == self.limit;
        let mut removed = 0;
        let mut changes = Vec::new();
        for key in due {
            if let (Some(id), Some(moment)) = (keys::id(&key), keys::moment(&key))
                && let Some(marks) = readable_marks(view, &id)?
                && marks.expires_at == Some(moment)
            {
                changes.extend(removal(&id, Some(&marks)));
                removed += 1;
            } else {
                changes.push((key, None));
            }
        }
        Ok((Swept { removed, more }, changes))
    }
}

pub(crate) struct Ping;

impl Write for Ping {
    type Answer = ();
    const OPERATION: &'static str = "asking the database";

    /// Writes a byte that changes: sled skips a write that changes nothing.
    fn decide(&self, view: &dyn View) -> Result<Decision<()>, Failure> {
        let last = view.get(keys::PING)?;
        let next = if last.as_deref() == Some(b"0") {
            b"1"
        } else {
            b"0"
        };
        Ok(((), vec![(keys::PING.to_vec(), Some(next.to_vec()))]))
    }

    fn bytes(&self) -> Option<usize> {
        Some(0)
    }

    fn left_nothing(&self, _view: &dyn View) -> bool {
        true
    }
}
