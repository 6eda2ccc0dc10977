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
use crate::records::{load, own_marks, readable_marks, stored};

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

pub(crate) type Decision<A> = (A, Changes);

/// What to change.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) list: Vec<Change>,
    /// The one record that is stored then, as it will be loaded.
    pub(crate) record: Option<(SessionId, Record)>,
}

impl Changes {
    fn storing(id: SessionId, record: Record, list: Vec<Change>) -> Self {
        let record = Some((id, record));
        Self { list, record }
    }
}

impl From<Vec<Change>> for Changes {
    fn from(list: Vec<Change>) -> Self {
        Self { list, record: None }
    }
}

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
            return Ok((Created::Taken, Changes::default()));
        }
        let marks = Marks::of(&self.new.record);
        let mut changes = moved(&self.id, None, Some(&marks));
        changes.push((key, Some(self.new.json.clone())));
        let record = self.new.record.clone();
        Ok((Created::Done, Changes::storing(self.id, record, changes)))
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
            return Ok((Written::Gone, Changes::default()));
        };
        if old.version != self.expected {
            return Ok((Written::Conflict, Changes::default()));
        }
        let Encoded { record, json } = &self.new;
        let (record, json) = if old.accessed_at > record.accessed_at {
            let kept = Record {
                accessed_at: old.accessed_at,
                ..record.clone()
            };
            let json = kept.encode().into_bytes();
            (kept, json)
        } else {
            (record.clone(), json.clone())
        };
        let marks = Marks::of(&record);
        let mut changes = moved(&self.id, old_marks.as_ref(), Some(&marks));
        changes.push((keys::record(&self.id), Some(json)));
        let changes = Changes::storing(self.id, record, changes);
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
            return Ok((Written::Gone, Changes::default()));
        };
        if !record.touch(&self.touch) {
            return Ok((Written::Conflict, Changes::default()));
        }
        let changes = moved(&self.id, old.as_ref(), Some(&Marks::of(&record)));
        let changes = Changes::storing(self.id, record, changes);
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
            return Ok((Written::Gone, Changes::default()));
        };
        if let Only::Generation(generation) = self.only
            && Record::decode(&json)?.generation != generation
        {
            return Ok((Written::Conflict, Changes::default()));
        }
        // Marks that cannot be read keep no record from its end, and it knows its owner itself.
        let marks = match readable_marks(view, &self.id)? {
            None => own_marks(view, &self.id)?,
            marks => marks,
        };
        let changes = removal(&self.id, marks.as_ref());
        Ok((Written::Done, changes.into()))
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

    /// An entry counts only if its record's marks still say so; where they cannot be read, if the
    /// record itself has expired.
    fn decide(&self, view: &dyn View) -> Result<Decision<Swept>, Failure> {
        let due = keys::expired(self.expired_before);
        let due = view.keys(&due.start, &due.end, self.limit)?;
        let more = due.len() == self.limit;
        let mut removed = 0;
        let mut changes = Vec::new();
        for key in due {
            if let (Some(id), Some(moment)) = (keys::id(&key), keys::moment(&key)) {
                let due = match readable_marks(view, &id)? {
                    Some(marks) => (marks.expires_at == Some(moment)).then_some(marks),
                    None => {
                        let own = own_marks(view, &id)?;
                        let end = own.as_ref().and_then(|own| own.expires_at);
                        let later = end.filter(|end| *end > self.expired_before);
                        // Without an entry no sweep would come to it again.
                        changes.extend(later.map(|end| (keys::expiry(end, &id), Some(Vec::new()))));
                        own.filter(|_| end.is_some() && later.is_none())
                    }
                };
                if let Some(marks) = due {
                    changes.extend(removal(&id, Some(&marks)));
                    removed += 1;
                }
            }
            changes.push((key, None));
        }
        Ok((Swept { removed, more }, changes.into()))
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
        let changes = vec![(keys::PING.to_vec(), Some(next.to_vec()))];
        Ok(((), changes.into()))
    }

    fn bytes(&self) -> Option<usize> {
        Some(0)
    }

    fn left_nothing(&self, _view: &dyn View) -> bool {
        true
    }
}
