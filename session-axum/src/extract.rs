//! What handlers ask for.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use session_core::ErrorKind;
use session_core::http::Exchange;

use crate::head::{Head, reply_response};

/// The request's session, loaded.
///
/// Extracting it fails with what the store's failure becomes (503, 401 ...); without a
/// [`SessionLayer`](crate::SessionLayer) on the route it is 500. `Option<Session>` is `None`
/// only where there is no layer.
#[derive(Clone, Debug)]
pub struct Session(session_core::Session);

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Session {
    /// The session without axum's extractor around it.
    #[must_use]
    pub fn into_inner(self) -> session_core::Session {
        self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let exchange = exchange(parts).ok_or_else(no_layer)?;
        Ok(Self(exchange.session(&Head(parts)).await?))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Error> {
        let Some(exchange) = exchange(parts) else {
            return Ok(None);
        };
        Ok(Some(Self(exchange.session(&Head(parts)).await?)))
    }
}

/// The request's session, to be loaded only if the handler needs it.
#[derive(Clone, Debug)]
pub struct LazySession(session_core::http::LazySession);

impl LazySession {
    /// Loads the session, at the first call.
    ///
    /// # Errors
    ///
    /// As extracting a [`Session`].
    pub async fn load(&self) -> Result<Session, Error> {
        Ok(Session(self.0.load().await?))
    }

    /// Whether the request carries a well-formed token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.0.has_token()
    }
}

impl<S: Sync> FromRequestParts<S> for LazySession {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let exchange = exchange(parts).ok_or_else(no_layer)?;
        Ok(Self(exchange.lazy(&Head(parts))))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for LazySession {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(exchange(parts).map(|exchange| Self(exchange.lazy(&Head(parts)))))
    }
}

fn exchange(parts: &Parts) -> Option<Exchange> {
    parts.extensions.get::<Exchange>().cloned()
}

fn no_layer() -> Error {
    Error(session_core::Error::new(
        ErrorKind::NoLayer,
        "extracting the session failed: add a SessionLayer to the router",
    ))
}

/// Core's error as an axum response: `?` works in handlers.
pub struct Error(session_core::Error);

impl Error {
    /// Core's error.
    #[must_use]
    pub fn into_inner(self) -> session_core::Error {
        self.0
    }
}

impl Deref for Error {
    type Target = session_core::Error;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<session_core::Error> for Error {
    fn from(error: session_core::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        reply_response(self.0.reply())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}
