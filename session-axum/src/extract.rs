//! What handlers ask for.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::Extensions;
use http::request::Parts;
use session_core::ErrorKind;
use session_core::http::{Exchange, Main, Nested};

use crate::head::{Head, reply_response};

/// The request's session, loaded.
///
/// `K` names its kind where an application has several: see [`SessionLayer::of`](crate::SessionLayer::of).
///
/// Extracting it fails with what the store's failure becomes (503, 401 ...); without a
/// [`SessionLayer`](crate::SessionLayer) on the route it is 500. `Option<Session>` is `None`
/// only where there is no layer.
pub struct Session<K = Main> {
    session: session_core::Session,
    kind: PhantomData<fn() -> K>,
}

impl<K> Deref for Session<K> {
    type Target = session_core::Session;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl<K> Session<K> {
    fn of(session: session_core::Session) -> Self {
        let kind = PhantomData;
        Self { session, kind }
    }

    /// The session without axum's extractor around it.
    #[must_use]
    pub fn into_inner(self) -> session_core::Session {
        self.session
    }
}

/// For a test of a handler as a function, with a session of
/// [`SessionManager::begin`](session_core::SessionManager::begin).
impl<K> From<session_core::Session> for Session<K> {
    fn from(session: session_core::Session) -> Self {
        Self::of(session)
    }
}

impl<K> Clone for Session<K> {
    fn clone(&self) -> Self {
        Self::of(self.session.clone())
    }
}

impl<K> fmt::Debug for Session<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.session).finish()
    }
}

impl<K: 'static, S: Sync> FromRequestParts<S> for Session<K> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let exchange = exchange::<K>(&parts.extensions).ok_or_else(no_layer::<K>)?;
        Ok(Self::of(exchange.session(&Head(parts)).await?))
    }
}

impl<K: 'static, S: Sync> OptionalFromRequestParts<S> for Session<K> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Error> {
        let Some(exchange) = exchange::<K>(&parts.extensions) else {
            return Ok(None);
        };
        Ok(Some(Self::of(exchange.session(&Head(parts)).await?)))
    }
}

/// The request's session, to be loaded only if the handler needs it; of kind `K`.
pub struct LazySession<K = Main> {
    lazy: session_core::http::LazySession,
    kind: PhantomData<fn() -> K>,
}

impl<K> LazySession<K> {
    fn of(lazy: session_core::http::LazySession) -> Self {
        let kind = PhantomData;
        Self { lazy, kind }
    }

    /// Loads the session, at the first call.
    ///
    /// # Errors
    ///
    /// As extracting a [`Session`].
    pub async fn load(&self) -> Result<Session<K>, Error> {
        Ok(Session::of(self.lazy.load().await?))
    }

    /// Whether the request carries a well-formed token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.lazy.has_token()
    }

    /// The client's address, as far as it is known: see
    /// [`trusted_proxies`](session_core::SessionConfigBuilder::trusted_proxies).
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.lazy.client_address()
    }

    /// Whether the session has been loaded in this request, by whatever part of the application;
    /// asking loads nothing.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.lazy.is_loaded()
    }
}

impl<K> Clone for LazySession<K> {
    fn clone(&self) -> Self {
        Self::of(self.lazy.clone())
    }
}

impl<K> fmt::Debug for LazySession<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazySession").field(&self.lazy).finish()
    }
}

impl<K: 'static, S: Sync> FromRequestParts<S> for LazySession<K> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let exchange = exchange::<K>(&parts.extensions).ok_or_else(no_layer::<K>)?;
        Ok(Self::of(exchange.lazy(&Head(parts))))
    }
}

impl<K: 'static, S: Sync> OptionalFromRequestParts<S> for LazySession<K> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        let exchange = exchange::<K>(&parts.extensions);
        Ok(exchange.map(|exchange| Self::of(exchange.lazy(&Head(parts)))))
    }
}

/// The exchange of the innermost layer of kind `K`.
pub(crate) fn exchange<K: 'static>(extensions: &Extensions) -> Option<&Exchange> {
    Some(extensions.get::<Nested<K>>()?.exchange())
}

fn no_layer<K: 'static>() -> Error {
    let layer = Nested::<K>::layer_name();
    Error(session_core::Error::new(
        ErrorKind::NoLayer,
        format!(
            "extracting the session failed: add a {layer} to the router, after its routes, for routes that are added after `.layer` are outside of it"
        ),
    ))
}

/// Core's error as an axum response: `?` works in handlers.
///
/// Inside of an error of the application's own it makes the response of what sessions fail with:
///
/// ```
/// use axum::http::StatusCode;
/// use axum::response::{IntoResponse, Response};
/// use session_axum::Session;
///
/// enum AppError {
///     Session(session_core::Error),
///     SoldOut,
/// }
///
/// impl From<session_core::Error> for AppError {
///     fn from(error: session_core::Error) -> Self {
///         Self::Session(error)
///     }
/// }
///
/// impl IntoResponse for AppError {
///     fn into_response(self) -> Response {
///         match self {
///             Self::Session(error) => session_axum::Error::from(error).into_response(),
///             Self::SoldOut => (StatusCode::CONFLICT, "sold out").into_response(),
///         }
///     }
/// }
///
/// async fn buy(session: Session) -> Result<String, AppError> {
///     let left = session
///         .try_transact(|s| {
///             let held = s.get::<u32>("tickets")?.unwrap_or(0);
///             let left = held.checked_sub(1).ok_or(AppError::SoldOut)?;
///             s.insert("tickets", left)?;
///             Ok::<_, AppError>(left)
///         })
///         .await?;
///     Ok(format!("{left} left"))
/// }
/// # let app: axum::Router = axum::Router::new().route("/buy", axum::routing::post(buy));
/// ```
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

impl From<Error> for session_core::Error {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        reply_response(self.0.answer())
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
