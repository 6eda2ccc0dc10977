//! The spans around opening and storing a session; see [`event`](crate::event) for their fields.
//!
//! Where no subscriber is interested they are a check of a flag, and what watches is no part of the
//! request's future. A commit is handed over by pointer, so what is logged while one that is unfinished
//! is dropped is outside of its span.

use std::future::Future;
use std::pin::Pin;

use tracing::field::{Empty, debug, display};
use tracing::{Instrument, Level, Span};

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
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let span = tracing::debug_span!(target: "session", "session.load", session = Empty, outcome = Empty, error = Empty);
    let opened = work.instrument(span.clone()).await;
    match &opened {
        Ok(()) => {
            let session = exchange.handle();
            note_id(&span, &session);
            let outcome = session.why_new().map_or("live", |why| why.name());
            span.record("outcome", outcome);
        }
        Err(error) => note_failure(&span, error),
    }
    opened
}

/// Watches a session being stored, if anybody does, and tells of a save that is refused.
pub(crate) async fn saving<T, E: From<Error>>(
    session: &Session,
    work: Pin<&mut impl Future<Output = Result<T, Failed<E>>>>,
) -> Result<T, E> {
    let saved = match is_watched() {
        true => Box::pin(watched(session, work)).await,
        false => work.await,
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
    session: &Session,
    work: Pin<&mut impl Future<Output = Result<T, Failed<E>>>>,
) -> Result<T, Failed<E>> {
    let span = tracing::debug_span!(target: "session", "session.save", session = Empty, outcome = Empty, error = Empty);
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

/// Whether a subscriber is interested. Asked first: a span that is disabled is made nevertheless.
pub(crate) fn is_watched() -> bool {
    tracing::span_enabled!(target: "session", Level::DEBUG)
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
