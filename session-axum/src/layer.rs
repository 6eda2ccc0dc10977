//! The tower layer: an exchange begins with the request and finishes before the response head
//! leaves.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use session_core::SessionManager;
use session_core::http::{Begun, Finish, Finished, Main, Nested};
use tower_layer::Layer;
use tower_service::Service;

use crate::head;

/// Gives the services it wraps their sessions.
///
/// A request's changes are stored after the inner service has answered and before the response
/// head leaves; if that fails, the client gets the error and not the answer.
///
/// An inner service that fails instead of answering, as tower's `Timeout` does, loses the request's
/// changes, and the cookie of what was committed before: make a response of the error inside of this
/// layer. A response of 408, which tower-http's `TimeoutLayer` gives in place of a handler that it has
/// cut off, discards what the handler had not committed, as one of 500 does.
///
/// # Errors in the application's own words
///
/// What an error becomes is a line of plain text. Its [`ErrorKind`](session_core::ErrorKind) is among
/// the response's extensions, so a layer around this one can put another body in its place; the
/// head stays as it is, for its cookies and `Retry-After`.
///
/// ```
/// use axum::{Router, body::Body, middleware, response::Response, routing::get};
/// use axum::http::{HeaderValue, header};
/// use session_axum::{Session, SessionLayer};
/// use session_core::ErrorKind;
/// # use session_core::{MemoryStore, SessionConfig, SessionManager};
///
/// async fn in_json(response: Response) -> Response {
///     let text = match response.extensions().get::<ErrorKind>() {
///         None => return response,
///         Some(ErrorKind::Unavailable) => r#"{"error":"please try again"}"#,
///         Some(_) => r#"{"error":"that went wrong"}"#,
///     };
///     let (mut head, _) = response.into_parts();
///     let json = HeaderValue::from_static("application/json");
///     head.headers.insert(header::CONTENT_TYPE, json);
///     head.headers.remove(header::CONTENT_LENGTH);
///     Response::from_parts(head, Body::from(text))
/// }
///
/// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
/// let app: Router = Router::new()
///     .route("/", get(async |session: Session| session.len().to_string()))
///     .layer(SessionLayer::new(sessions))
///     .layer(middleware::map_response(in_json));
/// # let _ = app;
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// `K` names the kind of the sessions where an application has several: see [`of`](Self::of).
pub struct SessionLayer<K = Main> {
    manager: SessionManager,
    kind: PhantomData<fn() -> K>,
}

impl SessionLayer {
    /// A layer of this manager's sessions.
    #[must_use]
    pub fn new(manager: SessionManager) -> Self {
        Self::of(manager)
    }

    /// A layer of this manager's sessions, which handlers get as `Session<K>`.
    ///
    /// Layers of different kinds are independent: a request can hold a session of each, and each
    /// sets a cookie of its own, so give their managers different cookie names, and stores or
    /// secret keys of their own, or a token of one opens a session of the other. An error of
    /// either is the request's answer; what the other has stored by then still sends its cookie.
    ///
    /// Of two layers of one kind but different managers, the inner one's sessions count.
    ///
    /// A [`CsrfLayer`](crate::CsrfLayer) asks for the token of one kind; give each kind whose handlers
    /// change something a layer of its own, with a `token_field` and a `token_header` of its own.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use session_axum::{Error, Session, SessionLayer};
    /// # use session_core::{MemoryStore, SessionConfig, SessionManager};
    ///
    /// /// Names the sessions of those who administer the shop.
    /// struct Admin;
    ///
    /// async fn orders(shop: Session, admin: Session<Admin>) -> Result<(), Error> {
    ///     admin.insert("seen", shop.len())?;
    ///     Ok(())
    /// }
    ///
    /// # let customers = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// let config = SessionConfig::builder().cookie_name("__Host-admin").build()?;
    /// let admins = SessionManager::new(MemoryStore::new(), config);
    /// let app: Router = Router::new()
    ///     .route("/orders", get(orders))
    ///     .layer(SessionLayer::of::<Admin>(admins))
    ///     .layer(SessionLayer::new(customers));
    /// # let _ = app;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    #[must_use]
    pub fn of<K>(manager: SessionManager) -> SessionLayer<K> {
        let kind = PhantomData;
        SessionLayer { manager, kind }
    }
}

impl<K> Clone for SessionLayer<K> {
    fn clone(&self) -> Self {
        SessionLayer::of(self.manager.clone())
    }
}

impl<K> fmt::Debug for SessionLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SessionLayer");
        shown
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl<S, K> Layer<S> for SessionLayer<K> {
    type Service = SessionService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        let layer = self.clone();
        SessionService { inner, layer }
    }
}

/// A service with sessions, made by [`SessionLayer`].
pub struct SessionService<S, K = Main> {
    inner: S,
    layer: SessionLayer<K>,
}

impl<S: Clone, K> Clone for SessionService<S, K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for SessionService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

/// A response body that can be made of an error's text.
#[diagnostic::on_unimplemented(
    message = "the session layer cannot answer errors with a body of type `{Self}`",
    label = "cannot be made of an error's text",
    note = "put the session layer inside of layers that change the body, map the body to `axum::body::Body`, or implement `session_axum::ReplyBody` for it"
)]
pub trait ReplyBody {
    /// A body of this text.
    fn of_text(text: String) -> Self;
}

impl ReplyBody for axum::body::Body {
    fn of_text(text: String) -> Self {
        Self::from(text)
    }
}

impl ReplyBody for String {
    fn of_text(text: String) -> Self {
        text
    }
}

impl<S, K, B, R> Service<Request<B>> for SessionService<S, K>
where
    K: 'static,
    S: Service<Request<B>, Response = Response<R>>,
    R: ReplyBody,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let outer = request.extensions().get::<Nested<K>>();
        let method = request.method().as_str();
        let (nested, exchange) = Nested::enter(outer, &self.layer.manager, method);
        request.extensions_mut().insert(nested);
        ResponseFuture {
            inner: self.inner.call(request),
            exchange,
            finishing: None,
        }
    }
}

type Finishing = Pin<Box<dyn Future<Output = Finished> + Send>>;

pin_project! {
    /// The response of a [`SessionService`].
    pub struct ResponseFuture<F, R> {
        #[pin]
        inner: F,
        exchange: Option<Begun>,
        finishing: Option<(Finishing, Response<R>)>,
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: ReplyBody,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.finishing.is_none() {
            let response = ready!(this.inner.poll(cx))?;
            let Some(exchange) = this.exchange.take() else {
                return Poll::Ready(Ok(response));
            };
            match exchange.finish(response.status().as_u16()) {
                Finish::Done(finished) => return Poll::Ready(Ok(head::dress(response, finished))),
                Finish::Pending(pending) => {
                    *this.finishing = Some((Box::pin(pending.complete()), response));
                }
            }
        }
        let Some((finish, _)) = this.finishing else {
            return Poll::Pending;
        };
        let finished = ready!(finish.as_mut().poll(cx));
        match this.finishing.take() {
            Some((_, response)) => Poll::Ready(Ok(head::dress(response, finished))),
            None => Poll::Pending,
        }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
