//! Inside the crate, so that they can look at the engines' keys and values.

mod conformance;
mod disk;

use std::path::Path;
use std::sync::Arc;

use crate::config::{Durability, EngineKind, ShelfConfig};
use crate::engine;
use crate::layout;
use crate::shelf::Shelf;
use crate::store::ShelfStore;

const ENGINES: &[EngineKind] = &[
    #[cfg(feature = "sled")]
    EngineKind::Sled,
    #[cfg(feature = "redb")]
    EngineKind::Redb,
];

/// A database of this kind below `dir`.
fn config(kind: EngineKind, dir: &Path) -> ShelfConfig {
    match kind {
        #[cfg(feature = "sled")]
        EngineKind::Sled => ShelfConfig::sled(dir),
        #[cfg(feature = "redb")]
        EngineKind::Redb => ShelfConfig::redb(dir.join("sessions.redb")),
    }
}

/// A store, and what it keeps its sessions on.
fn open(config: ShelfConfig) -> (ShelfStore, Arc<Shelf>) {
    let path = config.path().to_owned();
    let opener = move |missing| engine::open(&config, missing);
    let shelf = Arc::new(Shelf::new(Box::new(opener)).unwrap());
    layout::begin(&shelf).unwrap();
    (ShelfStore::on(Arc::clone(&shelf), &path).unwrap(), shelf)
}
