//! A disk whose syncs fail or hang, as a manager's caller sees it.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use session_core::{
    Clock, Created, ErrorKind, Expiry, Only, Owner, Record, SessionConfig, SessionId,
    SessionManager, Store, StoreErrorKind, Token, Touch, Written,
};

use super::{FsStore, THREADS_MAX};
use crate::config::{Durability, FsConfig};
use crate::failure::Failure;
use crate::folder::{Access, Folders};
use crate::owners;
use crate::records::Records;
use crate::syncs::Faults;
use crate::unsynced::{Change, FAILED_MAX, Seen};

struct Disk {
    store: FsStore,
    sessions: SessionManager,
    record: Record,
    id: SessionId,
    _dir: tempfile::TempDir,
}

impl Disk {
    /// With one session of `ada`.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = FsConfig::new(dir.path()).durability(Durability::Disk);
        let store = FsStore::with_config(config).unwrap();
        let token = Token::random().unwrap();
        let now = Clock::system().now();
        let mut record = Record::new(token.digest(), now, Expiry::NEVER).unwrap();
        record.owner = Some(ada());
        let created = store.create(&token.id(), &record).await.unwrap();
        assert_eq!(created, Created::Done);
        let config = SessionConfig::builder().store_timeout(Duration::from_millis(400));
        Self {
            sessions: SessionManager::new(store.clone(), config.build().unwrap()),
            store,
            record,
            id: token.id(),
            _dir: dir,
        }
    }

    fn faults(&self) -> &Faults {
        &self.store.records.syncs.faults
    }

    fn heal(&self) {
        self.faults().fails.store(false, SeqCst);
        self.faults().hangs.store(false, SeqCst);
    }

    async fn until_one_hangs(&self) {
        let hangs = async {
            while self.faults().hanging.load(SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let hangs = tokio::time::timeout(Duration::from_secs(60), hangs);
        hangs.await.expect("nothing is brought to the disk");
    }

    /// Makes a session of `ada` one that cannot be read.
    fn damage(&self, id: &SessionId) {
        let damage = |records: &Records, folders: &Folders| {
            let name = records.template.name(id);
            owners::add(folders, &ada(), &name, Durability::Disk)?;
            records.lock(folders, id, Access::Make)
        };
        let file = self.store.records.within(damage).unwrap();
        drop(file.expect("it was made"));
        let path = self.store.records.template.path(id);
        std::fs::write(self.store.dir().join("sessions").join(path), "damaged").unwrap();
    }

    /// Saves in a session that was loaded before the disk failed; what became of it.
    async fn save(&self, fault: impl Fn(&Faults)) -> Option<ErrorKind> {
        let session = self.sessions.open(&self.id).await.unwrap().unwrap();
        session.insert("user", "ada").unwrap();
        fault(self.faults());
        session.save().await.err().map(|error| error.kind())
    }

    async fn is_saved(&self) -> bool {
        let record = self.store.load(&self.id).await.unwrap().unwrap();
        record.data.as_str().contains("ada")
    }
}

/// A test that fails waits for no thread.
impl Drop for Disk {
    fn drop(&mut self) {
        self.heal();
    }
}

fn ada() -> Owner {
    Owner::new("ada").unwrap()
}

fn fails(faults: &Faults) {
    faults.fails.store(true, SeqCst);
}

fn hangs(faults: &Faults) {
    faults.hangs.store(true, SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_whose_sync_fails_or_hangs_is_no_success() {
    for fault in [fails, hangs] {
        let disk = Disk::new().await;
        assert_eq!(disk.save(fault).await, Some(ErrorKind::Unavailable));
        disk.heal();
        assert!(disk.is_saved().await, "it was written again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_whose_sync_fails_or_hangs_is_no_success() {
    for fault in [fails, hangs] {
        let disk = Disk::new().await;
        fault(disk.faults());
        let ended = disk.sessions.revoke(&disk.id).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unavailable);
        // Who comes second finds no file.
        let again = tokio::time::timeout(
            Duration::from_millis(100),
            disk.store.delete(&disk.id, Only::Any),
        );
        assert!(!matches!(again.await, Ok(Ok(_))));
        let owner = ada();
        let listed = disk.store.owned_by(&owner);
        let listed = tokio::time::timeout(Duration::from_millis(100), listed);
        assert!(!matches!(listed.await, Ok(Ok(_))), "the owner has sessions");
        disk.heal();
        assert_eq!(disk.store.load(&disk.id).await.unwrap(), None);
        let gone = disk.store.delete(&disk.id, Only::Any).await.unwrap();
        assert_eq!(gone, Written::Gone);
        assert_eq!(disk.store.owned_by(&ada()).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_on_the_disk_leaves_nothing_in_doubt() {
    let disk = Disk::new().await;
    assert_eq!(disk.save(fails).await, Some(ErrorKind::Unavailable));
    assert!(!disk.store.records.unsynced.is_synced(&disk.id));
    disk.heal();
    let ended = disk.store.delete(&disk.id, Only::Any).await.unwrap();
    assert_eq!(ended, Written::Done);
    assert!(disk.store.records.unsynced.is_synced(&disk.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_an_end_whose_sync_failed() {
    let disk = Disk::new().await;
    fails(disk.faults());
    disk.store.delete(&disk.id, Only::Any).await.unwrap_err();
    let touch = Touch {
        generation: disk.record.generation,
        accessed_at: Clock::system().now(),
    };
    disk.store.touch(&disk.id, &touch).await.unwrap_err();
    let version = disk.record.version;
    let update = disk.store.update(&disk.id, &disk.record, version);
    update.await.unwrap_err();
    disk.heal();
    let touched = disk.store.touch(&disk.id, &touch).await.unwrap();
    assert_eq!(touched, Written::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_sync_failed_is_unavailable_until_it_was_written_again() {
    let disk = Disk::new().await;
    fails(disk.faults());
    let new = Token::random().unwrap();
    let failed = disk.store.create(&new.id(), &disk.record).await;
    assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let touch = Touch {
        generation: disk.record.generation,
        accessed_at: disk.record.accessed_at.after(Duration::from_secs(1)),
    };
    for _ in 0..2 {
        let failed = disk.store.touch(&new.id(), &touch).await;
        assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
        let failed = disk.store.load(&new.id()).await;
        assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    assert!(disk.store.load(&disk.id).await.is_ok(), "others go on");
    disk.heal();
    assert_eq!(
        disk.store.load(&new.id()).await.unwrap().as_ref(),
        Some(&disk.record)
    );
    assert!(disk.store.records.unsynced.is_synced(&new.id()));
    let touched = disk.store.touch(&new.id(), &touch).await.unwrap();
    assert_eq!(touched, Written::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_many_failed_sessions_a_new_one_is_begun_after_one_was_mended() {
    let disk = Disk::new().await;
    let unsynced = &disk.store.records.unsynced;
    for _ in 0..FAILED_MAX {
        drop(unsynced.begin(&SessionId::random().unwrap(), false));
    }
    fails(disk.faults());
    let new = Token::random().unwrap().id();
    for _ in 0..3 {
        let failed = disk.store.create(&new, &disk.record).await;
        assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert!(unsynced.is_synced(&new), "nothing was begun");
    }
    disk.heal();
    assert!(unsynced.one_too_many().is_some());
    let created = disk.store.create(&new, &disk.record).await.unwrap();
    assert_eq!(created, Created::Done);
    assert_eq!(unsynced.one_too_many(), None);
}

/// Who reads while a version is brought to the disk is told of it when it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_waits_for_the_sync_of_what_it_finds() {
    let disk = Disk::new().await;
    hangs(disk.faults());
    let mut new = disk.record.clone();
    new.version = new.version.next().unwrap();
    let (store, id, before) = (disk.store.clone(), disk.id, disk.record.version);
    let written = new.clone();
    let writer = tokio::spawn(async move { store.update(&id, &written, before).await });
    disk.until_one_hangs().await;
    let store = disk.store.clone();
    let reader = tokio::spawn(async move { store.load(&id).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!reader.is_finished());
    disk.heal();
    assert_eq!(reader.await.unwrap().unwrap(), Some(new));
    assert_eq!(writer.await.unwrap().unwrap(), Written::Done);
}

/// Of those who come for a session, at most one takes a thread of the store's: the one that brings
/// it to the disk.
#[tokio::test]
async fn who_waits_for_anothers_sync_keeps_no_thread_from_other_sessions() {
    for (removes, fails_first) in [(false, false), (true, false), (false, true), (true, true)] {
        let disk = Disk::new().await;
        let touch = Touch {
            generation: disk.record.generation,
            accessed_at: disk.record.accessed_at,
        };
        let mut new = disk.record.clone();
        new.version = new.version.next().unwrap();
        let (id, before, written) = (disk.id, disk.record.version, new.clone());
        let store = disk.store.clone();
        let write = async move {
            match removes {
                true => store.delete(&id, Only::Any).await,
                false => store.update(&id, &written, before).await,
            }
        };
        let writer = if fails_first {
            fails(disk.faults());
            write.await.unwrap_err();
            disk.heal();
            hangs(disk.faults());
            None
        } else {
            hangs(disk.faults());
            let writer = tokio::spawn(write);
            disk.until_one_hangs().await;
            Some(writer)
        };
        let readers: Vec<_> = (0..2 * THREADS_MAX)
            .map(|number| {
                let store = disk.store.clone();
                tokio::spawn(async move {
                    match number % 3 {
                        0 => Found::Record(store.load(&id).await.unwrap()),
                        1 => Found::Touched(store.touch(&id, &touch).await.unwrap()),
                        _ => Found::Owned(store.owned_by(&ada()).await.unwrap()),
                    }
                })
            })
            .collect();
        // Tasks begin in order: each of those stands in line for a thread before this one.
        let store = disk.store.clone();
        let ping = tokio::spawn(async move { store.ping().await });
        let ping = tokio::time::timeout(Duration::from_secs(60), ping).await;
        ping.expect("they have all threads").unwrap().unwrap();
        disk.until_one_hangs().await;
        assert_eq!(disk.faults().hanging.load(SeqCst), 1);
        disk.heal();
        for reader in readers {
            match (reader.await.unwrap(), removes) {
                (Found::Record(found), true) => assert_eq!(found, None),
                (Found::Record(found), false) => assert_eq!(found.as_ref(), Some(&new)),
                (Found::Touched(touched), true) => assert_eq!(touched, Written::Gone),
                (Found::Touched(touched), false) => assert_eq!(touched, Written::Done),
                (Found::Owned(ids), true) => assert_eq!(ids, []),
                (Found::Owned(ids), false) => assert_eq!(ids, [id]),
            }
        }
        if let Some(writer) = writer {
            assert_eq!(writer.await.unwrap().unwrap(), Written::Done);
        }
    }
}

#[derive(Debug)]
enum Found {
    Record(Option<Record>),
    Touched(Written),
    Owned(Vec<SessionId>),
}

/// Were it read again each time, it would always be on its way to the disk.
#[tokio::test]
async fn those_who_go_on_writing_put_no_reader_off() {
    let disk = Disk::new().await;
    let records = &disk.store.records;
    let (found, listed) = (Seen::default(), Seen::default());
    let load = || records.within(|records, folders| records.load(folders, &disk.id, &found));
    let list = || records.within(|records, folders| records.owned_by(folders, &ada(), &listed));
    let other = SessionId::random().unwrap();
    let first = [&disk.id, &other].map(|id| records.unsynced.begin(id, true));
    assert!(matches!(load(), Err(Failure::Syncing)));
    assert!(matches!(list(), Err(Failure::Syncing)));
    let second = [&disk.id, &other].map(|id| records.unsynced.begin(id, true));
    first.into_iter().for_each(Change::done);
    assert_eq!(load().unwrap().as_ref(), Some(&disk.record));
    assert_eq!(list().unwrap(), [disk.id]);
    second.into_iter().for_each(Change::done);
}

/// A session of the owner's that is looked at late ends while the look at one before it hangs.
#[tokio::test]
async fn a_list_tells_of_an_end_while_it_was_made_when_that_is_on_the_disk() {
    let disk = Disk::new().await;
    for _ in 0..2 {
        let id = SessionId::random().unwrap();
        let created = disk.store.create(&id, &disk.record).await.unwrap();
        assert_eq!(created, Created::Done);
    }
    let records = &disk.store.records;
    let list =
        |records: &Records, folders: &Folders| owners::list(folders, &ada(), &records.template);
    let in_order = records.within(list).unwrap();
    let (first, last) = (in_order[0], in_order[2]);
    records
        .within(|records, folders| records.unlink(folders, &first))
        .unwrap();
    drop(records.unsynced.begin(&first, false));
    hangs(disk.faults());
    let store = disk.store.clone();
    let list =
        |records: &Records, folders: &Folders| records.owned_by(folders, &ada(), &Seen::default());
    let listed = tokio::task::spawn_blocking(move || store.records.within(list));
    disk.until_one_hangs().await;
    let change = records.unsynced.begin(&last, true);
    let end = |records: &Records, folders: &Folders| {
        let file = records.lock(folders, &last, Access::Write)?.unwrap();
        records.end(folders, &last, &file, file.read_locked()?.as_ref())
    };
    records.within(end).unwrap();
    disk.heal();
    let listed = listed.await.unwrap();
    assert!(matches!(listed, Err(Failure::Syncing)), "{listed:?}");
    change.done();
    assert_eq!(disk.store.owned_by(&ada()).await.unwrap(), [in_order[1]]);
}

#[tokio::test]
async fn a_marker_is_dropped_when_its_session_is_anothers_on_the_disk_too() {
    let disk = Disk::new().await;
    let mut bobs = disk.record.clone();
    bobs.owner = Some(Owner::new("bob").unwrap());
    bobs.version = bobs.version.next().unwrap();
    fails(disk.faults());
    let update = disk.store.update(&disk.id, &bobs, disk.record.version);
    update.await.unwrap_err();
    // A power cut would give it back to her.
    let listed = disk.store.owned_by(&ada()).await;
    assert_eq!(listed.unwrap_err().kind(), StoreErrorKind::Unavailable);
    disk.heal();
    assert_eq!(disk.store.owned_by(&ada()).await.unwrap(), []);
    assert!(disk.store.records.unsynced.is_synced(&disk.id));
    let listed = disk.store.owned_by(&bobs.owner.unwrap()).await;
    assert_eq!(listed.unwrap(), [disk.id]);
}

#[tokio::test]
async fn with_many_failed_sessions_one_that_cannot_be_read_stops_no_new_one() {
    let disk = Disk::new().await;
    let records = &disk.store.records;
    for _ in 0..FAILED_MAX {
        drop(records.unsynced.begin(&SessionId::random().unwrap(), false));
    }
    // The one that is to be mended.
    let other = records.unsynced.one_too_many().unwrap();
    disk.damage(&other);
    let new = SessionId::random().unwrap();
    let created = disk.store.create(&new, &disk.record).await.unwrap();
    assert_eq!(created, Created::Done);
    assert!(records.unsynced.is_synced(&other), "it is forgotten");
    let found = disk.store.load(&other).await;
    assert_eq!(found.unwrap_err().kind(), StoreErrorKind::Corrupt);
    let mut listed = disk.store.owned_by(&ada()).await.unwrap();
    listed.sort();
    let mut hers = [disk.id, other, new];
    hers.sort();
    assert_eq!(listed, hers, "what may be hers can be revoked");
}

#[tokio::test]
async fn a_session_that_cannot_be_read_and_whose_end_failed_keeps_no_owners_list() {
    let disk = Disk::new().await;
    disk.damage(&disk.id);
    drop(disk.store.records.unsynced.begin(&disk.id, true));
    let bob = Owner::new("bob").unwrap();
    assert_eq!(disk.store.owned_by(&bob).await.unwrap(), []);
    assert_eq!(disk.store.owned_by(&ada()).await.unwrap(), [disk.id]);
    let found = disk.store.load(&disk.id).await;
    assert_eq!(found.unwrap_err().kind(), StoreErrorKind::Corrupt);
}
