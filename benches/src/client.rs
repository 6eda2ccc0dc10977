//! A browser for the probes: it sends back the cookies that it was given.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A browser's tabs: clones share their cookies.
#[derive(Clone, Debug)]
pub struct Browser {
    http: legacy::Client<HttpConnector, Full<&'static [u8]>>,
    url: String,
    jar: Jar,
}

#[derive(Clone, Debug)]
enum Jar {
    /// Names and values; takes what it is given.
    Open(Arc<Mutex<Vec<(String, String)>>>),
    /// A `Cookie` header that never changes: a thief's, or a program's.
    Fixed(Arc<str>),
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// No whole answer came: the connection broke, or [`PATIENCE`] ran out.
#[derive(Clone, Copy, Debug)]
pub struct NoAnswer;

/// How long an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(8);

impl Browser {
    /// A browser without cookies, for the program at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            http: legacy::Client::builder(TokioExecutor::new()).build_http(),
            url: url.to_owned(),
            jar: Jar::Open(Arc::default()),
        }
    }

    /// One that sends this `Cookie` header and takes no other.
    #[must_use]
    pub fn with_fixed(&self, cookies: &str) -> Self {
        Self {
            jar: Jar::Fixed(cookies.into()),
            ..self.clone()
        }
    }

    /// One that was given these cookies, and takes others.
    #[must_use]
    pub fn with_cookies(&self, cookies: &str) -> Self {
        let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            jar: Jar::Open(Arc::new(Mutex::new(pairs.collect()))),
            ..self.clone()
        }
    }

    /// The `Cookie` header that it would send: `a=1; b=2`.
    #[must_use]
    pub fn cookies(&self) -> String {
        match &self.jar {
            Jar::Fixed(cookies) => cookies.to_string(),
            Jar::Open(pairs) => {
                let pairs = pairs.lock().unwrap_or_else(PoisonError::into_inner);
                let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
                pairs.join("; ")
            }
        }
    }

    /// `GET`.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`].
    pub async fn get(&self, path: &str) -> Result<Reply, NoAnswer> {
        self.send("GET", path, "").await
    }

    /// `POST` of a form.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`].
    pub async fn post(&self, path: &str, form: &'static str) -> Result<Reply, NoAnswer> {
        self.send("POST", path, form).await
    }

    async fn send(&self, method: &str, path: &str, form: &'static str) -> Result<Reply, NoAnswer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if method == "POST" {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let cookies = self.cookies();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let request = request.body(Full::new(form.as_bytes()));
        let request = request.map_err(|_| NoAnswer)?;
        let whole = async {
            let response = self.http.request(request).await.map_err(|_| NoAnswer)?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
            self.remember(&head.headers);
            Ok(Reply {
                status: head.status.as_u16(),
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        let answered = tokio::time::timeout(PATIENCE, whole).await;
        answered.unwrap_or(Err(NoAnswer))
    }

    fn remember(&self, headers: &HeaderMap) {
        let Jar::Open(pairs) = &self.jar else {
            return;
        };
        let mut pairs = pairs.lock().unwrap_or_else(PoisonError::into_inner);
        for text in headers.get_all(SET_COOKIE) {
            let text = text.to_str().unwrap_or_default();
            let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            pairs.retain(|(known, _)| known != name);
            let removed = value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0");
            if !removed {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}
