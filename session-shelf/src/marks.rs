//! What changes more often than a record's data, and which entries the record has: beside it, so
//! that a touch need not write the data, and so that a record which cannot be read leaves nothing
//! behind when it goes.

use session_core::{Owner, Record, SessionId, Timestamp};

use crate::engine::Change;
use crate::failure::Failure;
use crate::keys;

/// Kept as text: `1764000000000 1764086400000 user-17`; the second is `-` for never, and without
/// an owner there is no third.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) accessed_at: Timestamp,
    /// Where the record stands in the order of expiry.
    pub(crate) expires_at: Option<Timestamp>,
    /// In whose list it stands.
    pub(crate) owner: Option<Owner>,
}

impl Marks {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            accessed_at: record.accessed_at,
            expires_at: record.expires_at(),
            owner: record.owner.clone(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = format!("{} ", self.accessed_at.as_unix_ms());
        match self.expires_at {
            Some(end) => text.push_str(&end.as_unix_ms().to_string()),
            None => text.push('-'),
        }
        if let Some(owner) = &self.owner {
            text.push(' ');
            text.push_str(owner.as_str());
        }
        text.into_bytes()
    }

    pub(crate) fn decode(text: &[u8]) -> Result<Self, Failure> {
        Self::parse(text).ok_or_else(|| Failure::corrupt("the record's marks cannot be decoded"))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(3, ' ');
        let accessed_at = Timestamp::from_unix_ms(parts.next()?.parse().ok()?);
        let expires_at = match parts.next()? {
            "-" => None,
            ms => Some(Timestamp::from_unix_ms(ms.parse().ok()?)),
        };
        let owner = parts.next().map(Owner::new).transpose().ok()?;
        Some(Self {
            accessed_at,
            expires_at,
            owner,
        })
    }

    /// The keys of the entries of `id`.
    pub(crate) fn entries(&self, id: &SessionId) -> impl Iterator<Item = Vec<u8>> {
        let owned = self.owner.as_ref().map(|owner| keys::owned(owner, id));
        let expiry = self.expires_at.map(|end| keys::expiry(end, id));
        owned.into_iter().chain(expiry)
    }
}

/// What leads from the marks that are stored for `id` to others, entries included.
pub(crate) fn moved(id: &SessionId, from: Option<&Marks>, to: Option<&Marks>) -> Vec<Change> {
    if from == to {
        return Vec::new();
    }
    let entries = |marks: Option<&Marks>| -> Vec<_> {
        marks
            .map(|marks| marks.entries(id).collect())
            .unwrap_or_default()
    };
    let (old, new) = (entries(from), entries(to));
    let removed = old.iter().filter(|key| !new.contains(key));
    let mut changes: Vec<Change> = removed.map(|key| (key.clone(), None)).collect();
    let added = new.into_iter().filter(|key| !old.contains(key));
    changes.extend(added.map(|key| (key, Some(Vec::new()))));
    changes.push((keys::marks(id), to.map(Marks::encode)));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_as_they_were_written() {
        let at = Timestamp::from_unix_ms;
        for owner in [
            None,
            Some("ada"),
            Some("ada of the long name - "),
            Some(" "),
        ] {
            for expires_at in [None, Some(at(i64::MAX)), Some(at(-5))] {
                let marks = Marks {
                    accessed_at: at(1_764_000_000_000),
                    expires_at,
                    owner: owner.map(|name| Owner::new(name).unwrap()),
                };
                assert_eq!(Marks::decode(&marks.encode()).unwrap(), marks);
            }
        }
    }

    #[test]
    fn what_is_not_marks_is_refused() {
        for text in [&b""[..], b"1", b"x 2", b"1 x", b"1 ", b"1 2 ", b"1 2 \xff"] {
            assert!(Marks::decode(text).is_err(), "{text:?}");
        }
    }
}
