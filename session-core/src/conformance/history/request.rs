//! A request of a client that keeps its cookie itself.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::error::{Error, ErrorKind};
use crate::http::{Exchange, Finish, RequestHead, ResponseHead};
use crate::manager::SessionManager;
use crate::session::Session;

/// A request whose handler is at work.
pub(in crate::conformance) struct Request {
    exchange: Exchange,
    pub(in crate::conformance) session: Session,
}

impl Request {
    pub(in crate::conformance) async fn begin(
        manager: &SessionManager,
        cookie: &str,
    ) -> Result<Self, Error> {
        let exchange = Exchange::begin(manager, "POST");
        let session = exchange.session(&Head(cookie)).await?;
        Ok(Self { exchange, session })
    }

    /// Answers 200; the cookie that the answer sets, or why another answer was given.
    pub(in crate::conformance) async fn finish(self) -> Result<Option<String>, ErrorKind> {
        let finished = match self.exchange.finish(200) {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        match finished.reply.as_ref().map(|reply| reply.status) {
            None => {}
            Some(409) => return Err(ErrorKind::Gone),
            Some(503) => return Err(ErrorKind::Unavailable),
            Some(status) => panic!("a request of the suite was answered with {status}"),
        }
        let mut answer = Answer(None);
        finished.apply(&mut answer);
        Ok(answer.0)
    }
}

/// The text of a cookie with this token.
pub(in crate::conformance) fn cookie(token: &str) -> String {
    format!("__Host-sid={token}")
}

struct Head<'a>(&'a str);

impl RequestHead for Head<'_> {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            visit(self.0.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

struct Answer(Option<String>);

impl ResponseHead for Answer {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if name == "set-cookie" {
            let pair = value.split(';').next();
            self.0 = pair.map(str::to_owned);
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}
