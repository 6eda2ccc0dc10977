//! redb: a tree of pages that are copied before they are changed. A commit is one `fdatasync`.

mod unfinished;

use std::fs::File;
use std::io;
use std::ops::Bound;

use redb::backends::FileBackend;
use redb::{
    BackendError, CommitError, Database, DatabaseError, ReadableDatabase as _, ReadableTable,
    StorageBackend, StorageError, Table, TableDefinition, TableError, TransactionError,
};
use session_core::{StoreError, StoreErrorKind};

use super::{Change, Engine, Group, View};
use crate::config::ShelfConfig;
use crate::failure::{Failure, kind_of};
use crate::place::{self, Missing, Place};

/// The one table, with the keys of all kinds.
const SHELF: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("shelf");

/// An open database in one file.
pub(crate) struct Redb {
    db: Database,
    place: Place,
}

impl Redb {
    pub(crate) fn open(config: &ShelfConfig, missing: Missing) -> Result<Self, Failure> {
        let redb = Self::open_file(config, missing)?;
        // Makes the table, so that readers find one; and makes free what the last commit before a
        // crash or failure had replaced, so that there is room to delete in a full file.
        match redb.write(&mut |_| Ok(())) {
            Ok(()) => Ok(redb),
            Err(failure) if failure.error().kind() == StoreErrorKind::Full => {
                drop(redb);
                Self::open_file(config, Missing::Refuse)
            }
            Err(failure) => Err(failure),
        }
    }

    fn open_file(config: &ShelfConfig, missing: Missing) -> Result<Self, Failure> {
        place::when_free(missing.patience(), || Self::open_unlocked(config, missing))
    }

    /// `None`: it is locked.
    fn open_unlocked(config: &ShelfConfig, missing: Missing) -> Result<Option<Self>, Failure> {
        let path = config.path();
        let above = path.parent().filter(|_| missing == Missing::Make);
        if let Some(above) = above {
            place::make_folder(above)?;
        }
        let file = place::open_file(path, missing)?;
        let is_new = file.metadata()?.len() == 0;
        if is_new && missing != Missing::Make {
            return Err(Failure::unavailable("the file has been emptied"));
        }
        if is_new {
            place::close_to_others(path)?;
        }
        let again = (missing == Missing::RefuseInDoubt).then(|| file.try_clone());
        let made = (missing == Missing::Make).then(|| file.try_clone());
        let backend = Allocated {
            handle: file.try_clone()?,
            file: FileBackend::new(file).map_err(not_opened)?,
        };
        let mut options = Database::builder();
        options.set_cache_size(config.page_bytes().max(CACHE_BYTES_MIN));
        let db = match options.create_with_backend(backend) {
            Ok(db) => db,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
            Err(error) => {
                // Of another error, such as a full disk, the caller is told.
                let made = made.filter(|_| is_no_database(&error));
                return match made.transpose()? {
                    // Empty now, or somebody else is just making it: in any case another try.
                    Some(file) if unfinished::emptied(&file)? => Ok(None),
                    _ => Err(not_opened(error)),
                };
            }
        };
        if let Some(file) = again.transpose()? {
            place::write_again(&file)?;
        }
        // Only now is it known to be a database, and no other file that a mistaken path leads to.
        place::close_to_others(path)?;
        if let Some(above) = above.filter(|_| is_new) {
            place::sync_names(above)?;
        }
        Ok(Some(Self {
            db,
            place: Place::of(path.to_owned())?,
        }))
    }
}

const CACHE_BYTES_MIN: usize = 1 << 20;

impl Engine for Redb {
    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<(), Failure>) -> Result<(), Failure> {
        let snapshot = self.db.begin_read().map_err(not_begun)?;
        let table = snapshot.open_table(SHELF).map_err(no_table)?;
        work(&Rows(table))
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Group) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Durable at once, which is the default: the other kind of commit is lost with the
        // process.
        let transaction = self.db.begin_write().map_err(not_begun)?;
        let table = transaction.open_table(SHELF).map_err(no_table)?;
        let mut rows = Rows(table);
        work(&mut rows)?;
        drop(rows);
        transaction.commit().map_err(not_committed)
    }

    /// The file says when it cannot grow.
    fn room_for(&self, _bytes: usize) -> Result<(), Failure> {
        Ok(())
    }

    fn room_to_remove(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

struct Rows<T>(T);

impl<T: ReadableTable<&'static [u8], &'static [u8]>> View for Rows<T> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let value = self.0.get(key).map_err(failed)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let found = self.0.range(from..to).map_err(failed)?.take(limit);
        found
            .map(|row| row.map(|(key, _)| key.value().to_vec()).map_err(failed))
            .collect()
    }
}

impl Group for Rows<Table<'_, &'static [u8], &'static [u8]>> {
    fn view(&self) -> &dyn View {
        self
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure> {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.0.insert(&*key, &*value).map_err(failed)?),
                None => drop(self.0.remove(&*key).map_err(failed)?),
            }
        }
        Ok(())
    }
}

/// A file whose length is backed by the disk, so that a full disk is met when the file is to grow
/// and not when a page inside is written: deleting goes on, and what it frees is used.
#[derive(Debug)]
struct Allocated {
    file: FileBackend,
    handle: File,
}

impl StorageBackend for Allocated {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        if len > self.file.len()? {
            match fallocate(&self.handle, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                // The file system knows no such thing.
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Also for want of room it is no refusal: what was written may or may not be there.
        self.file.sync_data().map_err(io::Error::other)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

fn failed(error: StorageError) -> Failure {
    let kind = match &error {
        StorageError::Io(error) => kind_of(error),
        StorageError::ValueTooLarge(_) => StoreErrorKind::TooLarge,
        _ => StoreErrorKind::Unavailable,
    };
    Failure::engine(kind, error)
}

fn not_begun(error: TransactionError) -> Failure {
    match error {
        TransactionError::Storage(error) => failed(error),
        error => Failure::engine(StoreErrorKind::Unavailable, error),
    }
}

fn not_committed(error: CommitError) -> Failure {
    match error {
        CommitError::Storage(error) => failed(error),
        error => Failure::engine(StoreErrorKind::Unavailable, error),
    }
}

fn no_table(error: TableError) -> Failure {
    match error {
        TableError::Storage(error) => failed(error),
        // Another type of keys or values: not what this crate makes.
        error => Failure::engine(StoreErrorKind::Corrupt, error),
    }
}

/// Whether redb has not found in the file what each of its own begins with.
fn is_no_database(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::InvalidData)
}

fn not_opened(error: DatabaseError) -> Failure {
    match error {
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            Failure::Engine(
                StoreError::new(
                    StoreErrorKind::Corrupt,
                    format!("the file is no redb database: {error}"),
                )
                .caused_by(error),
            )
        }
        DatabaseError::Storage(error @ StorageError::Corrupted(_)) => {
            Failure::engine(StoreErrorKind::Corrupt, error)
        }
        DatabaseError::Storage(error) => failed(error),
        error => Failure::engine(StoreErrorKind::Unavailable, error),
    }
}
