//! The spans around opening and storing a session; see [`event`](crate::event) for their fields.
//!
//! Where no subscriber is interested they are a check of a flag. The work is handed over by pointer:
//! each layer of futures that takes another by value is twice as large, and is copied as often. What is
//! logged while unfinished work is dropped is therefore outside of its span.

use std::future::Future;
use std::pin::Pin;

use tracing::field::{Empty, debug, display};
use tracing::{Instrument, Span};

use crate::error::Error;
use crate::http::Exchange;
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
    exchange: &Exchange,
    work: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<(), Error> {
    let span = tracing::debug_span!(target: "session", "session.load", session = Empty, outcome = Empty, error = Empty);
    if span.is_disabled() {
        return work.await;
    }
    let opened = work.instrument(span.clone()).await;
    match &opened {
        Ok(()) => {
            let session = exchange.handle();
            note_id(&span, &session);
            span.record(
                "outcome",
                session.why_new().map_or("live", |why| why.name()),
            );
        }
        Err(error) => note_failure(&span, error),
    }
    opened
}

/// Watches a session being stored, and tells of a save that is refused.
pub(crate) async fn saving<T, E: From<Error>>(
    session: &Session,
    work: Pin<&mut impl Future<Output = Result<T, Failed<E>>>>,
) -> Result<T, E> {
    let span = tracing::debug_span!(target: "session", "session.save", session = Empty, outcome = Empty, error = Empty);
    let saved = match span.is_disabled() {
        true => work.await,
        false => watched(&span, session, work).await,
    };
    saved.map_err(|failed| match failed {
        Failed::Ours(error) => {
            session.tell_refused(&error);
            error.into()
        }
        Failed::Theirs(error) => error,
    })
}

async fn watched<T, E>(
    span: &Span,
    session: &Session,
    work: Pin<&mut impl Future<Output = Result<T, Failed<E>>>>,
) -> Result<T, Failed<E>> {
    let saved = work.instrument(span.clone()).await;
    note_id(span, session);
    match &saved {
        Ok(_) => {
            span.record("outcome", "done");
        }
        Err(Failed::Ours(error)) => note_failure(span, error),
        Err(Failed::Theirs(_)) => {
            span.record("outcome", "declined");
        }
    }
    saved
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
