//! An HTTP client with a memory for one token, as a browser or a program has.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// One visitor.
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Body>,
    url: Mutex<String>,
    /// The cookie as `name=value`, or the header's value.
    token: Mutex<Option<String>>,
    by_header: bool,
}

type Body = Either<Full<&'static [u8]>, Channel<&'static [u8]>>;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    /// A client without a session, whose token is a cookie.
    pub(crate) fn new(url: &str) -> Self {
        Self {
            // A server closes an idle connection after some seconds, be it just as the next request
            // is written to it.
            http: legacy::Client::builder(TokioExecutor::new())
                .pool_idle_timeout(Duration::from_secs(1))
                .build_http(),
            url: Mutex::new(url.to_owned()),
            token: Mutex::default(),
            by_header: false,
        }
    }

    /// A client without a session, whose token travels in `X-Session-Id`.
    pub(crate) fn by_header(url: &str) -> Self {
        Self {
            by_header: true,
            ..Self::new(url)
        }
    }

    /// Another client with the same token: a thief, or a second connection.
    pub(crate) fn twin(&self) -> Self {
        let twin = Self {
            by_header: self.by_header,
            ..Self::new(&self.url())
        };
        *lock(&twin.token) = self.token();
        twin
    }

    /// Talks to the program at `url` from now on.
    pub(crate) fn move_to(&self, url: &str) {
        url.clone_into(&mut lock(&self.url));
    }

    pub(crate) fn token(&self) -> Option<String> {
        lock(&self.token).clone()
    }

    pub(crate) fn url(&self) -> String {
        lock(&self.url).clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Reply {
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[form_type], form).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.try_send(method, path, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends a request; the error says that no whole answer came.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token() {
            let name = if self.by_header {
                "x-session-id"
            } else {
                COOKIE.as_str()
            };
            request = request.header(name, token);
        }
        // The client wants a body that outlives it; tests are short.
        let body: &'static [u8] = Box::leak(body.as_bytes().into());
        if body.len() > LONG {
            request = request.header(CONTENT_LENGTH, body.len());
        }
        let response = self.http.request(request.body(sent(body))?).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.remember(&head.headers);
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec())?,
        })
    }

    fn remember(&self, headers: &HeaderMap) {
        let name = if self.by_header {
            "x-session-id"
        } else {
            SET_COOKIE.as_str()
        };
        let Some(value) = headers.get(name) else {
            return;
        };
        let value = value.to_str().expect("a token is ASCII");
        let pair = value.split(';').next().unwrap_or_default();
        let removed = pair.is_empty() || pair.ends_with('=');
        *lock(&self.token) = (!removed).then(|| pair.to_owned());
    }
}

impl Reply {
    /// A header's value; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("headers are ASCII"))
    }

    /// Status and body.
    pub(crate) fn short(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

/// More than a server reads of what it refuses.
pub(crate) const LONG: usize = 100_000;

/// A long body is sent when the server has had time to refuse it unread: if it closes the connection
/// while it is being written, its answer is lost (RFC 9112 section 9.6).
fn sent(body: &'static [u8]) -> Body {
    if body.len() <= LONG {
        return Either::Left(Full::new(body));
    }
    let (mut sender, channel) = Channel::new(1);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        // An error says that it is not wanted.
        let _ = sender.send_data(body).await;
        // Whoever looks whether the sender failed must have seen the data first.
        tokio::time::sleep(Duration::from_millis(20)).await;
    });
    Either::Right(channel)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
