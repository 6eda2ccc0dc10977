//! The tower layer that refuses other sites' requests, as core's guard decides.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use pin_project_lite::pin_project;
use session_core::http::{Check, CsrfGuard, FormCheck, Main, Reply, TokenCheck};
use tower_layer::Layer;
use tower_service::Service;

use crate::extract::exchange;
use crate::head::{Head, received, reply_response};
use crate::layer::ReplyBody;

/// Refuses requests that another site's page made the browser send, with 403; [`CsrfGuard`] says
/// what is checked.
///
/// It belongs inside of the [`SessionLayer`](crate::SessionLayer) whose sessions it asks, or the
/// answer is 500; one whose guard looks at [headers only] may stand anywhere. It belongs outside of
/// whatever reads the body, and passes the body on as [`axum::body::Body`]. Inside of a nested
/// router, too, the guard's `exempt` sees the path as it was sent, with the router's prefix.
///
/// Pages of another origin, also of the same site, need their origin in the guard's [trusted origins].
/// The layer that lets them read answers, tower-http's `CorsLayer` with `allow_credentials(true)`,
/// belongs outside of this one and of the `SessionLayer`, so it is added after both: [why].
///
/// [trusted origins]: session_core::http::CsrfGuardBuilder::trusted_origins
/// [why]: CsrfGuard#front-ends-of-another-origin
/// [headers only]: session_core::http::CsrfGuardBuilder::headers_only
///
/// ```
/// use axum::{Form, Router, routing::get, routing::post};
/// use session_axum::{CsrfLayer, Error, Session, SessionLayer};
/// use session_core::http::CsrfGuard;
/// # use session_core::{MemoryStore, SessionConfig, SessionManager};
///
/// async fn form(session: Session) -> Result<String, Error> {
///     let token = session.csrf_token()?;
///     Ok(format!("<form method=post><input type=hidden name=csrf_token value={token}>..."))
/// }
///
/// // Sees the other fields alone.
/// async fn submit(session: Session, body: String) -> Result<(), Error> {
///     session.insert("submitted", body)?;
///     Ok(())
/// }
///
/// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
/// let guard = CsrfGuard::builder().exempt(|_, path| path.starts_with("/webhooks/")).build()?;
/// let app: Router = Router::new()
///     .route("/", get(form).post(submit))
///     .route("/webhooks/paid", post(async || "thanks"))
///     .layer(CsrfLayer::new(guard))
///     // Added later, so further out.
///     .layer(SessionLayer::new(sessions));
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

impl<S, K> Layer<S> for CsrfLayer<K> {
    type Service = CsrfService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        let layer = self.clone();
        CsrfService { inner, layer }
    }
}

/// A service whose requests are checked, made by [`CsrfLayer`].
pub struct CsrfService<S, K = Main> {
    inner: S,
    layer: CsrfLayer<K>,
}

impl<S: Clone, K> Clone for CsrfService<S, K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
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

impl<S, K, B, R> Service<Request<B>> for CsrfService<S, K>
where
    K: 'static,
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    R: ReplyBody,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = CsrfFuture<S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let (method, path) = (parts.method.as_str(), received(&parts).path());
        let exchange = exchange::<K>(&parts.extensions);
        let check = self
            .layer
            .guard
            .check(method, path, &Head(&parts), exchange);
        let request = Request::from_parts(parts, Body::new(body));
        let step = match check {
            Check::Pass => Step::Passed {
                inner: self.inner.call(request),
            },
            Check::Refuse(reply) => Step::Refused { reply: Some(reply) },
            Check::Token(check) => {
                let next = self.inner.clone();
                Step::Checking {
                    checking: Box::pin(checked::<K>(check, request)),
                    // The one that is ready.
                    service: std::mem::replace(&mut self.inner, next),
                }
            }
        };
        CsrfFuture { step }
    }
}

type Checking = Pin<Box<dyn Future<Output = Result<Request<Body>, Reply>> + Send>>;

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
        Checking { checking: Checking, service: S },
        Passed { #[pin] inner: F },
        Refused { reply: Option<Reply> },
    }
}

impl<S, R> Future for CsrfFuture<S, S::Future>
where
    S: Service<Request<Body>, Response = Response<R>>,
    R: ReplyBody,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let next = match step.as_mut().project() {
                StepProjection::Passed { inner } => return inner.poll(cx),
                StepProjection::Refused { reply } => {
                    return match reply.take() {
                        Some(reply) => Poll::Ready(Ok(reply_response(reply))),
                        None => Poll::Pending,
                    };
                }
                StepProjection::Checking { checking, service } => {
                    match ready!(checking.as_mut().poll(cx)) {
                        Ok(request) => Step::Passed {
                            inner: service.call(request),
                        },
                        Err(reply) => Step::Refused { reply: Some(reply) },
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
    request: Request<Body>,
) -> Result<Request<Body>, Reply> {
    let (mut parts, body) = request.into_parts();
    let exchange = exchange::<K>(&parts.extensions);
    let Some(form) = check.open(exchange.cloned(), &Head(&parts)).await? else {
        return Ok(Request::from_parts(parts, body));
    };
    let rest = read(form, body).await?;
    let length = HeaderValue::from(rest.len());
    parts.headers.insert(CONTENT_LENGTH, length);
    parts.headers.remove(TRANSFER_ENCODING);
    Ok(Request::from_parts(parts, Body::from(rest)))
}

async fn read(mut form: FormCheck, body: Body) -> Result<Vec<u8>, Reply> {
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else {
            return Err(form.broken());
        };
        if let Ok(data) = frame.into_data() {
            form.push(&data)?;
        }
    }
    form.finish()
}
