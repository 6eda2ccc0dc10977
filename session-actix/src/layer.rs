//! The middleware: an exchange begins with the request and finishes before the response head
//! leaves.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage};
use pin_project_lite::pin_project;
use session_core::SessionManager;
use session_core::http::{Begun, Finish, Finished, Main, Nested};

use crate::head;

/// Gives the services it wraps their sessions.
///
/// A request's changes are stored after the inner service has answered and before the response
/// head leaves; if that fails, the client gets the error and not the answer.
///
/// # Errors in the application's own words
///
/// What an error becomes is a line of plain text. Its [`ErrorKind`](session_core::ErrorKind) is among
/// the response's extensions, so a middleware around this one can put another body in its place; the
/// head stays as it is, for its cookies and `Retry-After`. An `Err` that a middleware inside returns
/// becomes a response only outside of all of them.
///
/// ```
/// use actix_web::body::{BoxBody, MessageBody};
/// use actix_web::dev::{ServiceRequest, ServiceResponse};
/// use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
/// use actix_web::middleware::{Next, from_fn};
/// use actix_web::{App, Error, web};
/// use session_actix::{Session, SessionLayer};
/// use session_core::ErrorKind;
/// # use session_core::{MemoryStore, SessionConfig, SessionManager};
///
/// async fn in_json(
///     request: ServiceRequest,
///     next: Next<impl MessageBody + 'static>,
/// ) -> Result<ServiceResponse, Error> {
///     let mut response = next.call(request).await?.map_into_boxed_body();
///     let kind = response.response().extensions().get::<ErrorKind>().copied();
///     let text = match kind {
///         None => return Ok(response),
///         Some(ErrorKind::Unavailable) => r#"{"error":"please try again"}"#,
///         Some(_) => r#"{"error":"that went wrong"}"#,
///     };
///     let json = HeaderValue::from_static("application/json");
///     response.headers_mut().insert(CONTENT_TYPE, json);
///     Ok(response.map_body(|_, _| BoxBody::new(text)))
/// }
///
/// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
/// let app = App::new()
///     .wrap(SessionLayer::new(sessions))
///     .wrap(from_fn(in_json))
///     .route("/", web::get().to(async |session: Session| session.len().to_string()));
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
    /// use actix_web::{App, HttpResponse, web};
    /// use session_actix::{Error, Session, SessionLayer};
    /// # use session_core::{MemoryStore, SessionConfig, SessionManager};
    ///
    /// /// Names the sessions of those who administer the shop.
    /// struct Admin;
    ///
    /// async fn orders(shop: Session, admin: Session<Admin>) -> Result<HttpResponse, Error> {
    ///     admin.insert("seen", shop.len())?;
    ///     Ok(HttpResponse::Ok().finish())
    /// }
    ///
    /// # let customers = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// let config = SessionConfig::builder().cookie_name("__Host-admin").build()?;
    /// let admins = SessionManager::new(MemoryStore::new(), config);
    /// let app = App::new()
    ///     .wrap(SessionLayer::of::<Admin>(admins))
    ///     .wrap(SessionLayer::new(customers))
    ///     .route("/orders", web::get().to(orders));
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

impl<S, K, B> Transform<S, ServiceRequest> for SessionLayer<K>
where
    K: 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = SessionService<S, K>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let layer = self.clone();
        ready(Ok(SessionService { inner, layer }))
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

impl<S, K, B> Service<ServiceRequest> for SessionService<S, K>
where
    K: 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = ResponseFuture<S::Future, K>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (own, outer) = {
            let mut extensions = request.extensions_mut();
            let method = request.method().as_str();
            let (nested, own) = Nested::enter(extensions.get(), &self.layer.manager, method);
            (own, extensions.insert(nested))
        };
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
    pub struct ResponseFuture<F, K = Main> {
        #[pin]
        inner: F,
        own: Option<Begun>,
        // Of a layer further out, out of sight while the inner service is at work.
        outer: Option<Nested<K>>,
        finishing: Option<(Finishing, Answered)>,
    }
}

impl<F, K, B> Future for ResponseFuture<F, K>
where
    K: 'static,
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody + 'static,
{
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let this = self.project();
        if this.finishing.is_none() {
            let answered = ready!(this.inner.poll(cx)).map(ServiceResponse::map_into_boxed_body);
            if let (Some(outer), Ok(response)) = (this.outer.take(), &answered) {
                response.request().extensions_mut().insert(outer);
            }
            let Some(exchange) = this.own.take() else {
                return Poll::Ready(answered);
            };
            let status = match &answered {
                Ok(response) => response.status(),
                Err(error) => error.error_response().status(),
            };
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

impl<F, K> fmt::Debug for ResponseFuture<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
