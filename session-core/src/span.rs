//! The spans around opening and storing a session; see [`event`](crate::event) for their fields.
//!
//! Where no subscriber is interested they are a check of a flag, and what watches is no part of the
//! request's future. A commit is handed over by pointer, so what is logged while one that is unfinished
//! is dropped is outside of its span.

use std::future::Future;
use std::pin::Pin;

use tracing::field::{Empty, debug, display};
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Level, Span};

use crate::error::Error;
use crate::session::Session;

/// How a commit fails: by an error of ours, or by the application's own out of its closure.
pub(crate) enum Failed<E> {
    Ours(Error),
    Theirs(E),
}

impl<E> From<Error> for Failed<E> {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// Watches a session being opened.
pub(crate) async fn loading(
    span: Span,
    work: impl Future<Output = Result<Session, Error>>,
) -> Result<Session, Error> {
    let opened = work.instrument(span.clone()).await;
    match &opened {
        Ok(session) => {
            note_id(&span, session);
            let outcome = session.why_new().map_or("live", |why| why.name());
            span.record("outcome", outcome);
        }
        Err(error) => note_failure(&span, error),
    }
    opened
}

/// The span of an opening, if anybody watches.
pub(crate) fn load_span() -> Option<Span> {
    watched(
        || tracing::debug_span!(target: "session", "session.load", session = Empty, outcome = Empty, error = Empty),
    )
}

/// Watches a session being stored, if anybody does, and tells of a save that is refused.
pub(crate) async fn saving<T, E: From<Error>>(
    session: &Session,
    work: Pin<&mut impl Future<Output = Result<T, Failed<E>>>>,
) -> Result<T, E> {
    let saved = if let Some(span) = save_span() {
        Box::pin(storing(span, session, work)).await
    } else {
        work.await
    };
    saved.map_err(|failed| match failed {
        Failed::Ours(error) => {
            session.tell_refused(&error);
            session.state().leave();
            error.into()
        }
        Failed::Theirs(error) => error,
    })
}

fn save_span() -> Option<Span> {
    watched(
        || tracing::debug_span!(target: "session", "session.save", session = Empty, outcome = Empty, error = Empty),
    )
}

async fn storing<T, E>(
    span: Span,
    session: &Session,
    work: Pin<&mut impl Future<Output = Result<T, Failed<E>>>>,
) -> Result<T, Failed<E>> {
    let saved = work.instrument(span.clone()).await;
    note_id(&span, session);
    match &saved {
        Ok(_) => {
            span.record("outcome", "done");
        }
        Err(Failed::Ours(error)) => note_failure(&span, error),
        Err(Failed::Theirs(_)) => {
            span.record("outcome", "declined");
        }
    }
    saved
}

/// The level is asked first: a span that is disabled is made nevertheless. Whether a filter wants it
/// by its name or fields only the span itself can tell.
fn watched(span: impl FnOnce() -> Span) -> Option<Span> {
    if Level::DEBUG > LevelFilter::current() {
        return None;
    }
    let span = span();
    (!span.is_disabled()).then_some(span)
}

fn note_id(span: &Span, session: &Session) {
    if let Some(id) = session.id() {
        span.record("session", display(id));
    }
}

fn note_failure(span: &Span, error: &Error) {
    span.record("outcome", "failed");
    span.record("error", debug(error.kind()));
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::{Arc, Mutex};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use crate::config::SessionConfig;
    use crate::http::{Exchange, RequestHead};
    use crate::manager::SessionManager;
    use crate::memory::MemoryStore;

    /// Wants spans of one name only.
    struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Subscriber for Named {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.name() == self.0
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            self.1.lock().unwrap().push(span.metadata().name());
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    struct Nothing;

    impl RequestHead for Nothing {
        fn each_header<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

        fn peer(&self) -> Option<IpAddr> {
            None
        }
    }

    #[tokio::test]
    async fn a_filter_that_asks_for_a_span_by_its_name_gets_it() {
        let config = SessionConfig::builder().build().unwrap();
        let manager = SessionManager::new(MemoryStore::new(), config);
        for name in ["session.load", "session.save"] {
            let heard = Arc::default();
            let subscriber = Named(name, Arc::clone(&heard));
            let _listening = tracing::subscriber::set_default(subscriber);
            let exchange = Exchange::begin(&manager, "GET");
            let session = exchange.session(&Nothing).await.unwrap();
            session.insert("a", 1).unwrap();
            session.save().await.unwrap();
            assert_eq!(*heard.lock().unwrap(), [name]);
        }
    }
}
