//! The tower layer: an exchange begins with the request and finishes before the response head
//! leaves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use session_core::SessionManager;
use session_core::http::{Exchange, Finished};
use tower_layer::Layer;
use tower_service::Service;

use crate::head;

/// Gives the services it wraps their sessions.
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

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

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

type Finishing = Pin<Box<dyn Future<Output = (Finished, http::response::Parts)> + Send>>;

pin_project! {
    /// The response of a [`SessionService`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
        finishing: Option<(Finishing, Option<Box<dyn std::any::Any + Send>>)>,
    }
}
