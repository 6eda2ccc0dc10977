//! Requests to an application without a web server.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use session_kit::http::{Exchange, Finish, RequestHead, ResponseHead};
use session_kit::{Session, SessionConfig, SessionManager, connect};

/// A node over the store that `url` names.
pub(crate) async fn node(url: &str) -> SessionManager {
    SessionManager::new(
        connect(url).await.expect("the store can be opened"),
        config(),
    )
}

/// Every request that only reads writes down that it was there.
pub(crate) fn config() -> SessionConfig {
    let config = SessionConfig::builder()
        .touch_interval(Duration::from_millis(1))
        .store_timeout(Duration::from_secs(600));
    config.build().expect("the options are allowed")
}

/// A request whose handler is at work.
pub(crate) struct Request {
    exchange: Exchange,
    pub(crate) session: Session,
}

impl Request {
    pub(crate) async fn begin(node: &SessionManager, cookie: &str) -> Self {
        let exchange = Exchange::begin(node, "POST");
        let session = exchange.session(&Head(cookie)).await;
        let session = session.expect("the session can be loaded");
        Self { exchange, session }
    }

    /// Answers 200; the cookie that the answer sets.
    pub(crate) async fn finish(self) -> Option<String> {
        let finished = match self.exchange.finish(200) {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        assert_eq!(finished.reply, None, "the handler's answer is replaced");
        let mut answer = Answer(None);
        finished.apply(&mut answer);
        answer.0
    }
}

struct Head<'a>(&'a str);

impl RequestHead for Head<'_> {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" && !self.0.is_empty() {
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
            self.0 = value.split(';').next().map(str::to_owned);
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}
