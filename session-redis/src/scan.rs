//! Listing ids by the server's own cursors, one primary after the other.

use session_core::{Cursor, Page};

use crate::failure::Failure;
use crate::link::Position;
use crate::store::RedisStore;

impl RedisStore {
    pub(crate) async fn page(&self, cursor: &Cursor, limit: usize) -> Result<Page, Failure> {
        let position = match cursor.position() {
            None => Position::default(),
            Some(text) => text.parse().map_err(|_| Failure::Cursor)?,
        };
        let count = limit.clamp(1, COUNT_MAX);
        let (keys, next) = self
            .link
            .scan(position, &self.keys.pattern(), count)
            .await?;
        Ok(Page {
            ids: keys.iter().filter_map(|key| self.keys.id_of(key)).collect(),
            next: next.map(|position| Cursor::at(position.to_string())),
        })
    }
}

/// One step keeps the server for less than a millisecond.
const COUNT_MAX: usize = 1_000;
