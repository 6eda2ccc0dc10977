//! Programs under axum.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower::{Service, ServiceExt};

use crate::measured::{self, Application};
use crate::{Options, Refused};

/// Runs a program whose routes and sessions `open` puts together.
pub fn main<F: Future<Output = Result<Router, Refused>>>(
    open: impl FnOnce(&'static Options) -> F,
) -> ExitCode {
    let options: &'static Options = Box::leak(Box::new(Options::of_process()));
    match run(options, open(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(
    options: &Options,
    opened: impl Future<Output = Result<Router, Refused>>,
) -> Result<(), Refused> {
    if options.measure {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // axum_session's layer begins a task.
        let own = runtime.block_on(async { opened.await.map(as_served) })?;
        measured::measure(&runtime, own, as_served(bare()), options.quick);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let router = opened.await?;
        let listener = tokio::net::TcpListener::bind(options.bind).await?;
        println!("listening on http://{}", listener.local_addr()?);
        // With the peer's address, which some libraries bind a session to.
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        Ok(axum::serve(listener, service).await?)
    })
}

/// `axum::serve` does the same once; without it the router builds its routes at each request.
fn as_served(router: Router) -> Router {
    router.with_state(())
}

/// The routes without sessions.
pub fn bare() -> Router {
    Router::new()
        .route("/plain", get(ok))
        .route("/peek", get(async || "0"))
        .route("/count", get(async || "1"))
        .route("/login", post(to_page))
        .route("/logout", post(to_page))
        .route("/healthz", get(ok))
        .route("/read", get(ok))
        .route("/write", get(ok))
}

/// `/plain` and `/healthz`.
pub async fn ok() -> &'static str {
    "ok"
}

/// After a form was sent.
pub async fn to_page() -> Seen {
    (StatusCode::SEE_OTHER, [("location", "/")])
}

/// The answer to a form.
pub type Seen = (StatusCode, [(&'static str, &'static str); 1]);

/// A handler's failure: 500.
#[derive(Debug)]
pub struct Failed(String);

impl<E: StdError> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

impl Application for Router {
    type Request = Request<Body>;
    type Response = Response<Body>;

    fn request(path: &'static str, cookie: Option<&str>) -> Request<Body> {
        let mut request = Request::get(path).header("user-agent", "bench/1.0");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let body = Body::empty();
        request.body(body).expect("the request is well-formed")
    }

    async fn send(&mut self, request: Request<Body>) -> Response<Body> {
        let ready: Result<&mut Self, Infallible> = ServiceExt::<Request<Body>>::ready(self).await;
        let answered = match ready {
            Ok(ready) => ready.call(request).await,
        };
        match answered {
            Ok(response) => response,
        }
    }

    fn cookie(response: &Response<Body>) -> String {
        let set = response.headers().get_all("set-cookie").iter();
        let pairs = set.filter_map(|value| value.to_str().ok()?.split(';').next());
        pairs.collect::<Vec<_>>().join("; ")
    }
}
