//! The keys of the database: a letter for what it is, then what it is about.

use std::ops::Range;

use session_core::{Owner, SessionId, Timestamp};

/// The database's own form and state.
pub(crate) const LAYOUT: &[u8] = b"s";
/// What [`ping`](session_core::Store::ping) writes.
pub(crate) const PING: &[u8] = b"p";

const EXPIRY: u8 = b'e';
const MARKS: u8 = b'm';
const OWNER: u8 = b'o';
const RECORD: u8 = b'r';

/// Where a record is.
pub(crate) fn record(id: &SessionId) -> Vec<u8> {
    joined(&[&[RECORD], id.as_bytes()])
}

/// Where a record's marks are.
pub(crate) fn marks(id: &SessionId) -> Vec<u8> {
    joined(&[&[MARKS], id.as_bytes()])
}

/// The entry of a record in its owner's list. An owner contains no NUL.
pub(crate) fn owned(owner: &Owner, id: &SessionId) -> Vec<u8> {
    joined(&[&[OWNER], owner.as_str().as_bytes(), &[0], id.as_bytes()])
}

/// The entry of a record in the order of expiry.
pub(crate) fn expiry(expires_at: Timestamp, id: &SessionId) -> Vec<u8> {
    joined(&[&[EXPIRY], &ordered(expires_at), id.as_bytes()])
}

/// The entries of an owner's records.
pub(crate) fn owned_by(owner: &Owner) -> Range<Vec<u8>> {
    let owner = owner.as_str().as_bytes();
    joined(&[&[OWNER], owner, &[0]])..joined(&[&[OWNER], owner, &[1]])
}

/// The entries of records that expired at or before a moment.
pub(crate) fn expired(before: Timestamp) -> Range<Vec<u8>> {
    let last = joined(&[&[EXPIRY], &ordered(before), &[u8::MAX; SessionId::BYTES]]);
    vec![EXPIRY]..joined(&[&last, &[0]])
}

/// All records, or those after one.
pub(crate) fn records(after: Option<&SessionId>) -> Range<Vec<u8>> {
    let from = match after {
        Some(id) => joined(&[&[RECORD], id.as_bytes(), &[0]]),
        None => vec![RECORD],
    };
    from..vec![RECORD + 1]
}

/// The id that a key ends in.
pub(crate) fn id(key: &[u8]) -> Option<SessionId> {
    key.last_chunk().map(|bytes| SessionId::from_bytes(*bytes))
}

/// The id whose record is another, or touched, when the value of this key changes.
pub(crate) fn changed(key: &[u8]) -> Option<SessionId> {
    matches!(key, [RECORD | MARKS, ..]).then(|| id(key))?
}

/// The moment in an entry of the order of expiry.
pub(crate) fn moment(key: &[u8]) -> Option<Timestamp> {
    let bytes = key.strip_prefix(&[EXPIRY])?.first_chunk()?;
    let ms = (u64::from_be_bytes(*bytes) ^ SIGN).cast_signed();
    Some(Timestamp::from_unix_ms(ms))
}

/// Eight bytes that are ordered as the moments are, also those before 1970.
fn ordered(moment: Timestamp) -> [u8; 8] {
    (moment.as_unix_ms().cast_unsigned() ^ SIGN).to_be_bytes()
}

const SIGN: u64 = 1 << 63;

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_the_order_of_their_moments() {
        let ids = [[0; 16], [255; 16]].map(SessionId::from_bytes);
        let moments = [i64::MIN, -1, 0, 1, 1_764_000_000_000, i64::MAX];
        let moments = moments.map(Timestamp::from_unix_ms);
        let keys: Vec<_> = moments
            .iter()
            .flat_map(|at| ids.iter().map(|id| expiry(*at, id)))
            .collect();
        assert!(keys.is_sorted());
        for (at, before) in moments.iter().enumerate() {
            let due = keys.iter().filter(|key| expired(*before).contains(*key));
            assert_eq!(due.count(), 2 * (at + 1), "{before:?}");
            assert_eq!(moment(&keys[2 * at]), Some(*before));
            assert_eq!(id(&keys[2 * at + 1]), Some(ids[1]));
        }
    }

    #[test]
    fn an_owners_entries_are_not_those_of_a_longer_name() {
        let id = SessionId::from_bytes([255; 16]);
        for (owner, other) in [
            ("a", "ab"),
            ("a", "a\u{1}"),
            ("a\u{1}", "a"),
            ("\u{1}", "a"),
        ] {
            let [owner, other] = [owner, other].map(|name| Owner::new(name).unwrap());
            assert!(owned_by(&owner).contains(&owned(&owner, &id)));
            assert!(
                !owned_by(&owner).contains(&owned(&other, &id)),
                "{owner} {other}"
            );
        }
    }
}
