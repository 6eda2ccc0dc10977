//! What handlers ask for.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::{Extensions, Payload};
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use session_core::ErrorKind;
use session_core::http::{Exchange, Loading, Main, Nested};

use crate::head::{Head, reply_response, status};

/// The request's session, loaded.
///
/// `K` names its kind where an application has several: see [`SessionLayer::of`](crate::SessionLayer::of).
///
/// Extracting it fails with what the store's failure becomes (503, 401 ...); without a
/// [`SessionLayer`](crate::SessionLayer) around the handler it is 500. An `Option<Session>` is
/// `None` then, too; where there is a layer, the client gets the error all the same.
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

    /// The session without actix-web's extractor around it.
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

impl<K: 'static> FromRequest for Session<K> {
    type Error = Error;
    type Future = Extracting<K>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Extracting {
            stage: Stage::Asked(request.clone()),
            kind: PhantomData,
        }
    }
}

/// A [`Session`] being extracted.
///
/// It is opened when this is first polled: not where an extractor before it has refused the request.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Extracting<K = Main> {
    stage: Stage,
    kind: PhantomData<fn() -> K>,
}

enum Stage {
    Asked(HttpRequest),
    Loading(Loading),
}

impl<K: 'static> Future for Extracting<K> {
    type Output = Result<Session<K>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Asked(request) = &self.stage {
            // Not while the extensions are borrowed: hooks of the application's may run.
            let exchange = exchange::<K>(&request.extensions()).cloned()?;
            self.stage = Stage::Loading(exchange.session(&Head(request)));
        }
        let Stage::Loading(loading) = &mut self.stage else {
            return Poll::Pending;
        };
        let session = Pin::new(loading).poll(cx);
        session.map(|session| Ok(Session::of(session?)))
    }
}

impl<K> fmt::Debug for Extracting<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extracting").finish_non_exhaustive()
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

impl<K: 'static> FromRequest for LazySession<K> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let exchange = exchange::<K>(&extensions);
        ready(exchange.map(|exchange| Self::of(exchange.lazy(&Head(request)))))
    }
}

/// The exchange of the innermost layer of kind `K`.
pub(crate) fn exchange<K: 'static>(extensions: &Extensions) -> Result<&Exchange, Error> {
    let nested = extensions.get::<Nested<K>>().ok_or_else(no_layer::<K>)?;
    Ok(nested.exchange())
}

fn no_layer<K: 'static>() -> Error {
    let layer = Nested::<K>::layer_name();
    Error(session_core::Error::new(
        ErrorKind::NoLayer,
        format!("extracting the session failed: wrap the application in a {layer}"),
    ))
}

/// Core's error as an actix-web response: `?` works in handlers.
///
/// In a handler that returns [`actix_web::Error`], core's errors are mapped first:
/// `session.save().await.map_err(Error::from)?`.
///
/// Inside of an error of the application's own it makes the response of what sessions fail with:
///
/// ```
/// use actix_web::{HttpResponse, ResponseError, http::StatusCode};
/// use session_actix::{Error, Session};
///
/// #[derive(Debug)]
/// enum AppError {
///     Session(Error),
///     SoldOut,
/// }
///
/// impl From<session_core::Error> for AppError {
///     fn from(error: session_core::Error) -> Self {
///         Self::Session(error.into())
///     }
/// }
///
/// impl ResponseError for AppError {
///     fn status_code(&self) -> StatusCode {
///         match self {
///             Self::Session(error) => error.status_code(),
///             Self::SoldOut => StatusCode::CONFLICT,
///         }
///     }
///
///     fn error_response(&self) -> HttpResponse {
///         match self {
///             Self::Session(error) => error.error_response(),
///             Self::SoldOut => HttpResponse::Conflict().body("sold out"),
///         }
///     }
/// }
/// # impl std::fmt::Display for AppError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
/// #         f.write_str("buying failed")
/// #     }
/// # }
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
/// # let app = actix_web::App::new().route("/buy", actix_web::web::post().to(buy));
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

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.0.reply().status)
    }

    fn error_response(&self) -> HttpResponse {
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
