//! The scenarios that every adapter passes.

mod probe_app;

use std::net::SocketAddr;
use std::rc::Rc;

use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use async_trait::async_trait;
use session_core::conformance::http::{App, HttpHarness, Probe, Request, Response};

session_core::http_conformance!(Actix);

mod sealed {
    session_core::sealed_http_conformance!(super::Actix);
}

struct Actix;

struct Application<S>(S);

#[async_trait(?Send)]
impl HttpHarness for Actix {
    async fn app(&self, probe: Probe) -> Rc<dyn App> {
        Rc::new(Application(init_service(probe_app::app(probe)).await))
    }
}

#[async_trait(?Send)]
impl<S> App for Application<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse, Error = actix_web::Error>,
{
    async fn call(&self, request: Request) -> Response {
        let mut built = TestRequest::with_uri(&request.path)
            .method(request.method.parse().unwrap())
            .set_payload(request.body);
        for (name, value) in &request.headers {
            built = built.append_header((name.as_str(), value.as_bytes()));
        }
        if let Some(peer) = request.peer {
            built = built.peer_addr(SocketAddr::new(peer, 443));
        }
        let response = match self.0.call(built.to_request()).await {
            Ok(response) => response.into_parts().1,
            // As the server does.
            Err(error) => error.error_response(),
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let fields = response.headers().iter();
        let headers = fields.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        Response {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: text(&to_bytes(response.into_body()).await.unwrap()),
        }
    }
}
