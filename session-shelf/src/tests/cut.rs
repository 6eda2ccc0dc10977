//! sled's log cut off within its last group, as the end of the process or of the power in the middle
//! of writing leaves it: the database opens, and all of the group is there or nothing, with everything
//! that was written before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use session_core::{Created, Only, Record, SessionId, Store, Touch, Written};
use tempfile::TempDir;

use super::flaky::{Faults, flaky};
use super::kill::{Sessions, all};
use super::{Durability, START, TIMEOUT, consistent, counted, id, next, open, owned, owner};
use crate::{ShelfConfig, ShelfStore};

/// How often a database was opened before its last group was written.
#[derive(Clone, Copy)]
enum Opened {
    /// The log ends with what was written last.
    Once,
    /// Zeros follow: when it opens a database, sled clears what may be written next.
    Twice,
}

/// What is behind the cut.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    Nothing,
    /// What was there before the group.
    AsBefore,
}

/// A closed database, and what was in it before and after its last group.
struct Database {
    dir: TempDir,
    durability: Durability,
    log_before: Vec<u8>,
    log: Vec<u8>,
    before: Sessions,
    after: Sessions,
}

#[tokio::test]
async fn a_group_that_ends_with_the_log_is_wholly_there_or_not_at_all() {
    for durability in [Durability::Os, Durability::Disk] {
        let database = Database::written(durability, Opened::Once, 10).await;
        database.is_whole_wherever_it_is_cut(Behind::Nothing).await;
    }
}

#[tokio::test]
async fn a_group_with_zeros_behind_it_is_wholly_there_or_not_at_all() {
    for durability in [Durability::Os, Durability::Disk] {
        let database = Database::written(durability, Opened::Twice, 10).await;
        database.is_whole_wherever_it_is_cut(Behind::Nothing).await;
        database.is_whole_wherever_it_is_cut(Behind::AsBefore).await;
    }
}

#[tokio::test]
async fn a_group_too_long_for_a_note_is_wholly_there_or_not_at_all() {
    for opened in [Opened::Once, Opened::Twice] {
        let database = Database::written(Durability::Os, opened, 70_000).await;
        database.is_whole_wherever_it_is_cut(Behind::AsBefore).await;
    }
}

impl Database {
    /// In the last group, one record has so many bytes more.
    async fn written(durability: Durability, opened: Opened, bytes: usize) -> Self {
        let dir = fast_folder();
        let config = ShelfConfig::sled(dir.path()).durability(durability);
        let (mut store, mut shelf, mut faults) = flaky(config.clone());
        for number in 1..=4 {
            create(&store, &id(number), &owned("ada")).await;
        }
        create(&store, &id(6), &counted(1)).await;
        if let Opened::Twice = opened {
            drop((store, shelf));
            (store, shelf, faults) = flaky(config);
        }
        let before = all(&store).await;
        let log_before = fs::read(log_in(dir.path())).unwrap();
        write_group(&store, &faults, bytes).await;
        let after = all(&store).await;
        drop((store, shelf));
        Self {
            log: fs::read(log_in(dir.path())).unwrap(),
            dir,
            durability,
            log_before,
            before,
            after,
        }
    }

    async fn is_whole_wherever_it_is_cut(&self, behind: Behind) {
        let cuts = self.cuts();
        let mut was_there = false;
        for cut in &cuts {
            let _cut = Cut(*cut);
            let is_there = self.recovers(*cut, behind).await;
            assert!(is_there || !was_there, "it is there with less of the log");
            was_there = is_there;
        }
        assert!(was_there, "nothing was cut off at the end");
        assert!(cuts.len() > 200, "{} cuts", cuts.len());
    }

    /// Whether the group is there if the log goes up to `cut`; fails if it is there in part.
    async fn recovers(&self, cut: usize, behind: Behind) -> bool {
        let dir = fast_folder();
        copy(self.dir.path(), dir.path());
        let rest = match behind {
            Behind::Nothing => &[],
            Behind::AsBefore => self.log_before.get(cut..).unwrap_or_default(),
        };
        fs::write(log_in(dir.path()), [&self.log[..cut], rest].concat()).unwrap();
        let config = ShelfConfig::sled(dir.path()).durability(self.durability);

        let (store, shelf) = open(config.clone());
        consistent::check(&shelf);
        let mut found = all(&store).await;
        assert!(found == self.before || found == self.after, "{found:#?}");
        assert_owners_are_listed(&store, &found).await;
        let is_there = found == self.after;

        // What is written then must not be behind something that the next opening stops at.
        create(&store, &id(7), &owned("bob")).await;
        found.insert(id(7), owned("bob"));
        drop((store, shelf));
        let (store, shelf) = open(config);
        consistent::check(&shelf);
        assert_eq!(all(&store).await, found);
        is_there
    }

