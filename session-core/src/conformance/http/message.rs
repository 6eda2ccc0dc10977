//! Requests and responses as a scenario sees them: plain text, no framework's types.

use std::net::IpAddr;

use serde_json::Value;

/// A request to an application under test.
///
/// ```
/// use session_core::conformance::http::Request;
///
/// let request = Request::new("GET", "/eager").header("cookie", "__Host-sid=");
/// assert_eq!(request.headers[0].0, "cookie");
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The header lines, in order.
    pub headers: Vec<(String, String)>,
    /// The address of the connection's other end.
    pub peer: Option<IpAddr>,
    /// The body: a script.
    pub body: String,
}

impl Request {
    /// A request without headers, peer or body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            peer: None,
            body: String::new(),
        }
    }

    /// The same with one more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What the application answered.
///
/// ```
/// use session_core::conformance::http::Response;
///
/// let response = Response {
///     status: 200,
///     headers: vec![("vary".to_owned(), "Cookie".to_owned())],
///     body: "[1,null]".to_owned(),
/// };
/// assert_eq!(response.header("Vary"), Some("Cookie"));
/// assert_eq!(response.outcome(0), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// The value of the only field of this name.
    ///
    /// # Panics
    ///
    /// There is more than one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} was sent more than once: {all:?}");
        all.first().copied()
    }

    /// The values of all fields of this name, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        let fields = self.headers.iter().filter(named);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of `Set-Cookie`.
    ///
    /// # Panics
    ///
    /// It was sent more than once: rule H3.
    #[must_use]
    pub fn set_cookie(&self) -> Option<&str> {
        self.header("set-cookie")
    }

    /// What the step at this place of the script came to.
    ///
    /// # Panics
    ///
    /// The body is not what a script answers.
    #[must_use]
    pub fn outcome(&self, at: usize) -> Value {
        let outcomes: Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("no script's answer: {self:?}"));
        outcomes[at].clone()
    }
}
