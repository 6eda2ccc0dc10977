//! Nodes of an application, and requests to them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use session_kit::http::{Exchange, Finish, RequestHead, ResponseHead};
use session_kit::{Session, SessionConfig, SessionManager, Store, connect};

/// Two nodes behind a load balancer: they share the store and nothing in memory.
pub(crate) struct Nodes([SessionManager; 2]);

impl Nodes {
    pub(crate) async fn of_one_opening(url: &str) -> Arc<Self> {
        let store = connect(url).await.expect("the store can be opened");
        Arc::new(Self([(); 2].map(|()| manager(Arc::clone(&store)))))
    }

    pub(crate) async fn of_two_openings(url: &str) -> Arc<Self> {
        let mut stores = Vec::new();
        for _ in 0..2 {
            stores.push(connect(url).await.expect("the store can be opened"));
        }
        let [one, two] = [0, 1].map(|at: usize| manager(Arc::clone(&stores[at])));
        Arc::new(Self([one, two]))
    }

    /// The cookie of a session that holds one value.
    pub(crate) async fn visitor(&self) -> String {
        let request = self.request(0, "").await;
        request.session.insert("seen", true).expect("a truth value");
        let cookie = request.finish().await.expect("a first value sets a cookie");
        let pair = cookie.split(';').next().expect("the first part");
        pair.to_owned()
    }

    /// A request to one of the nodes, in turn.
    pub(crate) async fn request(&self, number: usize, cookie: &str) -> Request {
        let exchange = Exchange::begin(&self.0[number % 2], "POST");
        let head = Head(cookie.to_owned());
        let session = exchange.session(&head).await.expect("it can be loaded");
        Request { exchange, session }
    }
}

fn manager(store: Arc<dyn Store>) -> SessionManager {
    // What is tested is that nothing is lost, on a machine of whatever speed.
    let patient = SessionConfig::builder().store_timeout(Duration::from_secs(600));
    SessionManager::new(store, patient.build().expect("the options are allowed"))
}

/// A request whose handler is at work.
pub(crate) struct Request {
    exchange: Exchange,
    pub(crate) session: Session,
}

impl Request {
    /// Answers 200 and returns the cookie that the answer sets.
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

/// A request's `Cookie` field.
struct Head(String);

impl RequestHead for Head {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            visit(self.0.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// A response's `Set-Cookie` field.
struct Answer(Option<String>);

impl ResponseHead for Answer {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if name == "set-cookie" {
            self.0 = Some(value.into_owned());
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}
