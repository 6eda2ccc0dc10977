//! The scenarios that every adapter passes.

mod probe_app;

use std::rc::Rc;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http_body_util::BodyExt;
use session_core::conformance::http::{App, HttpHarness, Probe, Request, Response};
use std::net::SocketAddr;
use tower::ServiceExt;

session_core::http_conformance!(Axum);

mod sealed {
    session_core::sealed_http_conformance!(super::Axum);
}

struct Axum;

struct Router(axum::Router);

#[async_trait(?Send)]
impl HttpHarness for Axum {
    async fn app(&self, probe: Probe) -> Rc<dyn App> {
        Rc::new(Router(probe_app::router(probe)))
    }
}

#[async_trait(?Send)]
impl App for Router {
    async fn call(&self, request: Request) -> Response {
        let mut built = http::Request::builder()
            .method(request.method.as_str())
            .uri(request.path);
        for (name, value) in &request.headers {
            built = built.header(name, value.as_bytes());
        }
        let mut built = built.body(Body::from(request.body)).unwrap();
        if let Some(peer) = request.peer {
            let peer = ConnectInfo(SocketAddr::new(peer, 443));
            built.extensions_mut().insert(peer);
        }
        let (head, body) = self.0.clone().oneshot(built).await.unwrap().into_parts();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let fields = head.headers.iter();
        Response {
            status: head.status.as_u16(),
            headers: fields
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(&body.collect().await.unwrap().to_bytes()),
        }
    }
}
