//! An application, and how it is called, in process or on a socket.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::{Router, serve};
use http::header::{COOKIE, SET_COOKIE};
use http_body_util::BodyExt;
use session_axum::{Error, Session};
use session_core::conformance::SpyStore;
use session_core::conformance::http::Step;
use session_core::{MemoryStore, SessionConfig, SessionManager};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

pub(crate) fn world() -> (SpyStore, SessionManager) {
    let spy = SpyStore::new(MemoryStore::new());
    // No test is about the time that a save may wait: the machine may be slow.
    let config = SessionConfig::builder().store_timeout(Duration::from_secs(600));
    (
        spy.clone(),
        SessionManager::new(spy, config.build().unwrap()),
    )
}

/// Sends a script to a path; gives status, cookie and body.
pub(crate) async fn call(
    app: &Router,
    path: &str,
    cookie: &str,
    steps: &[Step],
) -> (u16, String, String) {
    let mut request = http::Request::post(path);
    if !cookie.is_empty() {
        request = request.header(COOKIE, cookie);
    }
    let body = serde_json::to_string(steps).unwrap();
    let request = request.body(Body::from(body)).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let cookie = cookie_of(&response);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, cookie, String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) fn cookie_of(response: &Response) -> String {
    let line = response.headers().get(SET_COOKIE);
    let line = line.map_or("", |line| line.to_str().unwrap());
    line.split(';').next().unwrap_or_default().to_owned()
}

pub(crate) async fn add(session: &Session) -> Result<u64, Error> {
    let sum = session.transact(|draft| {
        let n = draft.get::<u64>("n")?.unwrap_or(0) + 1;
        draft.insert("n", n)?;
        Ok(n)
    });
    Ok(sum.await?)
}

pub(crate) fn seen() -> Step {
    Step::Insert("seen".into(), 1.into())
}

pub(crate) fn n() -> Step {
    Step::Get("n".into())
}

/// Serves the application on a real socket and connects to it; the server ends with its handle.
pub(crate) async fn connect(app: Router) -> (TcpStream, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { serve(listener, app).await.unwrap() });
    (TcpStream::connect(address).await.unwrap(), Server(server))
}

pub(crate) struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}
