//! The store: a read that has to ask the engine is one hand-over to a blocking thread, a write one
//! to the thread that writes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Created, Cursor, Error, Only, Owner, Page, Record, SessionId, Store, StoreError, Timestamp,
    Touch, Version, Written,
};
use tokio::sync::Semaphore;

use crate::config::ShelfConfig;
use crate::engine::{self, View};
use crate::failure::Failure;
use crate::layout;
use crate::place::{self, Missing};
use crate::records;
use crate::shelf::Shelf;
use crate::writer::Writer;
use crate::writes::{Create, Delete, Encoded, Ping, Sweep, Touching, Update, Write as _};

/// Sessions in an embedded database; cheap to clone, the clones share it.
///
/// Needs a tokio runtime (actix-web's is one). One store at a time has a database open. When the
/// last clone is dropped, the database is closed; that may wait for the disk, up to 20 seconds.
#[derive(Clone)]
pub struct ShelfStore {
    shelf: Arc<Shelf>,
    writer: Arc<Writer>,
    readers: Arc<Semaphore>,
    path: Arc<Path>,
}

impl ShelfStore {
    /// A store with the default options, in sled, in the folder `sled` below `dir`.
    ///
    /// Opens the database, and makes it if it is missing: this waits for the disk, longer after
    /// a crash.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](session_core::ErrorKind::Unavailable): it cannot be opened, or
    /// another process keeps it open for two seconds; the message says which.
    /// [`ErrorKind::Corrupt`](session_core::ErrorKind::Corrupt): what is there is no such
    /// database, or a damaged one. [`ErrorKind::NewerFormat`](session_core::ErrorKind::NewerFormat):
    /// a later version of this crate made it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let store = session_shelf::ShelfStore::sled(dir.path())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "sled")]
    pub fn sled(dir: impl Into<std::path::PathBuf>) -> Result<Self, Error> {
        Self::with_config(ShelfConfig::sled(dir))
    }

    /// A store with the default options, in redb, in one file.
    ///
    /// # Errors
    ///
    /// As for a store in sled.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let store = session_shelf::ShelfStore::redb(dir.path().join("sessions.redb"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "redb")]
    pub fn redb(file: impl Into<std::path::PathBuf>) -> Result<Self, Error> {
        Self::with_config(ShelfConfig::redb(file))
    }

    /// A store with these options.
    ///
    /// # Errors
    ///
    /// As for a store with the default ones.
    pub fn with_config(config: ShelfConfig) -> Result<Self, Error> {
        Self::open(config).map_err(|failure| failure.into_error("opening the database"))
    }

    fn open(config: ShelfConfig) -> Result<Self, Failure> {
        let path = place::absolute(config.path())?;
        let config = config.at(path.clone());
        let record_bytes = config.record_bytes();
        let opener = Box::new(move |missing| engine::open(&config, missing));
        let shelf = Arc::new(Shelf::open(opener, Missing::Make, record_bytes)?);
        layout::begin(&shelf).map_err(|failure| failure.at(&path))?;
        Self::on(shelf, &path)
    }

    pub(crate) fn on(shelf: Arc<Shelf>, path: &Path) -> Result<Self, Failure> {
        Ok(Self {
            writer: Arc::new(Writer::start(Arc::clone(&shelf))?),
            shelf,
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            path: path.into(),
        })
    }

    /// The path it was opened with, as an absolute one.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a blocking thread to its end, also when the caller stops waiting.
    ///
    /// Not on the calling thread, though a page that is in memory is found in a microsecond:
    /// nobody can know beforehand that it is, and in sled a reader also waits for a writer, who
    /// may be waiting for the disk.
    ///
    /// Who stops waiting before it is begun leaves nothing behind.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&dyn View) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || Failure::unavailable("its thread stopped").into_store_error(operation);
        let turn = Arc::clone(&self.readers).acquire_owned().await;
        let turn = turn.map_err(|_| stopped())?;
        let shelf = Arc::clone(&self.shelf);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shelf.read(work)
        });
        let found = reading.await.map_err(|_| stopped())?;
        found.map_err(|failure| failure.into_store_error(operation))
    }
}

impl fmt::Debug for ShelfStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShelfStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for ShelfStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let (id, new) = (*id, encoded(record, Create::OPERATION)?);
        self.writer.write(Create { id, new }).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let (id, records) = (*id, self.shelf.records());
        loop {
            let turn = match self.shelf.recent(&id) {
                Ok(record) => return Ok(Some(Arc::unwrap_or_clone(record))),
                Err(turn) => turn,
            };
            let (ended, failures) = (records.group_ended(), records.failures());
            if !records.is_written(&id) {
                let operation = "loading the session";
                let found = self.read(operation, move |view| records::load(view, &id));
                let found = found.await?;
                // Asked after it was read, and in this order.
                if !records.is_written(&id) && records.failures() == failures {
                    if let Some(record) = &found {
                        records.keep(&id, record, turn);
                    }
                    return Ok(found);
                }
            }
            ended.await;
        }
    }

    fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        self.shelf.recent(id).ok()
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let (id, new) = (*id, encoded(record, Update::OPERATION)?);
        self.writer.write(Update { id, new, expected }).await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let (id, touch) = (*id, *touch);
        self.writer.write(Touching { id, touch }).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        self.writer.write(Delete { id: *id, only }).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let records = self.shelf.records();
        loop {
            let (owner, failures) = (owner.clone(), records.failures());
            let operation = "listing the owner's sessions";
            let found = self.read(operation, move |view| records::owned_by(view, &owner));
            let found = found.await?;
            // Who finds no session takes the owner's for ended; so it has to be safe.
            let ended = records.group_ended();
            if records.is_group_written() {
                ended.await;
            }
            if records.failures() == failures {
                return Ok(found);
            }
        }
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.read("listing sessions", move |view| {
            records::scan(view, &cursor, limit)
        })
        .await
    }

    /// In steps, so that other writes need not wait for all of it.
    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut removed = 0;
        loop {
            let left = usize::try_from(most - removed).unwrap_or(usize::MAX);
            let step = Sweep {
                expired_before,
                limit: left.min(SWEPT_AT_ONCE),
            };
            let swept = self.writer.write(step).await?;
            removed += swept.removed;
            if !swept.more || removed >= most {
                return Ok(removed);
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.write(Ping).await
    }
}

fn encoded(record: &Record, operation: &'static str) -> Result<Encoded, StoreError> {
    Encoded::new(record).map_err(|failure| failure.into_store_error(operation))
}

/// So many reads have a thread at once: a disk that hangs takes no more of the runtime's, which are
/// for others too.
pub(crate) const READERS_MAX: usize = 64;

/// So many expired records go in one step.
const SWEPT_AT_ONCE: usize = 128;
