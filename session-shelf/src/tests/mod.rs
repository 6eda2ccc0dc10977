//! Inside the crate, so that they can look at the engines' keys and values.

mod child;
mod conformance;
mod consistent;
#[cfg(feature = "sled")]
mod cut;
mod durability;
mod flaky;
mod indexes;
mod kill;
mod migration;
mod opening;
mod outages;
mod readers;
mod runtimes;
mod unsynced;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Expiry, Owner, Record, SessionId, Timestamp, Version};

use crate::config::{Durability, EngineKind, ShelfConfig};
use crate::engine;
use crate::layout;
use crate::place::Missing;
use crate::shelf::Shelf;
use crate::store::ShelfStore;

const ENGINES: &[EngineKind] = &[
    #[cfg(feature = "sled")]
    EngineKind::Sled,
    #[cfg(feature = "redb")]
    EngineKind::Redb,
];

/// When the sessions of these tests begin.
const START: Timestamp = Timestamp::from_unix_ms(1_764_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(3600);

pub(super) fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; SessionId::BYTES])
}

fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

/// The version with this counter of the same record every time.
pub(super) fn counted(counter: u64) -> Record {
    let digest = format!("b3.{}", "A".repeat(43)).parse().unwrap();
    let expiry = Expiry::new(Some(TIMEOUT), None);
    Record {
        version: Version::from_parts(counter, 1),
        ..Record::new(digest, START, expiry).unwrap()
    }
}

fn owned(name: &str) -> Record {
    Record {
        owner: Some(owner(name)),
        ..counted(1)
    }
}

/// The record's next version, told apart by its agent.
pub(super) fn next(record: &Record, agent: impl AsRef<str>) -> Record {
    Record {
        version: record.version.next().unwrap(),
        agent: Some(agent.as_ref().into()),
        ..record.clone()
    }
}

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
    let record_bytes = config.record_bytes();
    let opener = move |missing| engine::open(&config, missing);
    let shelf = Arc::new(Shelf::open(Box::new(opener), Missing::Make, record_bytes).unwrap());
    layout::begin(&shelf).unwrap();
    (ShelfStore::on(Arc::clone(&shelf), &path).unwrap(), shelf)
}
