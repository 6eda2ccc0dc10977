//! Who talks to the program, and what comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any machine needs: a program that hangs fails its test and holds up none.
const PATIENCE: Duration = Duration::from_secs(60);

/// One browser, with a memory for one cookie.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Host and port of the program; may be changed, as behind a load balancer.
    pub address: String,
    /// The cookie as `name=value`; empty without one.
    pub cookie: String,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The status line and the header lines.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Visitor {
    /// A visitor of the program at `address`, without a cookie.
    #[must_use]
    pub fn of(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            cookie: String::new(),
        }
    }

    /// Sends a `GET`.
    ///
    /// # Panics
    ///
    /// If no whole response comes back.
    pub fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    /// Sends `form`, as `name=value&name=value`.
    ///
    /// # Panics
    ///
    /// If no whole response comes back.
    pub fn post(&mut self, path: &str, form: &str) -> Reply {
        let form_type = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[form_type], form)
    }

    /// Sends a request with header lines of its own, and keeps the cookie of the response.
    ///
    /// # Panics
    ///
    /// If no whole response comes back.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let host = &self.address;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        let length = body.len().to_string();
        let own = [("Connection", "close"), ("Content-Length", &length)];
        let cookie = [("Cookie", self.cookie.as_str())];
        let cookie = cookie.iter().filter(|(_, value)| !value.is_empty());
        for (name, value) in own.iter().chain(headers).chain(cookie) {
            request += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(host).expect("the program listens");
        let patient = stream.set_read_timeout(Some(PATIENCE));
        patient.expect("it is not zero");
        let sent = stream.write_all(format!("{request}\r\n{body}").as_bytes());
        sent.expect("the program reads");
        let mut reply = String::new();
        let read = stream.read_to_string(&mut reply);
        read.expect("the program answers");
        let reply = Reply::parse(&reply);
        if let Some(set) = reply.header("set-cookie") {
            let pair = set.split(';').next().unwrap_or_default();
            let removed = pair.ends_with('=');
            self.cookie = if removed { "" } else { pair }.to_owned();
        }
        reply
    }
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no whole response: {text:?}"));
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The first header line called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        let (_, value) = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Status and body.
    #[must_use]
    pub fn short(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}
