//! What a route answers, before any framework has a word in it.
//!
//! Every framework's glue turns an [`Answer`] into its own response by the same three steps:
//! status, the header fields in order, the body. That is how two of them answer the same byte for
//! byte.

use serde::Serialize;
use session_kit::Error;

use crate::page;

/// A response, free of any framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    kind: Kind,
    location: Option<&'static str>,
    body: String,
}

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// There is none.
    Nothing,
    /// The same for every visitor.
    PublicText,
    Text,
    Json,
    Html,
}

impl Answer {
    /// 200 with a text that concerns one visitor alone.
    pub fn text(body: impl Into<String>) -> Self {
        Self::new(200, Kind::Text, body)
    }

    /// 200 with a text that is the same for everyone.
    pub fn public_text(body: impl Into<String>) -> Self {
        Self::new(200, Kind::PublicText, body)
    }

    /// 200 with a page.
    pub fn html(body: String) -> Self {
        Self::new(200, Kind::Html, body)
    }

    /// 200 with a JSON text.
    pub fn json_text(body: String) -> Self {
        Self::new(200, Kind::Json, body)
    }

    /// 200 with `value` as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::application`]: the value cannot be expressed as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_string(value)
            .map(Self::json_text)
            .map_err(Error::application)
    }

    /// 200 without a body.
    pub fn empty() -> Self {
        Self::new(200, Kind::Nothing, "")
    }

    /// 204: done, and there is nothing to say.
    pub fn no_content() -> Self {
        Self::new(204, Kind::Nothing, "")
    }

    /// 303 to the page: where a form's answer leads, so that reloading sends nothing again.
    pub fn to_page() -> Self {
        Self {
            location: Some("/"),
            ..Self::new(303, Kind::Nothing, "")
        }
    }

    /// 400: the request does not say what it should.
    pub fn bad_request(why: &'static str) -> Self {
        Self::new(400, Kind::Text, why)
    }

    /// 401: only for those who are logged in.
    pub fn unauthorized() -> Self {
        Self::new(401, Kind::Text, "log in first")
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(404, Kind::Text, "not found")
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(405, Kind::Text, "method not allowed")
    }

    /// 409: what is stored does not allow it.
    pub fn conflict(why: &'static str) -> Self {
        Self::new(409, Kind::Text, why)
    }

    /// 413: a body that no session could take.
    pub fn too_large() -> Self {
        Self::new(413, Kind::Text, "the request's body is too large")
    }

    fn new(status: u16, kind: Kind, body: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            location: None,
            body: body.into(),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields, names in lower case, in the order they are sent.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let content_type = match self.kind {
            Kind::Nothing => None,
            Kind::PublicText | Kind::Text => Some("text/plain; charset=utf-8"),
            Kind::Json => Some("application/json"),
            Kind::Html => Some("text/html; charset=utf-8"),
        };
        let personal = self.kind != Kind::PublicText;
        let is_page = self.kind == Kind::Html;
        [
            ("content-type", content_type),
            ("location", self.location),
            // No cache, shared or the browser's own, may keep what concerns one visitor.
            ("cache-control", personal.then_some("no-store")),
            ("x-content-type-options", Some("nosniff")),
            ("content-security-policy", is_page.then(page::csp)),
            // Not `no-referrer`: under it browsers send `Origin: null` with forms.
            ("referrer-policy", is_page.then_some("same-origin")),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// The body.
    pub fn into_body(self) -> String {
        self.body
    }
}
