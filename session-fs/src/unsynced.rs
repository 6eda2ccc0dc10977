//! What was changed and is not known to be on the disk: with [`Durability::Disk`] nobody is told
//! of it.
//!
//! The kernel shows a change to every reader before it is on the disk, and goes on to show one
//! whose sync failed. A caller that was told `Unavailable` looks whether its change is there: it
//! would take what it finds for success, and a power cut would take that back. So a change is
//! noted here before it is made; who reads meanwhile is told when it has ended; and after a sync
//! that failed the session is written again, before anybody is told of it.
//!
//! [`Durability::Disk`]: crate::Durability::Disk

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::SessionId;

/// So many sessions may have failed before a new one is begun only after one of them was mended:
/// nobody else may ever come for a session that could not be created, and the list would grow as
/// long as the disk fails.
pub(crate) const FAILED_MAX: usize = 10_000;

/// The changes of this process.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// How many sessions there are in the list, so that mostly it need not be locked.
    sessions: AtomicUsize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// So many changes have begun.
    begun: u64,
    sessions: HashMap<SessionId, Changes>,
}

/// The changes of one session; it is in the list while there are any.
#[derive(Debug, Default)]
struct Changes {
    under_way: Vec<u64>,
    /// The last one that failed since the session was last written again.
    failed: Option<u64>,
    /// Whether one of them removes the session.
    removes: bool,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What was read is on the disk.
    Synced,
    /// Changes that may be in what was read are under way.
    UnderWay,
    /// This change failed.
    Failed(u64),
}

/// What an operation read and may not tell of yet, kept until it is begun anew: were it read again
/// then, those who go on writing could put the reader off for ever.
///
/// It stays right. What was read once, whole, is taken back by nobody: when the changes in it have
/// ended, it is on the disk, or something newer is.
pub(crate) struct Seen<T>(pub(crate) Cell<Option<Reading<T>>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

pub(crate) struct Reading<T> {
    pub(crate) found: T,
    /// The sessions whose changes may be in it.
    pub(crate) sessions: Vec<SessionId>,
    /// So many changes had begun after it was read.
    pub(crate) begun: u64,
}

/// A change that is under way. It has failed if this is dropped before [`done`](Self::done).
#[derive(Debug)]
pub(crate) struct Change<'a> {
    unsynced: &'a Unsynced,
    id: SessionId,
    number: u64,
    is_done: bool,
}

impl Unsynced {
    /// To be called with the session's lock held, before anything is changed.
    pub(crate) fn begin(&self, id: &SessionId, removes: bool) -> Change<'_> {
        let mut list = self.list();
        list.begun += 1;
        let number = list.begun;
        let changes = list.sessions.entry(*id).or_default();
        changes.under_way.push(number);
        changes.removes |= removes;
        self.sessions.store(list.sessions.len(), SeqCst);
        Change {
            unsynced: self,
            id: *id,
            number,
            is_done: false,
        }
    }

    /// Whether what was read of a session before this is certainly on the disk.
    pub(crate) fn is_synced(&self, id: &SessionId) -> bool {
        self.sessions.load(SeqCst) == 0 || !self.list().sessions.contains_key(id)
    }

    /// So many changes have begun; 0 if each of them is on the disk.
    pub(crate) fn begun(&self) -> u64 {
        match self.sessions.load(SeqCst) {
            0 => 0,
            _ => self.list().begun,
        }
    }

    /// How a session stands that was read when so many changes had begun: those that began later
    /// are not in what was read.
    pub(crate) fn standing(&self, id: &SessionId, begun: u64) -> Standing {
        if self.sessions.load(SeqCst) == 0 {
            return Standing::Synced;
        }
        let list = self.list();
        let Some(changes) = list.sessions.get(id) else {
            return Standing::Synced;
        };
        if changes.under_way.iter().any(|number| *number <= begun) {
            return Standing::UnderWay;
        }
        changes.failed.map_or(Standing::Synced, Standing::Failed)
    }

    /// The change that failed, if one did.
    pub(crate) fn failed(&self, id: &SessionId) -> Option<u64> {
        if self.sessions.load(SeqCst) == 0 {
            return None;
        }
        self.list().sessions.get(id)?.failed
    }

    /// The session was written again after this change had failed, and synced.
    pub(crate) fn mended(&self, id: &SessionId, failed: u64) {
        self.change(id, |changes| {
            // Another may have failed meanwhile.
            changes.failed.take_if(|last| *last == failed);
        });
    }

    /// A session that failed, if there are too many.
    pub(crate) fn one_too_many(&self) -> Option<SessionId> {
        if self.sessions.load(SeqCst) < FAILED_MAX {
            return None;
        }
        let list = self.list();
        let mut sessions = list.sessions.iter();
        let failed = sessions.find(|(_, changes)| changes.failed.is_some());
        failed.map(|(id, _)| *id)
    }

    /// The sessions that are being removed, or whose removal failed.
    pub(crate) fn removals(&self) -> Vec<SessionId> {
        if self.sessions.load(SeqCst) == 0 {
            return Vec::new();
        }
        let list = self.list();
        let removals = list.sessions.iter().filter(|(_, changes)| changes.removes);
        removals.map(|(id, _)| *id).collect()
    }

    fn change(&self, id: &SessionId, change: impl FnOnce(&mut Changes)) {
        let mut list = self.list();
        if let Some(changes) = list.sessions.get_mut(id) {
            change(changes);
            if changes.under_way.is_empty() && changes.failed.is_none() {
                list.sessions.remove(id);
            }
        }
        self.sessions.store(list.sessions.len(), SeqCst);
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change<'_> {
    /// It is on the disk, or nothing was changed.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let (number, is_done) = (self.number, self.is_done);
        self.unsynced.change(&self.id, |changes| {
            changes.under_way.retain(|other| *other != number);
            if !is_done {
                changes.failed = changes.failed.max(Some(number));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::from_bytes([1; SessionId::BYTES])
    }

    #[test]
    fn what_failed_stays_in_doubt_until_it_was_written_again() {
        let unsynced = Unsynced::default();
        let (first, second) = (unsynced.begin(&id(), false), unsynced.begin(&id(), true));
        assert!(!unsynced.is_synced(&id()));
        assert_eq!(unsynced.removals(), [id()]);
        first.done();
        assert_eq!(unsynced.failed(&id()), None);
        let standing = || unsynced.standing(&id(), unsynced.begun());
        assert_eq!(standing(), Standing::UnderWay);
        drop(second);
        let Standing::Failed(failed) = standing() else {
            panic!("it failed");
        };
        unsynced.begin(&id(), false).done();
        assert_eq!(standing(), Standing::Failed(failed));
        unsynced.mended(&id(), failed);
        assert_eq!(standing(), Standing::Synced);
        assert!(unsynced.is_synced(&id()) && unsynced.removals().is_empty());
    }

    #[test]
    fn a_failure_while_the_session_is_written_again_is_not_forgotten() {
        let unsynced = Unsynced::default();
        drop(unsynced.begin(&id(), false));
        let seen = unsynced.failed(&id()).unwrap();
        drop(unsynced.begin(&id(), false));
        unsynced.mended(&id(), seen);
        assert!(unsynced.failed(&id()).is_some_and(|failed| failed > seen));
    }
}
