//! The changes of a group, before they are made together.

use std::collections::BTreeMap;

use super::{Sled, failed, journal};
use crate::engine::{Change, Group, View};
use crate::failure::Failure;

/// What is stored, behind what is to be.
pub(super) struct Pending<'a> {
    sled: &'a Sled,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Pending<'a> {
    pub(super) fn on(sled: &'a Sled) -> Self {
        Self {
            sled,
            changes: BTreeMap::new(),
        }
    }

    /// Makes all of the changes or, if the process ends meanwhile, all or none of them.
    pub(super) fn apply_all(self) -> Result<(), Failure> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let changes = self.changes.into_iter().collect();
        match self.sled.disk {
            None => self.sled.journal.apply(&self.sled.db, changes),
            Some(_) => journal::batch(&self.sled.db, changes),
        }
    }
}

impl View for Pending<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.sled.get(key),
        }
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let stored = self.sled.db.range(from..to).keys();
        let unchanged = |key: &Result<sled::IVec, _>| !matches!(key, Ok(key) if self.changes.contains_key(&**key));
        let mut keys = stored
            .filter(unchanged)
            .take(limit)
            .map(|key| key.map(|key| key.to_vec()).map_err(failed))
            .collect::<Result<Vec<_>, _>>()?;
        let added = self.changes.range::<[u8], _>((
            std::ops::Bound::Included(from),
            std::ops::Bound::Excluded(to),
        ));
        let added = added.filter(|(_, value)| value.is_some());
        keys.extend(added.take(limit).map(|(key, _)| key.clone()));
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }
}

impl Group for Pending<'_> {
    fn view(&self) -> &dyn View {
        self
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure> {
        self.changes.extend(changes);
        Ok(())
    }
}
