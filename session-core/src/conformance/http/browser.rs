//! A client that keeps cookies.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::task::{JoinHandle, spawn_local};

use super::App;
use super::message::{Request, Response};
use super::script::Step;
use crate::id::SessionId;

/// A client with a jar: it keeps a `Set-Cookie` by name and drops it at `Max-Age=0`.
///
/// A clone is the same browser a moment ago: it has the cookies of that time.
#[derive(Clone)]
pub(super) struct Browser {
    app: Rc<dyn App>,
    pub(super) jar: BTreeMap<String, String>,
    pub(super) peer: Option<IpAddr>,
    pub(super) headers: Vec<(String, String)>,
}

/// A request that is on its way.
pub(super) struct Running(JoinHandle<Response>);

impl Browser {
    pub(super) fn new(app: Rc<dyn App>) -> Self {
        Self {
            app,
            jar: BTreeMap::new(),
            peer: Some(IpAddr::from([192, 0, 2, 1])),
            headers: Vec::new(),
        }
    }

    /// The same jar, in front of another application.
    pub(super) fn at(&self, app: Rc<dyn App>) -> Self {
        Self {
            app,
            ..self.clone()
        }
    }

    /// The session cookie's value.
    pub(super) fn token(&self) -> String {
        let first = self.jar.values().next();
        first.expect("the browser has a cookie").clone()
    }

    /// The id of its session; asking changes nothing.
    pub(super) async fn id(&self) -> SessionId {
        let response = self.clone().get([Step::Id]).await;
        let id = response.outcome(0);
        let id = id.as_str().expect("the session is live");
        id.parse().expect("an id is written as it is read")
    }

    /// A browser that holds this cookie and nothing else.
    pub(super) fn holding(&self, name: &str, value: &str) -> Self {
        let jar = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Self {
            jar,
            ..self.clone()
        }
    }

    pub(super) async fn get(&mut self, steps: impl Into<Vec<Step>>) -> Response {
        self.call("GET", "/eager", steps).await
    }

    pub(super) async fn post(&mut self, steps: impl Into<Vec<Step>>) -> Response {
        self.call("POST", "/eager", steps).await
    }

    /// Sends a request and keeps the cookies of its response.
    pub(super) async fn call(
        &mut self,
        method: &str,
        path: &str,
        steps: impl Into<Vec<Step>>,
    ) -> Response {
        let response = self.start(method, path, steps).answer().await;
        self.keep(&response);
        response
    }

    /// Sends a request with this body and keeps the cookies of its response.
    pub(super) async fn send(&mut self, method: &str, path: &str, body: &str) -> Response {
        let response = self
            .start_with(method, path, body.to_owned())
            .answer()
            .await;
        self.keep(&response);
        response
    }

    /// Sends a request and does not wait for it.
    pub(super) fn start(&self, method: &str, path: &str, steps: impl Into<Vec<Step>>) -> Running {
        let steps: Vec<Step> = steps.into();
        let body = serde_json::to_string(&steps).expect("steps are JSON");
        self.start_with(method, path, body)
    }

    fn start_with(&self, method: &str, path: &str, body: String) -> Running {
        let mut request = Request::new(method, path);
        request.headers.clone_from(&self.headers);
        if !self.jar.is_empty() {
            let pairs = self
                .jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            let line = pairs.collect::<Vec<_>>().join("; ");
            request = request.header("cookie", &line);
        }
        request.peer = self.peer;
        request.body = body;
        let app = Rc::clone(&self.app);
        Running(spawn_local(async move { app.call(request).await }))
    }

    pub(super) fn start_post(&self, steps: impl Into<Vec<Step>>) -> Running {
        self.start("POST", "/eager", steps)
    }

    pub(super) fn start_get(&self, steps: impl Into<Vec<Step>>) -> Running {
        self.start("GET", "/eager", steps)
    }

    /// Does with the response's cookies what a browser does.
    pub(super) fn keep(&mut self, response: &Response) {
        for line in response.all("set-cookie") {
            let (pair, attributes) = line.split_once("; ").unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            if attributes.split("; ").any(|one| one == "Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Running {
    pub(super) async fn answer(self) -> Response {
        self.0.await.expect("the handler answers")
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for a handler that panics.
    pub(super) async fn panicked(self) -> bool {
        self.0.await.is_err_and(|error| error.is_panic())
    }

    /// The client goes away: what the server was doing for it is dropped.
    pub(super) async fn disconnect(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}
