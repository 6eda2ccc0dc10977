//! Reading: a record with its marks, an owner's list, the list of all.

use session_core::{Cursor, Owner, Page, Record, SessionId, StoreError, StoreErrorKind};

use crate::engine::View;
use crate::failure::Failure;
use crate::keys;
use crate::marks::Marks;

pub(crate) fn load(view: &dyn View, id: &SessionId) -> Result<Option<Record>, Failure> {
    Ok(stored(view, id)?.map(|(record, _)| record))
}

/// The record, touched as its marks say, and its marks.
///
/// The marks are read first: an update in between writes a record whose time of access is not
/// before that of the marks it met.
pub(crate) fn stored(
    view: &dyn View,
    id: &SessionId,
) -> Result<Option<(Record, Option<Marks>)>, Failure> {
    let marks = view.get(&keys::marks(id))?;
    let Some(json) = view.get(&keys::record(id))? else {
        return Ok(None);
    };
    let mut record = Record::decode(&json)?;
    let marks = marks.map(|text| Marks::decode(&text)).transpose()?;
    if let Some(marks) = &marks {
        record.accessed_at = record.accessed_at.max(marks.accessed_at);
    }
    Ok(Some((record, marks)))
}

/// A record's marks, or `None` if there are none that can be read.
pub(crate) fn readable_marks(view: &dyn View, id: &SessionId) -> Result<Option<Marks>, Failure> {
    let text = view.get(&keys::marks(id))?;
    Ok(text.and_then(|text| Marks::decode(&text).ok()))
}

/// The marks that a record would have by itself, never touched; `None` if it cannot be read.
pub(crate) fn own_marks(view: &dyn View, id: &SessionId) -> Result<Option<Marks>, Failure> {
    let json = view.get(&keys::record(id))?;
    let record = json.and_then(|json| Record::decode(&json).ok());
    Ok(record.as_ref().map(Marks::of))
}

pub(crate) fn owned_by(view: &dyn View, owner: &Owner) -> Result<Vec<SessionId>, Failure> {
    let entries = keys::owned_by(owner);
    let found = view.keys(&entries.start, &entries.end, usize::MAX)?;
    Ok(found.iter().filter_map(|key| keys::id(key)).collect())
}

/// The position of a cursor is the last id listed.
pub(crate) fn scan(view: &dyn View, cursor: &Cursor, limit: usize) -> Result<Page, Failure> {
    let after = cursor.position().map(str::parse::<SessionId>).transpose();
    let after = after.map_err(|_| {
        Failure::Record(StoreError::new(
            StoreErrorKind::Unavailable,
            "the cursor is not one of this store",
        ))
    })?;
    let limit = limit.max(1);
    let records = keys::records(after.as_ref());
    let found = view.keys(&records.start, &records.end, limit)?;
    let ids: Vec<_> = found.iter().filter_map(|key| keys::id(key)).collect();
    let last = ids.last().filter(|_| found.len() == limit);
    let next = last.map(|id| Cursor::at(id.to_string()));
    Ok(Page { ids, next })
}
