//! The middleware: an exchange begins with the request and finishes before the response head
//! leaves.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage};
use pin_project_lite::pin_project;
use session_core::SessionManager;
use session_core::http::{Exchange, Finish, Finished};

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

impl<S, B> Transform<S, ServiceRequest> for SessionLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let manager = self.manager.clone();
        ready(Ok(SessionService { inner, manager }))
    }
}

/// A service with sessions, made by [`SessionLayer`].
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    manager: SessionManager,
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let mut own = None;
        let mut outer = None;
        {
            let mut extensions = request.extensions_mut();
            let other = extensions.get::<Exchange>();
            // An outer layer of the same manager finishes the exchange it began.
            if !other.is_some_and(|exchange| exchange.is_of(&self.manager)) {
                let exchange = Exchange::begin(&self.manager, request.method().as_str());
                outer = extensions.insert(exchange.clone());
                own = Some(exchange);
            }
        }
        ResponseFuture {
            inner: self.inner.call(request),
            own,
            outer,
            finishing: None,
        }
    }
}

type Answered = Result<ServiceResponse, Error>;
type Finishing = Pin<Box<dyn Future<Output = Finished>>>;

pin_project! {
    /// The response of a [`SessionService`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        own: Option<Exchange>,
        // Of another manager's layer, out of sight while the inner service is at work.
        outer: Option<Exchange>,
        finishing: Option<(Finishing, Answered)>,
    }
}

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody + 'static,
{
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let this = self.project();
        if this.finishing.is_none() {
            let answered = ready!(this.inner.poll(cx)).map(ServiceResponse::map_into_boxed_body);
            let Some(exchange) = this.own.take() else {
                return Poll::Ready(answered);
            };
            let status = match &answered {
                Ok(response) => response.status(),
                Err(error) => error.error_response().status(),
            };
            if let (Some(outer), Ok(response)) = (this.outer.take(), &answered) {
                response.request().extensions_mut().insert(outer);
            }
            match exchange.finish(status.as_u16()) {
                Finish::Done(finished) => return Poll::Ready(dress(answered, finished)),
                Finish::Pending(pending) => {
                    *this.finishing = Some((Box::pin(pending.complete()), answered));
                }
            }
        }
        let Some((finish, _)) = this.finishing else {
            return Poll::Pending;
        };
        let finished = ready!(finish.as_mut().poll(cx));
        match this.finishing.take() {
            Some((_, answered)) => Poll::Ready(dress(answered, finished)),
            None => Poll::Pending,
        }
    }
}

/// What the inner service answered, with the exchange's outcome.
fn dress(answered: Answered, finished: Finished) -> Answered {
    match answered {
        Ok(response) => {
            let (request, response) = response.into_parts();
            Ok(ServiceResponse::new(
                request,
                head::dress(response, finished),
            ))
        }
        // A middleware's: it becomes a response further out, perhaps more than once.
        Err(mut error) => {
            error.add_response_mapper(move |response| head::dress(response, finished.clone()));
            Err(error)
        }
    }
}

impl<F> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
