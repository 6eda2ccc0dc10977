//! Listing ids by the server's own cursors, one primary after the other.

use session_core::{Cursor, Page};

use crate::failure::Failure;
use crate::link::Position;
use crate::store::RedisStore;

impl RedisStore {
    pub(crate) async fn page(&self, cursor: &Cursor, limit: usize) -> Result<Page, Failure> {
        let mut position = Some(match cursor.position() {
            None => Position::default(),
            Some(text) => text.parse().map_err(|_| Failure::Cursor)?,
        });
        let (mut ids, mut count) = (Vec::new(), limit.clamp(1, COUNT_MAX));
        let pattern = self.keys.pattern();
        // Where sessions are few among other keys, steps find none: then they grow.
        for _ in 0..STEPS_MAX {
            let Some(from) = position.take() else { break };
            let (keys, next) = self.link.scan(from, &pattern, count).await?;
            ids.extend(keys.iter().filter_map(|key| self.keys.id_of(key)));
            position = next;
            if !ids.is_empty() {
                break;
            }
            count = (2 * count).min(COUNT_MAX);
        }
        Ok(Page {
            ids,
            next: position.map(|position| Cursor::at(position.to_string())),
        })
    }
}

/// One step keeps the server for less than a millisecond.
const COUNT_MAX: usize = 1_000;

/// An operation has a deadline, and a page may be empty.
const STEPS_MAX: usize = 20;
