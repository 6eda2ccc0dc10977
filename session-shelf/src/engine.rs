//! What the store asks of a database: ordered keys, a consistent view, and groups of changes.

#[cfg(feature = "redb")]
pub(crate) mod redb;
#[cfg(feature = "sled")]
pub(crate) mod sled;

use std::sync::Arc;

use crate::config::{EngineKind, ShelfConfig};
use crate::failure::Failure;
use crate::place::{Missing, Place};

/// Opens the database at the configuration's path, which is absolute.
pub(crate) fn open(config: &ShelfConfig, missing: Missing) -> Result<Arc<dyn Engine>, Failure> {
    let opened = match config.engine() {
        #[cfg(feature = "sled")]
        EngineKind::Sled => sled::Sled::open(config, missing).map(|sled| Arc::new(sled) as _),
        #[cfg(feature = "redb")]
        EngineKind::Redb => redb::Redb::open(config, missing).map(|redb| Arc::new(redb) as _),
    };
    opened.map_err(|failure| failure.at(config.path()))
}

/// What is to become of a key: its new value, or `None` to remove it.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// An open database. All its methods may wait for the disk.
pub(crate) trait Engine: Send + Sync {
    /// Shows `work` what is stored.
    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<(), Failure>) -> Result<(), Failure>;

    /// Lets `work` apply changes, and returns when they survive what the configured durability
    /// says.
    ///
    /// All changes are made or none. If `work` fails, none is; if this does, either may be. Only one
    /// at a time may be under way.
    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Group) -> Result<(), Failure>,
    ) -> Result<(), Failure>;

    /// Whether there is room for about `bytes` more.
    fn room_for(&self, bytes: usize) -> Result<(), Failure>;

    /// Whether there is the room that removing takes.
    fn room_to_remove(&self) -> Result<(), Failure>;

    fn place(&self) -> &Place;
}

/// The keys and values.
pub(crate) trait View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure>;

    /// The first `limit` keys that are `from` or after it and before `to`, in order.
    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Failure>;
}

/// Changes, one after the other.
pub(crate) trait Group {
    /// What is stored, with the changes made so far.
    fn view(&self) -> &dyn View;

    /// Adds changes to the group.
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure>;
}
