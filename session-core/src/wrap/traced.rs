//! A span and an event for every operation of a store, and metrics of them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tracing::{Instrument, Span};

use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};

/// Shows what a store does, to `tracing` and, with the feature `metrics`, to `metrics`.
///
/// ```
/// use session_core::wrap::Traced;
/// use session_core::{MemoryStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), session_core::StoreError> {
/// let store = Traced::new(MemoryStore::new()).named("memory");
/// store.ping().await?; // a span, an event: operation="ping" outcome="done"
/// # Ok(())
/// # }
/// ```
///
/// # Events
///
/// Each operation is a span `store` at debug level, target `session::store`, and ends in one
/// event: at debug level, at warn level if it failed.
///
/// | field | value |
/// |---|---|
/// | `store` | the name given with [`Traced::named`] |
/// | `operation` | `create`, `load`, `update`, `touch`, `delete`, `owned_by`, `scan`, `sweep`, `ping` |
/// | `session` | the id, where there is one; it is public and opens nothing |
/// | `outcome` | `done`, `taken`, `found`, `absent`, `conflict`, `gone`; for a failure `unavailable`, `full`, `too_large`, `corrupt`, `newer_format`, `unsupported`; `dropped` if the caller gave up waiting |
/// | `count` | ids listed, records swept |
/// | `micros` | how long it took |
/// | `error` | the failure's text |
///
/// Data, owners, digests and addresses are in none of them.
///
/// # Metrics
///
/// With the feature `metrics`, through the recorder that the application installs:
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `session_store_operations_total` | counter | `store`, `operation`, `outcome` |
/// | `session_store_operation_seconds` | histogram | `store`, `operation`, `outcome` |
/// | `session_store_swept_total` | counter: records | `store` |
pub struct Traced {
    inner: Arc<dyn Store>,
    name: &'static str,
}

impl Traced {
    /// Watches `store`, under the name `sessions`.
    #[must_use]
    pub fn new(store: impl IntoStore) -> Self {
        Self {
            inner: store.into_store(),
            name: "sessions",
        }
    }

    /// Sets the name that tells this store's events and metrics from another's.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    async fn watch<T>(
        &self,
        operation: &'static str,
        id: Option<&SessionId>,
        work: impl Future<Output = Result<T, StoreError>>,
        ending: fn(&T) -> Ending,
    ) -> Result<T, StoreError> {
        let store = self.name;
        let session = id.map(tracing::field::display);
        let span =
            tracing::debug_span!(target: "session::store", "store", store, operation, session);
        let mut watch = Watch {
            store,
            operation,
            id,
            span: span.clone(),
            started: Instant::now(),
            ended: false,
        };
        let answer = work.instrument(span).await;
        match &answer {
            Ok(answer) => watch.end(ending(answer), None),
            Err(error) => watch.end(failed(error.kind()), Some(error)),
        }
        answer
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced")
            .field("name", &self.name)
            .field("inner", &self.inner)
            .finish()
    }
}

#[async_trait]
impl Store for Traced {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let work = self.inner.create(id, record);
        self.watch("create", Some(id), work, |created| match created {
            Created::Done => Ending::of("done"),
            Created::Taken => Ending::of("taken"),
        })
        .await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        self.watch("load", Some(id), self.inner.load(id), |found| match found {
            Some(_) => Ending::of("found"),
            None => Ending::of("absent"),
        })
        .await
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let work = self.inner.update(id, record, expected);
        self.watch("update", Some(id), work, written).await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let work = self.inner.touch(id, touch);
        self.watch("touch", Some(id), work, written).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let work = self.inner.delete(id, only);
        self.watch("delete", Some(id), work, written).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let work = self.inner.owned_by(owner);
        self.watch("owned_by", None, work, |ids| Ending::counting(ids.len()))
            .await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let work = self.inner.scan(cursor, limit);
        self.watch("scan", None, work, |page| Ending::counting(page.ids.len()))
            .await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let work = self.inner.sweep(expired_before, limit);
        self.watch("sweep", None, work, |removed| Ending {
            outcome: "done",
            count: Some(*removed),
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.watch("ping", None, self.inner.ping(), |()| Ending::of("done"))
            .await
    }
}

/// Reports an operation's end, also when nobody waits for it any more.
struct Watch<'a> {
    store: &'static str,
    operation: &'static str,
    id: Option<&'a SessionId>,
    span: Span,
    started: Instant,
    ended: bool,
}

impl Watch<'_> {
    fn end(&mut self, ending: Ending, error: Option<&StoreError>) {
        self.ended = true;
        let Ending { outcome, count } = ending;
        let (store, operation) = (self.store, self.operation);
        let took = self.started.elapsed();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // In the event too: the span may be filtered out.
        let session = self.id.map(tracing::field::display);
        let error = error.map(tracing::field::display);
        let parent = self.span.id();
        if error.is_some() {
            tracing::warn!(target: "session::store", parent: parent, store, operation, session, outcome, micros, error, "the store failed");
        } else {
            tracing::debug!(target: "session::store", parent: parent, store, operation, session, outcome, count, micros, "the store answered");
        }
        #[cfg(feature = "metrics")]
        self.measure(ending, took);
    }

    #[cfg(feature = "metrics")]
    fn measure(&self, ending: Ending, took: std::time::Duration) {
        let (store, operation, outcome) = (self.store, self.operation, ending.outcome);
        metrics::counter!(
            "session_store_operations_total",
            "store" => store, "operation" => operation, "outcome" => outcome
        )
        .increment(1);
        metrics::histogram!(
            "session_store_operation_seconds",
            "store" => store, "operation" => operation, "outcome" => outcome
        )
        .record(took);
        if let ("sweep", Some(removed)) = (operation, ending.count) {
            metrics::counter!("session_store_swept_total", "store" => store).increment(removed);
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Ending::of("dropped"), None);
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy)]
struct Ending {
    outcome: &'static str,
    count: Option<u64>,
}

impl Ending {
    const fn of(outcome: &'static str) -> Self {
        Self {
            outcome,
            count: None,
        }
    }

    const fn counting(count: usize) -> Self {
        Self {
            outcome: "done",
            count: Some(count as u64),
        }
    }
}

fn written(written: &Written) -> Ending {
    Ending::of(match written {
        Written::Done => "done",
        Written::Conflict => "conflict",
        Written::Gone => "gone",
    })
}

fn failed(kind: StoreErrorKind) -> Ending {
    Ending::of(match kind {
        StoreErrorKind::Unavailable => "unavailable",
        StoreErrorKind::Full => "full",
        StoreErrorKind::TooLarge => "too_large",
        StoreErrorKind::Corrupt => "corrupt",
        StoreErrorKind::NewerFormat => "newer_format",
        StoreErrorKind::Unsupported => "unsupported",
    })
}

#[cfg(test)]
#[path = "traced_tests.rs"]
mod tests;
