//! The middleware that refuses other sites' requests, as core's guard decides.

use std::fmt;
use std::future::{Future, Ready, poll_fn, ready};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodyStream, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use actix_web::{Error, HttpMessage};
use pin_project_lite::pin_project;
use session_core::http::{Check, CsrfGuard, FormCheck, Main, Reply, TokenCheck};

use crate::extract::exchange;
use crate::head::{Head, reply_response};

/// Refuses requests that another site's page made the browser send, with 403; [`CsrfGuard`] says
/// what is checked.
///
/// It belongs inside of the [`SessionLayer`](crate::SessionLayer) whose sessions it asks, or the
/// answer is 500; one whose guard looks at [headers only] may stand anywhere. No middleware outside of it
/// may keep a clone of the request while it waits for the answer: a form's length is corrected, which
/// actix-web allows for a request that is held once.
///
/// Pages of another origin, also of the same site, need their origin in the guard's [trusted origins].
/// The middleware that lets them read answers, actix-cors' `Cors` with `supports_credentials()`,
/// belongs outside of this one and of the `SessionLayer`, so it is wrapped after both: [why].
///
/// [trusted origins]: session_core::http::CsrfGuardBuilder::trusted_origins
/// [why]: CsrfGuard#front-ends-of-another-origin
/// [headers only]: session_core::http::CsrfGuardBuilder::headers_only
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use session_actix::{CsrfLayer, Error, Session, SessionLayer};
/// use session_core::http::CsrfGuard;
/// # use session_core::{MemoryStore, SessionConfig, SessionManager};
///
/// async fn form(session: Session) -> Result<String, Error> {
///     let token = session.csrf_token()?;
///     Ok(format!("<form method=post><input type=hidden name=csrf_token value={token}>..."))
/// }
///
/// // Sees the other fields alone.
/// async fn submit(session: Session, body: String) -> Result<HttpResponse, Error> {
///     session.insert("submitted", body)?;
///     Ok(HttpResponse::Ok().finish())
/// }
///
/// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
/// let guard = CsrfGuard::builder().exempt(|_, path| path.starts_with("/webhooks/")).build()?;
/// let app = App::new()
///     .wrap(CsrfLayer::new(guard))
///     // Added later, so further out.
///     .wrap(SessionLayer::new(sessions))
///     .service(web::resource("/").get(form).post(submit))
///     .route("/webhooks/paid", web::post().to(async || "thanks"));
/// # let _ = app;
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct CsrfLayer<K = Main> {
    guard: CsrfGuard,
    kind: PhantomData<fn() -> K>,
}

impl CsrfLayer {
    /// A layer that checks requests against their [`Session`](crate::Session).
    #[must_use]
    pub fn new(guard: CsrfGuard) -> Self {
        Self::of(guard)
    }

    /// A layer that checks requests against their `Session<K>`.
    #[must_use]
    pub fn of<K>(guard: CsrfGuard) -> CsrfLayer<K> {
        let kind = PhantomData;
        CsrfLayer { guard, kind }
    }
}

impl<K> Clone for CsrfLayer<K> {
    fn clone(&self) -> Self {
        CsrfLayer::of(self.guard.clone())
    }
}

impl<K> fmt::Debug for CsrfLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CsrfLayer");
        shown.field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl<S, K, B> Transform<S, ServiceRequest> for CsrfLayer<K>
where
    K: 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = CsrfService<S, K>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let (inner, layer) = (Rc::new(inner), self.clone());
        ready(Ok(CsrfService { inner, layer }))
    }
}

/// A service whose requests are checked, made by [`CsrfLayer`].
pub struct CsrfService<S, K = Main> {
    inner: Rc<S>,
    layer: CsrfLayer<K>,
}

impl<S, K> Clone for CsrfService<S, K> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for CsrfService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

impl<S, K, B> Service<ServiceRequest> for CsrfService<S, K>
where
    K: 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = CsrfFuture<S, S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let extensions = request.extensions();
        let exchange = exchange::<K>(&extensions).ok();
        let head = Head(request.request());
        let check = self.layer.guard.check(method, path, &head, exchange);
        drop(extensions);
        let step = match check {
            Check::Pass => Step::Passed {
                inner: self.inner.call(request),
            },
            Check::Refuse(reply) => Step::refused(request, reply),
            Check::Token(check) => Step::Checking {
                checking: Box::pin(checked::<K>(check, request)),
                service: Rc::clone(&self.inner),
            },
        };
        CsrfFuture { step }
    }
}

type Checking = Pin<Box<dyn Future<Output = Result<ServiceRequest, (ServiceRequest, Reply)>>>>;

pin_project! {
    /// The response of a [`CsrfService`].
    pub struct CsrfFuture<S, F> {
        #[pin]
        step: Step<S, F>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<S, F> {
        Checking { checking: Checking, service: Rc<S> },
        Passed { #[pin] inner: F },
        Refused { response: Option<ServiceResponse> },
    }
}

impl<S, F> Step<S, F> {
    fn refused(request: ServiceRequest, reply: Reply) -> Self {
        let response = request.into_response(reply_response(reply));
        Self::Refused {
            response: Some(response),
        }
    }
}

impl<S, B> Future for CsrfFuture<S, S::Future>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let next = match step.as_mut().project() {
                StepProjection::Passed { inner } => {
                    let answered = ready!(inner.poll(cx));
                    return Poll::Ready(answered.map(ServiceResponse::map_into_boxed_body));
                }
                StepProjection::Refused { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        None => Poll::Pending,
                    };
                }
                StepProjection::Checking { checking, service } => {
                    match ready!(checking.as_mut().poll(cx)) {
                        Ok(request) => Step::Passed {
                            inner: service.call(request),
                        },
                        Err((request, reply)) => Step::refused(request, reply),
                    }
                }
            };
            step.set(next);
        }
    }
}

impl<S, F> fmt::Debug for CsrfFuture<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfFuture").finish_non_exhaustive()
    }
}

/// The request that the handler sees, if its token is right.
async fn checked<K: 'static>(
    check: TokenCheck,
    mut request: ServiceRequest,
) -> Result<ServiceRequest, (ServiceRequest, Reply)> {
    let exchange = exchange::<K>(&request.extensions()).ok().cloned();
    let opened = check.open(exchange, &Head(request.request())).await;
    let form = match opened {
        Ok(Some(form)) => form,
        Ok(None) => return Ok(request),
        Err(reply) => return Err((request, reply)),
    };
    match read(form, request.take_payload()).await {
        Ok(rest) => {
            let headers = request.headers_mut();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(rest.len()));
            headers.remove(TRANSFER_ENCODING);
            request.set_payload(rest.into());
            Ok(request)
        }
        Err(reply) => Err((request, reply)),
    }
}

async fn read(mut form: FormCheck, payload: Payload) -> Result<Vec<u8>, Reply> {
    let mut body = pin!(BodyStream::new(payload));
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        match chunk {
            Ok(bytes) => form.push(&bytes)?,
            Err(_) => return Err(form.broken()),
        }
    }
    form.finish()
}
