//! From one engine to the other.

use session_core::{Error, ErrorKind};

use crate::config::ShelfConfig;
use crate::engine::{self, Change};
use crate::failure::Failure;
use crate::keys;
use crate::layout::{self, State};
use crate::place::{self, Missing};
use crate::shelf::Shelf;

/// Copies all sessions of one database into another, and returns how many there were.
///
/// Every record is copied byte for byte, expired and unreadable ones too, with what belongs to
/// it. Nobody else may have either database open: stop the application first. Waits for the
/// disk, so an asynchronous program calls it on a blocking thread. The source stays as it is.
///
/// The target is made if it is missing, and has to be without sessions. Until the last one is
/// there, no store opens it. What an interrupted migration has left is removed when it is run
/// again.
///
/// # Errors
///
/// [`ErrorKind::Invalid`]: there are sessions in the target, or none was ever stored in the
/// source. Otherwise as for opening a store.
///
/// ```
/// use session_shelf::{ShelfConfig, migrate};
/// # #[cfg(all(feature = "sled", feature = "redb"))] {
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new.redb"));
/// # drop(session_shelf::ShelfStore::sled(&old)?);
///
/// let sessions = migrate(ShelfConfig::sled(old), ShelfConfig::redb(new))?;
/// println!("{sessions} sessions were copied");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn migrate(from: ShelfConfig, to: ShelfConfig) -> Result<u64, Error> {
    let source = open(from, Missing::Refuse)
        .map_err(|failure| failure.into_error("opening the database to migrate from"))?;
    let target = open(to, Missing::Make)
        .map_err(|failure| failure.into_error("opening the database to migrate to"))?;
    let done = prepare(&source, &target).and_then(|()| {
        copy(&source, &target).map_err(|failure| failure.into_error("migrating the sessions"))
    });
    source.close();
    target.close();
    done
}

fn open(config: ShelfConfig, missing: Missing) -> Result<Shelf, Failure> {
    let path = place::absolute(config.path())?;
    let config = config.at(path);
    Shelf::open(
        Box::new(move |missing| engine::open(&config, missing)),
        missing,
        0,
    )
}

fn prepare(source: &Shelf, target: &Shelf) -> Result<(), Error> {
    let refused = |why| Err(Error::new(ErrorKind::Invalid, why));
    let unread = |failure: Failure| failure.into_error("preparing the migration");
    match layout::state(source).map_err(unread)? {
        State::Ready => {}
        State::Empty => return refused("the database to migrate from was never used"),
        State::Filling => {
            return refused("the migration into the database to migrate from was not finished");
        }
    }
    match layout::state(target).map_err(unread)? {
        State::Empty => {}
        State::Ready if next_chunk(target, None).map_err(unread)?.is_empty() => {}
        State::Ready => return refused("there are sessions in the database to migrate to"),
        State::Filling => empty(target).map_err(unread)?,
    }
    layout::set(target, layout::FILLING).map_err(unread)
}

fn empty(target: &Shelf) -> Result<(), Failure> {
    loop {
        let chunk = next_chunk(target, None)?;
        if chunk.is_empty() {
            return Ok(());
        }
        write(
            target,
            chunk.into_iter().map(|(key, _)| (key, None)).collect(),
        )?;
    }
}

fn copy(source: &Shelf, target: &Shelf) -> Result<u64, Failure> {
    let mut records = 0;
    let mut last = None;
    loop {
        let chunk = next_chunk(source, last.as_deref())?;
        let Some((key, _)) = chunk.last() else {
            break;
        };
        last = Some(key.clone());
        let is_record = |(key, _): &&Change| keys::records(None).contains(key);
        records += chunk.iter().filter(is_record).count() as u64;
        write(target, chunk)?;
    }
    layout::set(target, layout::READY)?;
    Ok(records)
}

/// The next keys and values after one, without the database's own.
fn next_chunk(shelf: &Shelf, after: Option<&[u8]>) -> Result<Vec<Change>, Failure> {
    let from = match after {
        Some(key) => [key, &[0]].concat(),
        None => Vec::new(),
    };
    shelf.read(|view| {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for key in view.keys(&from, &[u8::MAX], KEYS_AT_ONCE)? {
            if key == keys::LAYOUT || key == keys::PING {
                continue;
            }
            let value = view.get(&key)?;
            bytes += value.as_ref().map_or(0, Vec::len);
            chunk.push((key, value));
            if bytes >= BYTES_AT_ONCE {
                break;
            }
        }
        Ok(chunk)
    })
}

/// More than the keys that are passed over, so that a chunk is empty only at the end.
const KEYS_AT_ONCE: usize = 512;
const BYTES_AT_ONCE: usize = 1 << 20;

fn write(target: &Shelf, chunk: Vec<Change>) -> Result<(), Failure> {
    let bytes = chunk
        .iter()
        .filter_map(|(_, value)| value.as_ref())
        .map(Vec::len)
        .sum();
    target.room_for(bytes)?;
    let mut chunk = Some(chunk);
    target.write(|changing| changing.apply(chunk.take().unwrap_or_default()))
}
