//! The store keeps the contract, with either durability; nothing is left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted, samples};
use session_core::{SessionId, Store};
use session_fs::{Durability, FsConfig, FsStore};
use session_test_servers::SmallDisk;
use tempfile::TempDir;

/// A folder of its own for each store; `above` holds it and, while it is broken, its content.
struct Folder {
    durability: Durability,
    above: TempDir,
    small: Mutex<Option<SmallDisk>>,
}

impl Folder {
    fn with(durability: Durability) -> Self {
        Self {
            durability,
            above: tempfile::tempdir().unwrap(),
            small: Mutex::default(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.above.path().join("sessions-of-the-test")
    }

    fn away(&self) -> PathBuf {
        self.above.path().join("away")
    }

    fn open(&self, dir: &Path) -> Arc<dyn Store> {
        let config = FsConfig::new(dir).durability(self.durability);
        Arc::new(FsStore::with_config(config).unwrap())
    }
}

#[async_trait]
impl Harness for Folder {
    async fn empty_store(&self) -> Arc<dyn Store> {
        self.open(&self.dir())
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        let disk = SmallDisk::mount(256 << 10).unwrap();
        let store = self.open(disk.path());
        *self.small.lock().unwrap() = Some(disk);
        store
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.open(&self.dir())
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        let hex = hex(id);
        let folder = self.dir().join("sessions").join(&hex[..2]);
        fs::create_dir_all(&folder).unwrap();
        let bytes = match what {
            Planted::Undecodable => samples::UNDECODABLE.to_vec(),
            Planted::NewerFormat => frame(&hex, &samples::newer_format()),
        };
        fs::write(folder.join(format!("{hex}.session")), bytes).unwrap();
    }

    /// Deletes the folder under the store, keeps what is in it, and lets no new one be made.
    async fn break_backend(&self) {
        for name in ["sessions", "owners"] {
            let away = self.away().join(name);
            fs::create_dir_all(&away).unwrap();
            for entry in fs::read_dir(self.dir().join(name)).into_iter().flatten() {
                let entry = entry.unwrap();
                fs::rename(entry.path(), away.join(entry.file_name())).unwrap();
            }
        }
        if self.dir().exists() {
            fs::remove_dir_all(self.dir()).unwrap();
        }
        fs::write(self.dir(), "no folder").unwrap();
    }

    async fn mend_backend(&self) {
        fs::remove_file(self.dir()).unwrap();
        fs::rename(self.away(), self.dir()).unwrap();
    }
}

fn hex(id: &SessionId) -> String {
    id.as_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

/// A session's file with one version, as the crate's documentation describes it.
fn frame(id: &str, record: &str) -> Vec<u8> {
    let length = record.len();
    let start = format!("SKF1 R {id} {length:08x} 00000000 ");
    let checksum = crc32fast::hash(start.as_bytes());
    let counted = format!("{start}{checksum:08x}\n{record}");
    let checksum = crc32fast::hash(counted.as_bytes());
    format!("{counted}\n{checksum:08x} {length:08x}\n").into_bytes()
}

mod os {
    use super::{Durability, Folder};

    session_core::store_conformance!(Folder::with(Durability::Os));
}

mod disk_too {
    use super::{Durability, Folder};

    session_core::store_conformance!(Folder::with(Durability::Disk));
}
