//! A disk whose syncs fail or hang, as a manager's caller sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use session_core::{
    Clock, Created, Error, ErrorKind, Only, SessionConfig, SessionManager, Store, Written,
};

use super::flaky::{Fault, Faults, flaky};
use super::outages::until;
use super::{ENGINES, START, config, id, next, owned, owner};
use crate::ShelfStore;
use crate::config::{Durability, EngineKind};

struct Disk {
    store: ShelfStore,
    sessions: SessionManager,
    faults: Arc<Faults>,
    _dir: tempfile::TempDir,
}

impl Disk {
    /// With one session of `ada`.
    async fn new(kind: EngineKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, _, faults) = flaky(config(kind, dir.path()).durability(Durability::Disk));
        let created = store.create(&id(1), &owned("ada")).await.unwrap();
        assert_eq!(created, Created::Done);
        let hands = session_core::ManualClock::at_unix_ms(START.as_unix_ms());
        let config = SessionConfig::builder()
            .clock(Clock::manual(&hands))
            .store_timeout(Duration::from_millis(400));
        Self {
            sessions: SessionManager::new(store.clone(), config.build().unwrap()),
            store,
            faults,
            _dir: dir,
        }
    }

    fn heal(&self) {
        self.faults.is_ill.store(false, SeqCst);
        self.faults.syncs_held.store(false, SeqCst);
    }

    async fn save(&self, fault: fn(&Faults)) -> Result<(), Error> {
        let session = self.sessions.open(&id(1)).await?.unwrap();
        session.insert("user", "ada")?;
        fault(&self.faults);
        session.save().await
    }
}

/// A test that fails waits for no thread.
impl Drop for Disk {
    fn drop(&mut self) {
        self.heal();
    }
}

fn fails(faults: &Faults) {
    faults.set(Fault::SyncFails);
}

fn hangs(faults: &Faults) {
    faults.syncs_held.store(true, SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_whose_sync_fails_or_hangs_is_no_success() {
    for kind in ENGINES {
        for (fault, is_again) in [(fails as fn(&Faults), true), (hangs, false)] {
            let disk = Disk::new(*kind).await;
            let error = disk.save(fault).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            disk.heal();
            let stored = disk.store.load(&id(1)).await.unwrap().unwrap();
            assert!(stored.data.as_str().contains("ada"));
            assert_eq!(disk.faults.in_doubt.load(SeqCst), is_again);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_whose_sync_fails_or_hangs_is_no_success() {
    for kind in ENGINES {
        for fault in [fails, hangs] {
            let disk = Disk::new(*kind).await;
            fault(&disk.faults);
            let error = disk.sessions.revoke(&id(1)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let error = disk.sessions.sessions_of(&owner("ada")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            disk.heal();
            assert_eq!(disk.store.load(&id(1)).await.unwrap(), None);
            let gone = disk.store.delete(&id(1), Only::Any).await.unwrap();
            assert_eq!(gone, Written::Gone);
        }
    }
}

/// One that was begun before the write finds what the write has shown, and nothing tells it so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_while_a_group_was_written_that_failed_is_read_again() {
    for kind in ENGINES {
        let disk = Disk::new(*kind).await;
        let first = owned("ada");
        disk.faults.set(Fault::PanicInWrite);
        // So that nothing is in memory.
        let _ = disk.store.delete(&id(9), Only::Any).await.unwrap_err();
        disk.faults.reads_held.store(true, SeqCst);
        let before = disk.faults.reads.load(SeqCst);
        let store = disk.store.clone();
        let reader = tokio::spawn(async move { store.load(&id(1)).await });
        until(|| disk.faults.reads.load(SeqCst) > before).await;
        hangs(&disk.faults);
        fails(&disk.faults);
        let (store, new) = (disk.store.clone(), next(&first, "new"));
        let writer = tokio::spawn(async move { store.update(&id(1), &new, first.version).await });
        until(|| disk.faults.is_shown.load(SeqCst)).await;
        disk.faults.reads_held.store(false, SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!reader.is_finished(), "it waits for the end of the group");
        disk.faults.syncs_held.store(false, SeqCst);
        let _ = writer.await.unwrap().unwrap_err();
        let _ = reader.await.unwrap().unwrap_err();
    }
}
