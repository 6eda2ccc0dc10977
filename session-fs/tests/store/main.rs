//! What is particular to sessions in files; what all stores share is in the conformance suite.

mod abandoned;
mod bounds;
mod full;
mod many;
mod model;
mod owners;
mod processes;
mod races;
mod refusals;
mod remains;

use std::path::{Path, PathBuf};
use std::time::Duration;

use session_core::{Digest, Expiry, Owner, Record, Secret, SessionId, Timestamp, Version};
use session_fs::FsStore;
use tempfile::TempDir;

/// When the sessions of these tests begin.
const START: Timestamp = Timestamp::from_unix_ms(1_764_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(3600);

fn id(number: u8) -> SessionId {
    let mut bytes = [number; SessionId::BYTES];
    bytes[0] = number % 4;
    SessionId::from_bytes(bytes)
}

fn digest() -> Digest {
    let id = SessionId::from_bytes([1; 16]);
    Secret::random().unwrap().digest(&id)
}

fn record() -> Record {
    Record::new(digest(), START, Expiry::new(Some(TIMEOUT), None)).unwrap()
}

fn owned(owner: &str) -> Record {
    let mut record = record();
    record.owner = Some(Owner::new(owner).unwrap());
    record
}

/// The record's next version, told apart by its agent.
fn next(record: &Record, agent: impl AsRef<str>) -> Record {
    let mut next = record.clone();
    next.version = record.version.next().unwrap();
    next.agent = Some(agent.as_ref().into());
    next
}

/// The record with a version that counts.
fn counted(counter: u64) -> Record {
    let mut record = record();
    record.version = Version::from_parts(counter, 1);
    record
}

fn folder() -> (TempDir, FsStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FsStore::open(dir.path()).unwrap();
    (dir, store)
}

fn hex(id: &SessionId) -> String {
    id.as_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

/// Where the documentation says that a session's file is.
fn path_of(dir: &Path, id: &SessionId) -> PathBuf {
    let hex = hex(id);
    dir.join("sessions")
        .join(&hex[..2])
        .join(format!("{hex}.session"))
}

/// Every file below a folder that is no folder, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
