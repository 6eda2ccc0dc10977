//! Imported values in a session: insertions like any other, under an id and a secret of ours.

use std::borrow::Cow;
use std::net::IpAddr;

use session_core::http::{Exchange, Finish, RequestHead, ResponseHead};
use session_core::{MemoryStore, Owner, Session, SessionConfig, SessionManager};
use session_import::web_py;

const VECTOR: &[u8] =
    include_bytes!("vectors/web_py/python3-plain/0123456789abcdef0123456789abcdef01234567");

/// A request with a cookie of ours, or without.
struct Head(Option<String>);

impl RequestHead for Head {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if let Some(cookie) = self.0.as_deref().filter(|_| name == "cookie") {
            visit(cookie.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// The cookie that a response sets.
#[derive(Default)]
struct Cookie(Option<String>);

impl ResponseHead for Cookie {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if name == "set-cookie" {
            self.0 = value.split(';').next().map(str::to_owned);
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}

async fn begin(manager: &SessionManager, cookie: Option<String>) -> (Exchange, Session) {
    let exchange = Exchange::begin(manager, "GET");
    let session = exchange.session(&Head(cookie)).await.unwrap();
    (exchange, session)
}

async fn finish(exchange: Exchange) -> Option<String> {
    let finished = match exchange.finish(200) {
        Finish::Done(finished) => finished,
        Finish::Pending(pending) => pending.complete().await,
    };
    let mut cookie = Cookie::default();
    finished.apply(&mut cookie);
    cookie.0
}

fn manager() -> SessionManager {
    SessionManager::new(
        MemoryStore::new(),
        SessionConfig::builder().build().unwrap(),
    )
}

#[tokio::test]
async fn i2_the_values_come_over_and_the_old_id_does_not() {
    let manager = manager();
    let (exchange, session) = begin(&manager, None).await;
    let old = web_py::decode(VECTOR).unwrap();
    let data = old.data.clone();
    old.into_session(&session).unwrap();
    session.login(Owner::new("ada").unwrap());
    assert!(finish(exchange).await.is_some());

    let ada = Owner::new("ada").unwrap();
    let sessions = manager.sessions_of(&ada).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(session.id(), Some(sessions[0].id));
    assert_ne!(
        sessions[0].id.to_string(),
        "0123456789abcdef0123456789abcdef"
    );
    assert_eq!(session.keys().len(), 10);
    for (key, value) in data.entries() {
        assert_eq!(session.raw(&key).as_deref(), Some(value), "{key}");
    }
    for own in ["session_id", "ip", "send_cookie"] {
        assert!(!session.contains_key(own), "{own}");
    }
}

#[tokio::test]
async fn c1_what_another_request_stores_meanwhile_stays() {
    let manager = manager();
    let (exchange, session) = begin(&manager, None).await;
    session.insert("count", 1).unwrap();
    let cookie = finish(exchange).await;

    let (importing, session) = begin(&manager, cookie.clone()).await;
    let (other, also) = begin(&manager, cookie.clone()).await;
    web_py::decode(VECTOR)
        .unwrap()
        .into_session(&session)
        .unwrap();
    also.insert("late", true).unwrap();
    finish(other).await;
    finish(importing).await;

    let (_, session) = begin(&manager, cookie).await;
    assert_eq!(session.get::<u32>("count").unwrap(), Some(3));
    assert_eq!(session.get::<bool>("late").unwrap(), Some(true));
    assert_eq!(session.len(), 11);
}

#[test]
fn i1_a_value_of_another_type_is_told_without_the_value() {
    let old = session_import::beaker::decode(br#"{"user": "hush-hush"}"#).unwrap();
    let error = old.get::<u32>("user").unwrap_err();
    assert_eq!(error.kind(), session_core::ErrorKind::WrongType);
    let mut told = format!("{error:?} {error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        told += &format!(" {error:?} {error}");
        cause = error.source();
    }
    assert!(told.contains("user") && !told.contains("hush"), "{told}");
}

/// Were each looked for among all others, as by `insert`, this would take minutes.
#[tokio::test]
async fn as_many_keys_as_fit_come_over() {
    let (manager, many) = (manager(), 70_000);
    let keys = (0..many).map(|n| format!("\"{n:05}\":{n}"));
    let json = format!("{{{}}}", keys.collect::<Vec<_>>().join(","));
    let old = session_import::beaker::decode(json.as_bytes()).unwrap();
    let (exchange, session) = begin(&manager, None).await;
    session.insert("00007", "kept?").unwrap();
    old.into_session(&session).unwrap();
    let cookie = finish(exchange).await;
    let (_, session) = begin(&manager, cookie).await;
    assert_eq!(session.data().unwrap().len(), many);
    for n in [0, 7, many - 1] {
        assert_eq!(session.get(format!("{n:05}").as_str()).unwrap(), Some(n));
    }
}
