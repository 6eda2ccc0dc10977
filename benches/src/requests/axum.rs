//! The workloads under axum.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use http::{Request, Response};
use session_axum::{Error, Session, SessionLayer};
use session_core::SessionManager;
use tower::{Service, ServiceExt};

use super::{Framework, Work};

/// axum 0.8.
#[derive(Debug)]
pub struct Axum;

impl Framework for Axum {
    const NAME: &'static str = "axum";
    type App = Router;
    type Request = Request<Body>;
    type Response = Response<Body>;

    async fn bare() -> Router {
        let router = Work::ALL.into_iter().fold(Router::new(), |router, work| {
            router.route(work.path(), get(untouched))
        });
        as_served(router)
    }

    async fn with_sessions(manager: &SessionManager) -> Router {
        let router = Router::new()
            .route("/untouched", get(untouched))
            .route("/read", get(read))
            .route("/write", get(write))
            .route("/new", get(write))
            .route("/fill/{size}", get(fill))
            .layer(SessionLayer::new(manager.clone()));
        as_served(router)
    }

    fn request(path: &'static str, cookie: Option<&str>) -> Request<Body> {
        let mut request = Request::get(path).header("user-agent", "bench/1.0");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        request
            .body(Body::empty())
            .expect("the request is well-formed")
    }

    async fn send(router: &mut Router, request: Request<Body>) -> Response<Body> {
        let ready: &mut Router = ServiceExt::<Request<Body>>::ready(router)
            .await
            .expect("infallible");
        ready.call(request).await.expect("infallible")
    }

    fn set_cookie(response: &Response<Body>) -> Option<&str> {
        response.headers().get("set-cookie")?.to_str().ok()
    }
}

/// `axum::serve` does the same once; without it the router builds its routes at each request.
fn as_served(router: Router) -> Router {
    router.with_state(())
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(session: Session) -> Result<&'static str, Error> {
    Ok(super::read(&session)?)
}

async fn write(session: Session) -> Result<&'static str, Error> {
    Ok(super::write(&session)?)
}

async fn fill(Path(size): Path<String>, session: Session) -> Result<&'static str, Error> {
    Ok(super::fill(&session, &size)?)
}
