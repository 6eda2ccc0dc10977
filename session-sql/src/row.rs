//! A record as the values of a row, in the order of the statements' parameters.

use session_core::{Owner, Record, SessionId, Timestamp};

use crate::connection::Value;
use crate::statements::{FOREVER, LATEST};

/// What of a record is text: kept while its values are borrowed.
pub(crate) struct Row<'a> {
    record: &'a Record,
    id: String,
    version: String,
    meta: String,
    data: &'a str,
}

impl<'a> Row<'a> {
    pub(crate) fn new(id: &SessionId, record: &'a Record) -> Self {
        let (meta, data) = record.encode_parts();
        Self {
            record,
            id: id.to_string(),
            version: record.version.to_string(),
            meta,
            data,
        }
    }

    /// The length of what may be long.
    pub(crate) fn bytes(&self) -> usize {
        self.meta.len() + self.data.len()
    }

    /// The parameters of `create`.
    pub(crate) fn to_create(&self) -> [Value<'_>; 10] {
        [
            self.id.as_str().into(),
            self.atime().into(),
            self.expires().into(),
            self.timeout().into(),
            self.ends().into(),
            i64::from(self.record.generation.0).into(),
            self.version.as_str().into(),
            self.owner().into(),
            self.meta.as_str().into(),
            self.data.into(),
        ]
    }

    /// The parameters of `update`.
    pub(crate) fn to_update<'v>(&'v self, expected: &'v str) -> [Value<'v>; 14] {
        [
            self.expires().into(),
            self.atime().into(),
            self.timeout().unwrap_or(FOREVER).into(),
            self.ends().unwrap_or(LATEST).into(),
            self.atime().into(),
            self.timeout().into(),
            self.ends().into(),
            i64::from(self.record.generation.0).into(),
            self.version.as_str().into(),
            self.owner().into(),
            self.meta.as_str().into(),
            self.data.into(),
            self.id.as_str().into(),
            expected.into(),
        ]
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn atime(&self) -> i64 {
        self.record.accessed_at.as_unix_ms()
    }

    fn expires(&self) -> Option<i64> {
        self.record.expires_at().map(Timestamp::as_unix_ms)
    }

    fn timeout(&self) -> Option<i64> {
        let timeout = self.record.expiry.timeout()?;
        Some(i64::try_from(timeout.as_millis()).unwrap_or(FOREVER))
    }

    fn ends(&self) -> Option<i64> {
        self.record.expiry.ends_at().map(Timestamp::as_unix_ms)
    }

    fn owner(&self) -> Option<&str> {
        self.record.owner.as_ref().map(Owner::as_str)
    }
}
