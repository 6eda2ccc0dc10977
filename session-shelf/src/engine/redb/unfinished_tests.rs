use std::sync::{Arc, Mutex};

use redb::{Database, DatabaseError, StorageBackend, StorageError};
use session_core::{Created, ErrorKind, Store as _};

use super::super::is_no_database;
use super::*;
use crate::ShelfStore;
use crate::tests::{counted, id};

/// A file in memory, and what it was after each change.
#[derive(Clone, Debug, Default)]
struct Watched(Arc<Mutex<Vec<Vec<u8>>>>);

impl Watched {
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut bytes = self.now();
        change(&mut bytes);
        self.0.lock().unwrap().push(bytes);
        Ok(())
    }

    fn now(&self) -> Vec<u8> {
        self.0.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.now().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.now()[offset as usize..][..out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|bytes| bytes.resize(len as usize, 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|bytes| bytes[offset as usize..][..data.len()].copy_from_slice(data))
    }
}

/// What a file is while it is being made, from the first change to the last.
fn stages() -> Vec<Vec<u8>> {
    let watched = Watched::default();
    let made = Database::builder().create_with_backend(watched.clone());
    let stages = watched.0.lock().unwrap().clone();
    drop(made.unwrap());
    stages
}

#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_made_anew() {
    let stages = stages();
    let unknown = |stage: &&Vec<u8>| !stage.starts_with(b"redb");
    assert!(
        stages.iter().filter(unknown).count() >= 2,
        "long, and with a header"
    );
    for stage in &stages {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.redb");
        std::fs::write(&path, stage).unwrap();
        let store = ShelfStore::redb(&path).unwrap();
        let created = store.create(&id(1), &counted(1)).await.unwrap();
        assert_eq!(created, Created::Done);
        drop(store);
        let store = ShelfStore::redb(&path).unwrap();
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(counted(1)));
    }
}

/// Something may be in them, or they are another's.
#[tokio::test]
async fn a_file_that_may_hold_something_is_refused_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.redb");
    let store = ShelfStore::redb(&path).unwrap();
    let created = store.create(&id(1), &counted(1)).await.unwrap();
    assert_eq!(created, Created::Done);
    drop(store);
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[..MAGIC_BYTES].fill(0);
    let mut headless = damaged.clone();
    headless[..HEADER_BYTES].fill(0);
    let mut strange = vec![0; 5000];
    strange[100] = 1;
    let large = vec![0; BYTES_MAX as usize + 1];
    for content in [damaged, headless, strange, large] {
        std::fs::write(&path, &content).unwrap();
        let error = ShelfStore::redb(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(std::fs::read(&path).unwrap() == content);
    }
}

#[test]
fn a_file_that_another_is_making_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.redb");
    let content = stages().swap_remove(1);
    std::fs::write(&path, &content).unwrap();
    let open = || File::options().read(true).write(true).open(&path).unwrap();
    let maker = FileBackend::new(open()).unwrap();
    assert!(
        maker
            .try_lock_range(Bound::Unbounded, Bound::Unbounded)
            .unwrap()
    );
    assert!(emptied(&open()).unwrap(), "it is worth another try");
    assert!(std::fs::read(&path).unwrap() == content);
    maker.close().unwrap();
    assert!(emptied(&open()).unwrap());
    assert_eq!(path.metadata().unwrap().len(), 0);
}

#[test]
fn a_full_disk_is_told_and_not_taken_for_a_file_that_was_cut_short() {
    let io = |kind: io::ErrorKind| DatabaseError::Storage(StorageError::Io(kind.into()));
    assert!(is_no_database(&io(io::ErrorKind::InvalidData)));
    assert!(!is_no_database(&io(io::ErrorKind::StorageFull)));
}
