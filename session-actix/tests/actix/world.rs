//! A store with a spy, and calls of an application in process.

use std::time::Duration;

use actix_http::Request;
use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{COOKIE, HeaderMap, SET_COOKIE};
use actix_web::test::TestRequest;
use session_actix::{Error, Session};
use session_core::conformance::SpyStore;
use session_core::conformance::http::Step;
use session_core::{MemoryStore, SessionConfig, SessionManager};

pub(crate) fn world() -> (SpyStore, SessionManager) {
    let spy = SpyStore::new(MemoryStore::new());
    // What is tested holds on a machine of whatever speed.
    let patient = SessionConfig::builder().store_timeout(Duration::from_secs(600));
    let config = patient.build().unwrap();
    (spy.clone(), SessionManager::new(spy, config))
}

/// A response, read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    /// A header's value; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie as `name=value`; empty where none is set.
    pub(crate) fn cookie(&self) -> String {
        assert!(self.headers.get_all(SET_COOKIE).count() < 2, "{self:?}");
        let line = self.header("set-cookie");
        line.split(';').next().unwrap_or_default().to_owned()
    }

    /// Status and body.
    pub(crate) fn short(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}

/// Sends a request, as the server does.
pub(crate) async fn send<S, B>(app: &S, request: TestRequest) -> Reply
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let response = match app.call(request.to_request()).await {
        Ok(response) => response.map_into_boxed_body().into_parts().1,
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap();
    Reply {
        status,
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// Sends a script to a path.
pub(crate) async fn call<S, B>(app: &S, path: &str, cookie: &str, steps: &[Step]) -> Reply
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let body = serde_json::to_string(steps).unwrap();
    let request = with_cookie(path, cookie);
    send(app, request.method(Method::POST).set_payload(body)).await
}

pub(crate) fn with_cookie(path: &str, cookie: &str) -> TestRequest {
    let request = TestRequest::with_uri(path);
    match cookie {
        "" => request,
        cookie => request.append_header((COOKIE, cookie)),
    }
}

pub(crate) async fn add(session: &Session) -> Result<u64, Error> {
    let sum = session.transact(|draft| {
        let n = draft.get::<u64>("n")?.unwrap_or(0) + 1;
        draft.insert("n", n)?;
        Ok(n)
    });
    Ok(sum.await?)
}

/// A handler that counts.
pub(crate) async fn adding(session: Session) -> Result<String, Error> {
    Ok(add(&session).await?.to_string())
}

/// How many sessions are stored.
pub(crate) async fn stored(manager: &SessionManager) -> usize {
    let page = manager.scan(Default::default(), 99).await.unwrap();
    page.ids.len()
}

pub(crate) fn seen() -> Step {
    Step::Insert("seen".into(), 1.into())
}

pub(crate) fn late() -> Step {
    Step::Insert("late".into(), 1.into())
}

pub(crate) fn n() -> Step {
    Step::Get("n".into())
}

pub(crate) fn add_step() -> Step {
    Step::TransactAdd("n".into())
}