    /// Where the log is cut off: around every end of a message, in every message's header, and at
    /// so many places in between that a group of one page has hundreds. One byte after the other,
    /// it is the same, and takes minutes.
    fn cuts(&self) -> BTreeSet<usize> {
        let ends = message_ends(&self.log);
        let end = *ends.last().unwrap();
        assert!(self.log[end..].iter().all(|byte| *byte == 0));
        let differs = |at: &usize| self.log_before.get(*at) != self.log.get(*at);
        let begin = (0..end).find(differs).unwrap();
        let step = ((end - begin) / 250).max(1);
        let around = ends
            .iter()
            .flat_map(|end| [end - 1, *end, end + 1, end + 4]);
        let mut cuts: BTreeSet<_> = (begin..end).step_by(step).chain(around).collect();
        cuts.retain(|cut| (begin..=end).contains(cut));
        cuts.insert(self.log.len());
        cuts
    }
}

/// Tells, if a test fails, where the log was cut off.
struct Cut(usize);

impl Drop for Cut {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the log was cut off at {}", self.0);
        }
    }
}

async fn create(store: &ShelfStore, id: &SessionId, record: &Record) {
    let created = store.create(id, record).await.unwrap();
    assert_eq!(created, Created::Done);
}

/// Writes one group, in which there is a write of each kind.
async fn write_group(store: &ShelfStore, faults: &Faults, bytes: usize) {
    let first = owned("ada");
    let update = next(&first, "x".repeat(bytes));
    let moving = Record {
        owner: Some(owner("bob")),
        ..next(&first, "moved")
    };
    let touch = Touch {
        generation: first.generation,
        accessed_at: START.after(TIMEOUT),
    };
    let ids = [1, 2, 3, 4, 5].map(id);
    // While a write is held back, all that come are the group after it.
    faults.reached.store(false, Ordering::SeqCst);
    faults.held.store(true, Ordering::SeqCst);
    let held = {
        let store = store.clone();
        tokio::spawn(async move { store.ping().await.unwrap() })
    };
    while !faults.reached.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let (updated, moved, touched, deleted, created, ()) = tokio::join!(
        biased;
        store.update(&ids[0], &update, first.version),
        store.update(&ids[1], &moving, first.version),
        store.touch(&ids[2], &touch),
        store.delete(&ids[3], Only::Any),
        store.create(&ids[4], &moving),
        async { faults.held.store(false, Ordering::SeqCst) },
    );
    for written in [updated, moved, touched, deleted] {
        assert_eq!(written.unwrap(), Written::Done);
    }
    assert_eq!(created.unwrap(), Created::Done);
    held.await.unwrap();
}

async fn assert_owners_are_listed(store: &ShelfStore, sessions: &Sessions) {
    for owner in ["ada", "bob"].map(owner) {
        let owned = sessions
            .iter()
            .filter(|(_, record)| record.owner.as_ref() == Some(&owner));
        let owned: Vec<_> = owned.map(|(id, _)| *id).collect();
        assert_eq!(store.owned_by(&owner).await.unwrap(), owned, "{owner}");
    }
}

fn log_in(dir: &Path) -> PathBuf {
    dir.join("sled/db")
}

/// In memory where there can be one: sled syncs whenever it is opened, and what is tested is not
/// the disk.
fn fast_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&there).unwrap();
            copy(&entry.path(), &there);
        } else {
            fs::copy(entry.path(), there).unwrap();
        }
    }
}

/// Where sled's messages in the log's first segment end. A message is a checksum of four bytes, its
/// kind, the length of its content, the segment's number, the page's, and the content.
fn message_ends(log: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut rest = &log[SEGMENT_HEADER..];
    while let Some(kind) = rest.get(4)
        && *kind != NOTHING
    {
        rest = &rest[5..];
        let length = number(&mut rest);
        let _segment = number(&mut rest);
        let _page = number(&mut rest);
        rest = &rest[length..];
        ends.push(log.len() - rest.len());
    }
    ends
}

const SEGMENT_HEADER: usize = 20;
/// The kind that is no message's.
const NOTHING: u8 = 0;

/// A number of sled's: its first byte alone, or with one or two after it, or the length of what
/// follows, the least significant byte first.
fn number(bytes: &mut &[u8]) -> usize {
    let mut byte = || usize::from(*bytes.split_off_first().unwrap());
    match byte() {
        first @ 0..=240 => first,
        first @ 241..=248 => 240 + 256 * (first - 241) + byte(),
        249 => 2288 + 256 * byte() + byte(),
        first => (0..first - 247).fold(0, |number, at| number | byte() << (8 * at)),
    }
}
