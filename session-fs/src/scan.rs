//! Listing sessions in the order of their ids, a page at a time in bounded memory.

use std::collections::BinaryHeap;
use std::os::fd::AsFd;

use session_core::{Cursor, Page, SessionId};

use crate::failure::{Failure, refused};
use crate::folder::{self, Folders};
use crate::paths;
use crate::records::Records;

impl Records {
    /// The position of a cursor is the last id listed, in hex.
    pub(crate) fn scan(
        &self,
        folders: &Folders,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, Failure> {
        let mut after = match cursor.position() {
            None => None,
            Some(position) => Some(
                paths::parse_id(position.as_bytes())
                    .ok_or_else(|| refused("the cursor is not one of this store"))?,
            ),
        };
        let limit = limit.max(1);
        let mut page = Page::default();
        for first in after.map_or(0, |id| id.as_bytes()[0])..=u8::MAX {
            let found = self.ids_after(folders, first, after, limit - page.ids.len())?;
            after = found.last().copied().or(after);
            page.ids.extend(found);
            if page.ids.len() >= limit {
                page.next = after.map(|id| Cursor::at(paths::id_hex(&id)));
                break;
            }
        }
        Ok(page)
    }

    /// The first `limit` ids of a folder that come after one, in order.
    ///
    /// A folder lists its names in no order, so all are read, and the smallest kept.
    pub(crate) fn ids_after(
        &self,
        folders: &Folders,
        first: u8,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<SessionId>, Failure> {
        let Some(shard) = folders.shard(first)? else {
            folders.check_present()?;
            return Ok(Vec::new());
        };
        let mut smallest = BinaryHeap::new();
        folder::for_each_name(shard.as_fd(), |name| {
            let Some(id) = self.template.id_of(name) else {
                return;
            };
            let wanted = id.as_bytes()[0] == first && after.is_none_or(|after| id > after);
            if !wanted || smallest.len() >= limit && smallest.peek().is_some_and(|most| id > *most)
            {
                return;
            }
            smallest.push(id);
            if smallest.len() > limit {
                smallest.pop();
            }
        })?;
        Ok(smallest.into_sorted_vec())
    }
}
