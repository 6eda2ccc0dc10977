//! The store: each operation is one hand-over to a blocking thread, so that the caller's deadline
//! works with a disk that hangs; a load of what is in memory anyway needs none, nor does a write
//! that the runtime can spare a thread for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Created, Cursor, Error, Only, Owner, Page, Record, SessionId, Store, StoreError,
    StoreErrorKind, Timestamp, Touch, Version, Written,
};
use tokio::task::JoinError;

use crate::config::FsConfig;
use crate::failure::Failure;
use crate::folder::Folders;
use crate::records::Records;
use crate::watch::Pace;

/// Sessions in files below one folder; cheap to clone, the clones share it.
///
/// Needs a tokio runtime (actix-web's is one). Any number of stores, in any number of processes,
/// may work in one folder.
#[derive(Clone, Debug)]
pub struct FsStore {
    records: Arc<Records>,
}

impl FsStore {
    /// A store with the default options below `dir`, which is made on first use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](session_core::ErrorKind::Invalid): the path is empty.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::with_config(FsConfig::new(dir))
    }

    /// A store with these options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](session_core::ErrorKind::Invalid): an option is not acceptable;
    /// the message says why.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a configuration is used once"
    )]
    pub fn with_config(config: FsConfig) -> Result<Self, Error> {
        Ok(Self {
            records: Arc::new(Records::new(&config)?),
        })
    }

    /// The folder, as an absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.records.root.dir()
    }

    /// Runs `work` on a blocking thread to its end, also when the caller stops waiting.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&Records, &Folders) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let records = Arc::clone(&self.records);
        tokio::task::spawn_blocking(move || records.within(work))
            .await
            .map_err(|error| stopped(operation, error))?
            .map_err(|failure| failure.into_store_error(operation))
    }

    /// Runs `work` on the calling runtime's threads if they can be spared and nothing has to be
    /// waited for, and on a blocking thread otherwise; to its end in either case.
    async fn run_at_once<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&Records, &Folders, Pace<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(watch) = self.records.watch() else {
            let work =
                move |records: &Records, folders: &Folders| work(records, folders, Pace::Waiting);
            return self.run(operation, work).await;
        };
        let records = Arc::clone(&self.records);
        // A task of its own, so that the caller's deadline can pass while it hangs.
        let attempt = tokio::spawn(async move {
            let done = records.at_once(&watch, &work);
            if !matches!(done, Err(Failure::WouldWait)) {
                return Ok(done);
            }
            let waiting = move || records.within(|all, folders| work(all, folders, Pace::Waiting));
            tokio::task::spawn_blocking(waiting).await
        });
        let done = attempt.await.and_then(|done| done);
        done.map_err(|error| stopped(operation, error))?
            .map_err(|failure| failure.into_store_error(operation))
    }
}

fn stopped(operation: &'static str, error: JoinError) -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        format!("{operation} failed: its thread stopped"),
    )
    .caused_by(error)
}

#[async_trait]
impl Store for FsStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let (id, record) = (*id, record.clone());
        self.run("creating the session", move |records, folders| {
            records.create(folders, &id, &record)
        })
        .await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.records.load_cached(id) {
            return Ok(Some(record));
        }
        let id = *id;
        self.run("loading the session", move |records, folders| {
            records.load(folders, &id)
        })
        .await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let (id, record) = (*id, record.clone());
        self.run_at_once("updating the session", move |records, folders, pace| {
            records.update(folders, &id, &record, expected, pace)
        })
        .await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let (id, touch) = (*id, *touch);
        self.run_at_once("touching the session", move |records, folders, pace| {
            records.touch(folders, &id, &touch, pace)
        })
        .await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let id = *id;
        self.run("deleting the session", move |records, folders| {
            records.delete(folders, &id, only)
        })
        .await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let owner = owner.clone();
        self.run("listing the owner's sessions", move |records, folders| {
            records.owned_by(folders, &owner)
        })
        .await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.run("listing sessions", move |records, folders| {
            records.scan(folders, &cursor, limit)
        })
        .await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.run("sweeping", move |records, folders| {
            records.sweep(folders, expired_before, limit)
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run("asking the folder", Records::ping).await
    }
}
