//! The contract of a backend, sentence by sentence; the conformance suite has a property for each.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::record::{Generation, Owner, Record, Version};

/// What a backend implements.
///
/// It keeps records under ids and answers what it holds. It never judges: whether a record has
/// expired, or a secret fits, is the manager's to say. It never retries one operation as another,
/// never invents an id, never brings a missing record back: only [`create`](Store::create) creates.
///
/// Every method may be called at any time from any thread, and by other processes if the
/// backend is shared. A future may be dropped at any point: the operation then has happened
/// wholly or not at all. What a method reports as done survives `kill -9` of the application
/// (a store in the application's own memory excepted).
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Stores `record` under `id`, if nothing is stored there.
    ///
    /// Of any number of concurrent calls for one id exactly one gets [`Created::Done`].
    /// An expired or undecodable record that is still there counts: the answer is
    /// [`Created::Taken`] and it stays as it was.
    ///
    /// # Errors
    ///
    /// `Full` and `TooLarge`: nothing was written. `Unavailable`: it may have been.
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError>;

    /// The record under `id`, byte for byte as it was last written or touched, expired or not.
    ///
    /// Ids are compared byte for byte. A backend that removes expired records by itself may do
    /// so no earlier than the manager's `clock_skew` after their expiry.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `NewerFormat`: what is there cannot be read; it is kept. An absent record is
    /// `None` and no error; a backend that cannot be asked is never `None`.
    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError>;

    /// The record under `id`, if the store has it in the application's memory: what
    /// [`load`](Self::load) would answer at this moment, without its waiting and without a copy.
    ///
    /// It is asked before `load`, on the request's thread and without a deadline, so it must not wait;
    /// and where a write through this store has begun, or an outcome is not known, it hands out only
    /// what `load` would. `None` says nothing about the record; `load` is asked then.
    ///
    /// The default is right for every store; only one that keeps records as they are gains by another.
    /// A store around another that does anything in its `load` must leave it.
    fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        let _ = id;
        None
    }

    /// Replaces the record under `id`, if it is still at version `expected`.
    ///
    /// `record.version` differs from `expected`: that is how the next writer notices. Of
    /// concurrent updates from one version exactly one gets [`Written::Done`]. On
    /// [`Written::Conflict`] and [`Written::Gone`] nothing is written. The stored `accessed_at`
    /// is the later of the record's and the stored one, so that a touch in between is kept.
    /// If the owner changed, the index follows: written before the record, removed after it.
    ///
    /// # Errors
    ///
    /// `Full` and `TooLarge`: the old record is as it was. `Unavailable`: either may be there.
    /// A record that cannot be decoded stays: the answer is `Corrupt`, `NewerFormat` or
    /// [`Written::Conflict`], as for `touch`.
    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError>;

    /// Does what [`update`](Self::update) does, if the store keeps its records in the application's
    /// memory: at once, without a future and without a copy of the record.
    ///
    /// It is asked before `update`, without a deadline, so it must not wait. `None`: nothing has been
    /// done, and `update` is asked.
    ///
    /// The default is right for every store; only one that keeps records as they are gains by another.
    /// A store around another that does anything in its `update` must leave it.
    fn update_in_memory(
        &self,
        id: &SessionId,
        record: &Arc<Record>,
        expected: Version,
    ) -> Option<Result<Written, StoreError>> {
        let _ = (id, record, expected);
        None
    }

    /// Moves `accessed_at` forward, if the record is still of the touch's generation
    /// ([`Written::Conflict`] if not).
    ///
    /// Never moves it back. The expiry follows from the limits *stored* in the record, data and
    /// version stay as they are, and the owner index lives at least as long as the record.
    /// [`Record::touch`] is the rule.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update).
    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError>;

    /// Removes the record and then its entry in the owner index.
    ///
    /// With [`Only::Generation`], only if the record is of that generation
    /// ([`Written::Conflict`] if not). [`Only::Any`] removes undecodable records too.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the record may still be there. Success is never reported for a record
    /// that is.
    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError>;

    /// The ids of all records bound to `owner`: none is missing, and an id may be listed whose
    /// record has since ended or changed hands.
    ///
    /// # Errors
    ///
    /// `Unavailable`. A partial list is never returned as a whole one.
    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError>;

    /// Up to about `limit` ids from where `cursor` stands, in the store's own order.
    ///
    /// From [`Cursor::start`] until [`Page::next`] is `None`, every record that exists
    /// throughout is listed at least once; records that come or go meanwhile may be, and an id
    /// may be listed twice. A limit of 0 counts as 1.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError>;

    /// Removes up to `limit` records that expired at or before `expired_before`, and returns
    /// how many.
    ///
    /// Expiry is checked again by the removal itself, so a record touched meanwhile stays.
    /// Records without an expiry stay; entries of the owner index go with their records. Fewer
    /// than `limit` means that nothing more was due, that another sweep is at work on it, or that it
    /// took so long that the next one is to go on: concurrent sweeps do no harm. A backend that removes
    /// expired records by itself returns 0.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some may have been removed.
    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// Asks the backend whether it is there and accepts writes.
    ///
    /// # Errors
    ///
    /// `Unavailable`, with the reason.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// The answer of [`Store::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// The record is stored.
    Done,
    /// Something is stored under the id; nothing was written.
    Taken,
}

/// The answer of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It is stored.
    Done,
    /// There is a record, but not of the expected version or generation; nothing was written.
    Conflict,
    /// There is no record; nothing was written.
    Gone,
}

/// A sign of life for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The generation the request was let in under.
    pub generation: Generation,
    /// When the request came.
    pub accessed_at: Timestamp,
}

/// Which record a deletion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// The one of this generation: a request ends only the session it was let into.
    Generation(Generation),
    /// Whichever is there: an administrator's.
    Any,
}

/// Where a scan stands; opaque, valid for the store that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(Option<String>);

impl Cursor {
    /// The start of a scan.
    #[must_use]
    pub const fn start() -> Self {
        Self(None)
    }

    /// A cursor that a store makes of its own position.
    #[must_use]
    pub fn at(position: impl Into<String>) -> Self {
        Self(Some(position.into()))
    }

    /// The store's position; `None` at the start.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// One step of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Ids of records.
    pub ids: Vec<SessionId>,
    /// Where to go on; `None` when all was seen. A page can be empty and have a next one.
    pub next: Option<Cursor>,
}

/// What a manager accepts as its store: a [`Store`], or a shared one.
///
/// ```
/// use session_core::{MemoryStore, SessionConfig, SessionManager};
/// use std::sync::Arc;
///
/// let store = Arc::new(MemoryStore::new());
/// let sessions = SessionManager::new(Arc::clone(&store), SessionConfig::builder().build()?);
/// # Ok::<(), session_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session store",
    label = "not a session store",
    note = "a store is `MemoryStore`, another type that implements `Store`, or an `Arc` of one, such as `connect(url).await?` returns"
)]
pub trait IntoStore {
    /// The store, shared.
    fn into_store(self) -> Arc<dyn Store>;
}

impl<S: Store> IntoStore for S {
    fn into_store(self) -> Arc<dyn Store> {
        Arc::new(self)
    }
}

impl<S: Store> IntoStore for Arc<S> {
    fn into_store(self) -> Arc<dyn Store> {
        self
    }
}

impl IntoStore for Arc<dyn Store> {
    fn into_store(self) -> Arc<dyn Store> {
        self
    }
}
