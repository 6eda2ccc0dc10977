//! The group that is being written, as one value, before its changes are made one after the other.
//!
//! A batch of sled's own is recovered wholly or not at all, too, but for that its log is written
//! twice, the second time after the first. One value is whole by itself, and after the process was
//! killed the log is recovered up to some point in it: where the value is missing, so is all that was
//! written after it, and where it is there, the changes can be made again. So one flush brings out both.
//!
//! After a power cut what the disk had not yet been told to keep may be missing in the middle. A
//! database that is to outlive one therefore writes batches, whose second turn is cheap beside `fdatasync`.
//!
//! The value stays until the next group's takes its place or the database is closed: to make the
//! last group's changes again changes nothing. It is kept in a tree of its own, so that no session's
//! page is rewritten with it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{StoreError, StoreErrorKind};

use super::failed;
use crate::engine::Change;
use crate::failure::Failure;

pub(super) struct Journal {
    tree: OnceLock<sled::Tree>,
    /// Not all changes of the group in it are known to be made.
    unfinished: AtomicBool,
}

impl Journal {
    /// A journal in a database; nothing is made in one that may not be this crate's.
    pub(super) fn open(db: &sled::Db) -> Result<Self, Failure> {
        let journal = Self {
            tree: OnceLock::new(),
            unfinished: AtomicBool::new(true),
        };
        if db.tree_names().iter().any(|name| name == TREE) {
            journal.tree(db)?;
        }
        Ok(journal)
    }

    fn tree(&self, db: &sled::Db) -> Result<&sled::Tree, Failure> {
        if let Some(tree) = self.tree.get() {
            return Ok(tree);
        }
        let tree = db.open_tree(TREE).map_err(failed)?;
        Ok(self.tree.get_or_init(|| tree))
    }

