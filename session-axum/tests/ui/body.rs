//! A body that no error can be answered with.
use http::{Request, Response};
use session_axum::SessionLayer;
use session_core::{MemoryStore, SessionConfig, SessionManager};
use tower::{ServiceBuilder, service_fn};

fn main() {
    let config = SessionConfig::builder().build().unwrap();
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let mut service = ServiceBuilder::new()
        .layer(SessionLayer::new(sessions))
        .service(service_fn(async |_: Request<String>| Ok::<_, ()>(Response::new(7_u8))));
    let _ = tower::Service::call(&mut service, Request::new(String::new()));
}
