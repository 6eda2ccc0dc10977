//! An engine that fails when it is told to, around one of the real ones.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use session_core::{StoreError, StoreErrorKind};

use crate::config::ShelfConfig;
use crate::engine::{self, Change, Engine, Group, View};
use crate::failure::Failure;
use crate::layout;
use crate::place::{Missing, Place};
use crate::shelf::Shelf;
use crate::store::ShelfStore;

/// What goes wrong, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    PanicInRead,
    PanicInWrite,
    /// The disk is full, and nothing is written.
    FullBefore,
    /// All is written, and then the disk is said to be full.
    FullAfter,
    /// All is written and shown, and then not brought to the disk; nor is the database opened again
    /// while the disk [is ill](Faults::is_ill).
    SyncFails,
    /// The engine panics when this key is asked for in a write, however many come before.
    PanicOver(Vec<u8>),
}

#[derive(Default)]
pub(super) struct Faults {
    next: Mutex<Option<Fault>>,
    /// Writes wait for as long as this is set.
    pub(super) held: AtomicBool,
    /// A write is waiting, or has begun.
    pub(super) reached: AtomicBool,
    /// Reads wait for as long as this is set.
    pub(super) reads_held: AtomicBool,
    /// So many reads are waiting, or have begun.
    pub(super) reads: AtomicUsize,
    /// The database cannot be opened for as long as this is set.
    pub(super) is_ill: AtomicBool,
    /// Writes are shown, and then wait for as long as this is set.
    pub(super) syncs_held: AtomicBool,
    /// A write is shown, and waits.
    pub(super) is_shown: AtomicBool,
    /// The database was opened last in doubt of what is on the disk.
    pub(super) in_doubt: AtomicBool,
    /// To open the database again takes so long.
    pub(super) opening: Mutex<Duration>,
    /// The engine says that there is room for so many bytes, whatever the disk says.
    pub(super) room: Mutex<Option<usize>>,
}

impl Faults {
    pub(super) fn set(&self, fault: Fault) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    fn take(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.take_if(|fault| wanted(fault))
    }
}

struct Flaky {
    engine: Arc<dyn Engine>,
    faults: Arc<Faults>,
}

/// A store on a database that can be made to fail.
pub(super) fn flaky(config: ShelfConfig) -> (ShelfStore, Arc<Shelf>, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let path = config.path().to_owned();
    let mine = Arc::clone(&faults);
    let record_bytes = config.record_bytes();
    let opener = move |missing| -> Result<Arc<dyn Engine>, Failure> {
        let in_doubt = missing == Missing::RefuseInDoubt;
        mine.in_doubt.store(in_doubt, Ordering::SeqCst);
        thread::sleep(*mine.opening.lock().unwrap_or_else(PoisonError::into_inner));
        if mine.is_ill.load(Ordering::SeqCst) {
            return Err(Failure::unavailable("the disk does not sync"));
        }
        Ok(Arc::new(Flaky {
            engine: engine::open(&config, missing)?,
            faults: Arc::clone(&mine),
        }))
    };
    let shelf = Arc::new(Shelf::open(Box::new(opener), Missing::Make, record_bytes).unwrap());
    layout::begin(&shelf).unwrap();
    let store = ShelfStore::on(Arc::clone(&shelf), &path).unwrap();
    (store, shelf, faults)
}

impl Engine for Flaky {
    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<(), Failure>) -> Result<(), Failure> {
        self.faults.reads.fetch_add(1, Ordering::SeqCst);
        while self.faults.reads_held.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let fault = self.faults.take(|fault| *fault == Fault::PanicInRead);
        assert!(fault.is_none(), "a fault that the test asked for");
        self.engine.read(work)
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Group) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.faults.reached.store(true, Ordering::SeqCst);
        while self.faults.held.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let fault = self
            .faults
            .take(|fault| !matches!(fault, Fault::PanicInRead | Fault::PanicOver(_)));
        match fault {
            Some(Fault::PanicInWrite) => panic!("a fault that the test asked for"),
            Some(Fault::FullBefore) => return Err(full()),
            _ => {}
        }
        self.engine.write(&mut |group| {
            work(&mut Watched {
                group,
                faults: &self.faults,
            })
        })?;
        while self.faults.syncs_held.load(Ordering::SeqCst) {
            self.faults.is_shown.store(true, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
        }
        match fault {
            Some(Fault::FullAfter) => Err(full()),
            Some(Fault::SyncFails) => {
                self.faults.is_ill.store(true, Ordering::SeqCst);
                Err(Failure::unavailable("the disk does not sync"))
            }
            _ => Ok(()),
        }
    }

    fn room_to_remove(&self) -> Result<(), Failure> {
        self.engine.room_to_remove()
    }

    fn room_for(&self, bytes: usize) -> Result<(), Failure> {
        let room = *self
            .faults
            .room
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match room {
            Some(room) if bytes <= room => Ok(()),
            Some(_) => Err(Failure::Record(StoreError::new(
                StoreErrorKind::Full,
                "no room",
            ))),
            None => self.engine.room_for(bytes),
        }
    }

    fn place(&self) -> &Place {
        self.engine.place()
    }
}

struct Watched<'a> {
    group: &'a mut dyn Group,
    faults: &'a Faults,
}

impl View for Watched<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let over = |fault: &Fault| matches!(fault, Fault::PanicOver(over) if over == key);
        let fault = self.faults.take(over);
        assert!(fault.is_none(), "a fault that the test asked for");
        self.group.view().get(key)
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Failure> {
        self.group.view().keys(from, to, limit)
    }
}

impl Group for Watched<'_> {
    fn view(&self) -> &dyn View {
        self
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure> {
        self.group.apply(changes)
    }
}

fn full() -> Failure {
    Failure::Engine(StoreError::new(StoreErrorKind::Full, "no space left"))
}
