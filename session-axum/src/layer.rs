//! The tower layer: an exchange begins with the request and finishes before the response head
//! leaves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use session_core::SessionManager;
use session_core::http::{Exchange, Finish, Finished};
use tower_layer::Layer;
use tower_service::Service;

use crate::head;

/// Gives the services it wraps their sessions.
///
/// A request's changes are stored after the inner service has answered and before the response
/// head leaves; if that fails, the client gets the error and not the answer.
#[derive(Clone, Debug)]
pub struct SessionLayer {
    manager: SessionManager,
}

impl SessionLayer {
    /// A layer of this manager's sessions.
    #[must_use]
    pub fn new(manager: SessionManager) -> Self {
        Self { manager }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            manager: self.manager.clone(),
        }
    }
}

/// A service with sessions, made by [`SessionLayer`].
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    manager: SessionManager,
}

/// A response body that can be made of an error's text.
#[diagnostic::on_unimplemented(
    message = "the session layer cannot answer errors with a body of type `{Self}`",
    label = "cannot be made of an error's text",
    note = "put the session layer outside of layers that change the body, map the body to `axum::body::Body`, or implement `session_axum::ReplyBody` for it"
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

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
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
        let outer = request.extensions().get::<Exchange>();
        // An outer layer of the same manager finishes the exchange it began.
        let exchange = if outer.is_some_and(|exchange| exchange.is_of(&self.manager)) {
            None
        } else {
            let exchange = Exchange::begin(&self.manager, request.method().as_str());
            request.extensions_mut().insert(exchange.clone());
            Some(exchange)
        };
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
        exchange: Option<Exchange>,
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

impl<F, R> std::fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