    /// Makes all of the changes or, if the process ends meanwhile, all or none of them.
    pub(super) fn apply(&self, db: &sled::Db, changes: Vec<Change>) -> Result<(), Failure> {
        if bytes(&changes) > GROUP_BYTES_MAX {
            // What is in the journal is done, and older than what comes now.
            self.clear()?;
            return batch(db, changes);
        }
        let group = encode(&changes);
        self.unfinished.store(true, Ordering::Relaxed);
        self.tree(db)?.insert(GROUP, group).map_err(failed)?;
        make(db, changes)?;
        self.unfinished.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the last group's changes again, if the process ended before all were made.
    pub(super) fn redo(&self, db: &sled::Db) -> Result<(), Failure> {
        let group = match self.tree.get() {
            Some(tree) => tree.get(GROUP).map_err(failed)?,
            None => None,
        };
        let Some(group) = group else {
            self.unfinished.store(false, Ordering::Relaxed);
            return Ok(());
        };
        if group.first().is_some_and(|format| *format != FORMAT) {
            return Err(Failure::Engine(StoreError::new(
                StoreErrorKind::NewerFormat,
                "the group that was written last is of a newer format",
            )));
        }
        let damaged = || Failure::corrupt("the group that was written last cannot be decoded");
        make(db, decode(&group).ok_or_else(damaged)?)?;
        self.unfinished.store(false, Ordering::Relaxed);
        self.clear()?;
        db.flush().map(drop).map_err(failed)
    }

    /// Forgets the last group, all of whose changes are made.
    fn clear(&self) -> Result<(), Failure> {
        if let Some(tree) = self.tree.get() {
            tree.remove(GROUP).map_err(failed)?;
        }
        Ok(())
    }
}

/// A closed database is in its sessions alone, whoever opens it next.
impl Drop for Journal {
    fn drop(&mut self) {
        if !self.unfinished.load(Ordering::Relaxed) {
            // If it stays, the changes are made again.
            let _ = self.clear();
        }
    }
}

/// Makes all of the changes or, if the process ends or the power is cut meanwhile, none of them.
pub(super) fn batch(db: &sled::Db, changes: Vec<Change>) -> Result<(), Failure> {
    let mut batch = sled::Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    db.apply_batch(batch).map_err(failed)
}

const TREE: &[u8] = b"session-shelf journal";
const GROUP: &[u8] = b"g";
/// What a group begins with.
const FORMAT: u8 = 1;

/// Longer groups are not written twice; they are a batch. Below what sled keeps in its log: a
/// longer value would have a file of its own.
const GROUP_BYTES_MAX: usize = 64 << 10;

/// Entries and records first and what they replace after them, the record last and first: whoever
/// reads meanwhile finds no record that an entry is missing for.
fn make(db: &sled::Db, mut changes: Vec<Change>) -> Result<(), Failure> {
    changes.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (key, value) in &changes {
        if let Some(value) = value {
            db.insert(key, value.as_slice()).map_err(failed)?;
        }
    }
    for (key, value) in changes.iter().rev() {
        if value.is_none() {
            db.remove(key).map_err(failed)?;
        }
    }
    Ok(())
}

/// So many bytes a group takes.
fn bytes(changes: &[Change]) -> usize {
    let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
    let each = changes.iter().map(|(key, new)| 8 + key.len() + value(new));
    1 + each.sum::<usize>()
}

/// After the format: each change is the length of its key, the length of its value and one, or zero
/// to remove it, both in four bytes with the least significant first, the key, and the value.
fn encode(changes: &[Change]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut group = Vec::with_capacity(bytes(changes));
    group.push(FORMAT);
    for (key, value) in changes {
        group.extend(length(key.len()));
        group.extend(length(value.as_ref().map_or(0, |value| value.len() + 1)));
        group.extend(key);
        group.extend(value.iter().flatten());
    }
    group
}

fn decode(mut group: &[u8]) -> Option<Vec<Change>> {
    group
        .split_off_first()
        .filter(|format| **format == FORMAT)?;
    let mut changes = Vec::new();
    while !group.is_empty() {
        let key_bytes = length(&mut group)?;
        let value_bytes = length(&mut group)?;
        let key = group.split_off(..key_bytes)?.to_vec();
        let value = match value_bytes.checked_sub(1) {
            Some(bytes) => Some(group.split_off(..bytes)?.to_vec()),
            None => None,
        };
        changes.push((key, value));
    }
    Some(changes)
}

fn length(group: &mut &[u8]) -> Option<usize> {
    let bytes = group.split_off(..4)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Vec<Change> {
        vec![
            (b"r1".to_vec(), Some(b"record".to_vec())),
            (b"e1".to_vec(), Some(Vec::new())),
            (b"e0".to_vec(), None),
        ]
    }

    #[test]
    fn a_group_is_read_back_as_it_was_written() {
        assert_eq!(decode(&encode(&group())).unwrap(), group());
        assert_eq!(bytes(&group()), encode(&group()).len());
        assert_eq!(decode(&[FORMAT]).unwrap(), []);
        assert_eq!(decode(b""), None);
    }

    #[test]
    fn what_is_no_whole_group_is_refused() {
        let text = encode(&group());
        let ends: Vec<_> = (1..text.len())
            .filter(|end| decode(&text[..*end]).is_some())
            .collect();
        // Where a change ends, there may be the end.
        assert_eq!(ends, [1, 17, 27]);
    }

    #[test]
    fn a_group_that_was_interrupted_is_made_whole_and_a_later_one_is_not_undone() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::open(dir.path()).unwrap();
        let journal = Journal::open(&db).unwrap();
        db.insert(b"e0", b"").unwrap();
        // As if the process had ended after the first change.
        let tree = journal.tree(&db).unwrap();
        tree.insert(GROUP, encode(&group())).unwrap();
        db.insert(b"e1", b"").unwrap();
        journal.redo(&db).unwrap();
        let keys = |db: &sled::Db| -> Vec<_> { db.iter().keys().map(|key| key.unwrap()).collect() };
        assert_eq!(keys(&db), [b"e1", b"r1"]);

        let large = (b"r1".to_vec(), Some(vec![1; GROUP_BYTES_MAX]));
        journal.apply(&db, vec![large.clone()]).unwrap();
        journal.redo(&db).unwrap();
        assert_eq!(db.get(b"r1").unwrap().unwrap(), large.1.unwrap());
        let small = (b"r1".to_vec(), None);
        journal.apply(&db, vec![small]).unwrap();
        journal.redo(&db).unwrap();
        assert_eq!(keys(&db), [b"e1"]);
    }

    #[test]
    fn a_database_that_was_closed_is_changed_by_no_group() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::open(dir.path()).unwrap();
        let journal = Journal::open(&db).unwrap();
        journal.apply(&db, group()).unwrap();
        drop(journal);
        // By a program that knows of no journal.
        db.remove(b"r1").unwrap();
        let journal = Journal::open(&db).unwrap();
        journal.redo(&db).unwrap();
        assert_eq!(db.get(b"r1").unwrap(), None);
        // Closed in the middle of a group, it is made whole.
        journal.unfinished.store(true, Ordering::Relaxed);
        let tree = journal.tree(&db).unwrap();
        tree.insert(GROUP, encode(&group())).unwrap();
        drop(journal);
        Journal::open(&db).unwrap().redo(&db).unwrap();
        assert!(db.get(b"r1").unwrap().is_some());
    }

    #[test]
    fn a_group_of_a_newer_format_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::open(dir.path()).unwrap();
        let journal = Journal::open(&db).unwrap();
        let newer = [&[FORMAT + 1], &encode(&group())[1..]].concat();
        journal.tree(&db).unwrap().insert(GROUP, newer).unwrap();
        let failure = journal.redo(&db).unwrap_err();
        assert_eq!(failure.error().kind(), StoreErrorKind::NewerFormat);
        drop(journal);
        let journal = Journal::open(&db).unwrap();
        assert!(db.is_empty() && journal.redo(&db).is_err());
    }
}
