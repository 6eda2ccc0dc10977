//! The stores keep the contract, with either engine and durability.
//!
//! Left out: `reopen`, because one process at a time has a database open; and, for sled,
//! `small_store`, because it does not give back the room of what is deleted.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted, samples};
use session_core::{SessionId, Store};
use session_test_servers::SmallDisk;
use tempfile::TempDir;

use super::{Durability, EngineKind, config, open};
use crate::shelf::Shelf;
use crate::{keys, place};

/// A database of its own for each store; `above` holds it and, while it is broken, its content.
struct OnDisk {
    kind: EngineKind,
    durability: Durability,
    above: TempDir,
    shelf: Mutex<Option<Arc<Shelf>>>,
    small: Mutex<Option<SmallDisk>>,
}

impl OnDisk {
    fn with(kind: EngineKind, durability: Durability) -> Self {
        Self {
            kind,
            durability,
            above: tempfile::tempdir().unwrap(),
            shelf: Mutex::default(),
            small: Mutex::default(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.above.path().join("database")
    }

    fn away(&self) -> PathBuf {
        self.above.path().join("away")
    }

    fn open(&self, dir: &std::path::Path) -> Arc<dyn Store> {
        let (store, shelf) = open(config(self.kind, dir).durability(self.durability));
        *self.shelf.lock().unwrap() = Some(shelf);
        Arc::new(store)
    }
}

#[async_trait]
impl Harness for OnDisk {
    async fn empty_store(&self) -> Arc<dyn Store> {
        self.open(&self.dir())
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        let disk = SmallDisk::mount(8 << 20).unwrap();
        let store = self.open(disk.path());
        *self.small.lock().unwrap() = Some(disk);
        store
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        let bytes = match what {
            Planted::Undecodable => samples::UNDECODABLE.to_vec(),
            Planted::NewerFormat => samples::newer_format().into_bytes(),
        };
        let shelf = self.shelf.lock().unwrap().clone().unwrap();
        let key = keys::record(id);
        let planted =
            shelf.write(|changing| changing.apply(vec![(key.clone(), Some(bytes.clone()))]));
        planted.unwrap();
        shelf.records().clear();
    }

    /// Moves the database away under the store, and waits until a load notices.
    async fn break_backend(&self) {
        fs::rename(self.dir(), self.away()).unwrap();
        tokio::time::sleep(place::LOOK_EVERY).await;
    }

    async fn mend_backend(&self) {
        fs::rename(self.away(), self.dir()).unwrap();
    }
}

#[cfg(feature = "sled")]
mod sled_os {
    use super::{Durability, EngineKind, OnDisk};

    session_core::store_conformance!(
        OnDisk::with(EngineKind::Sled, Durability::Os),
        without: [reopen, small_store]
    );
}

#[cfg(feature = "sled")]
mod sled_disk {
    use super::{Durability, EngineKind, OnDisk};

    session_core::store_conformance!(
        OnDisk::with(EngineKind::Sled, Durability::Disk),
        without: [reopen, small_store]
    );
}

#[cfg(feature = "redb")]
mod redb_disk {
    use super::{Durability, EngineKind, OnDisk};

    session_core::store_conformance!(
        OnDisk::with(EngineKind::Redb, Durability::Disk),
        without: [reopen]
    );
}
