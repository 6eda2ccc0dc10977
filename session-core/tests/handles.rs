//! What an application sees of handles outside any framework: what the scenarios over HTTP do
//! not reach.

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use session_core::conformance::{Counts, Fault, Operation, SpyStore};
use session_core::http::{Exchange, Finish, Finished, RequestHead, ResponseHead};
use session_core::{
    ErrorKind, MemoryStore, Session, SessionConfig, SessionManager, Store, StoreErrorKind,
};

/// A request with a cookie, or without.
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

/// A response's fields.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl ResponseHead for Fields {
    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.0.iter().filter(|(field, _)| field == name) {
            visit(value.as_bytes());
        }
    }

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        self.0.push((name.to_owned(), value.into_owned()));
    }

    fn replace(&mut self, name: &str, value: Cow<'static, str>) {
        self.0.retain(|(field, _)| field != name);
        self.append(name, value);
    }
}

fn field(finished: Finished, name: &str) -> Option<String> {
    let mut fields = Fields::default();
    finished.apply(&mut fields);
    let found = fields.0.into_iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value)
}

fn manager(store: &Arc<dyn Store>) -> SessionManager {
    let config = SessionConfig::builder().build().unwrap();
    SessionManager::new(Arc::clone(store), config)
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// Begins a session that holds `{"n":1}`; its cookie.
async fn begun(manager: &SessionManager) -> String {
    let exchange = Exchange::begin(manager, "POST");
    let session = exchange.session(&Head(None)).await.unwrap();
    session.insert("n", 1).unwrap();
    let Finish::Pending(pending) = exchange.finish(200) else {
        panic!("something is to be stored");
    };
    let line = field(pending.complete().await, "set-cookie").unwrap();
    line.split(';').next().unwrap().to_owned()
}

async fn opened(manager: &SessionManager, cookie: &str) -> (Exchange, Session) {
    let exchange = Exchange::begin(manager, "POST");
    let session = exchange.session(&Head(Some(cookie.to_owned()))).await;
    (exchange, session.unwrap())
}

/// Runs what might block for ever in a thread of its own.
fn within_a_minute<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(test());
        done.send(()).unwrap();
    });
    let waited = finished.recv_timeout(Duration::from_secs(60));
    waited.expect("it neither failed nor blocked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c1_what_follows_a_reload_beside_a_clones_save_is_kept() {
    let spy = SpyStore::new(MemoryStore::new());
    let manager = SessionManager::new(spy.clone(), SessionConfig::builder().build().unwrap());
    let cookie = begun(&manager).await;
    let (_exchange, session) = opened(&manager, &cookie).await;
    session.insert("k", 1).unwrap();
    let (reloads, reloading) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let mut again = false;
    let add = move |n: Option<u64>| {
        if std::mem::replace(&mut again, true) {
            reloads.send(()).unwrap();
            waits.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        n.unwrap_or(0) + 1
    };
    session.update("n", add).unwrap();
    let clone = session.clone();
    let reload = tokio::spawn(async move { clone.reload().await });
    let began = move || reloading.recv_timeout(Duration::from_secs(60)).unwrap();
    tokio::task::spawn_blocking(began).await.unwrap();
    // The reload is within the closure while a clone begins to save.
    let held = spy.hold(Operation::Update);
    let clone = session.clone();
    let save = tokio::spawn(async move { clone.save().await });
    held.reached_by(1).await;
    go_on.send(()).unwrap();
    reload.await.unwrap().unwrap();
    session.insert("k", 2).unwrap();
    held.open();
    save.await.unwrap().unwrap();
    session.save().await.unwrap();
    assert_eq!(session.get::<u64>("k").unwrap(), Some(2));
    let (_exchange, other) = opened(&manager, &cookie).await;
    assert_eq!(other.get::<u64>("k").unwrap(), Some(2));
    assert_eq!(other.get::<u64>("n").unwrap(), Some(2));
}

#[test]
fn c1_a_closure_may_read_a_clone_of_its_session() {
    within_a_minute(|| async {
        let store = store();
        let (here, there) = (manager(&store), manager(&store));
        let cookie = begun(&here).await;
        let (_exchange, session) = opened(&here, &cookie).await;
        let clone = session.clone();
        let add = move |n: Option<u64>| {
            let also = clone.get::<u64>("also").unwrap().unwrap_or(0);
            n.unwrap_or(0) + also + 1
        };
        session.update("n", add).unwrap();
        assert_eq!(session.get::<u64>("n").unwrap(), Some(2));
        let other = || async {
            let (_exchange, other) = opened(&there, &cookie).await;
            let add = other.transact(|draft| {
                let n = draft.get::<u64>("n")?.unwrap_or(0) + 10;
                draft.insert("n", n)
            });
            add.await.unwrap();
        };
        other().await;
        session.reload().await.unwrap();
        assert_eq!(session.get::<u64>("n").unwrap(), Some(12));
        other().await;
        // The write meets a conflict, and the closure runs again.
        session.save().await.unwrap();
        assert_eq!(session.get::<u64>("n").unwrap(), Some(22));
    });
}

#[tokio::test]
async fn i1_debug_output_shows_no_token() {
    let store = store();
    let manager = manager(&store);
    let cookie = begun(&manager).await;
    let (_, old) = cookie.split_once('.').unwrap();
    let (exchange, session) = opened(&manager, &cookie).await;
    let lazy = exchange.lazy(&Head(Some(cookie.clone())));
    session.renew();
    let mut shown = format!("{exchange:?} {session:?} {lazy:?}");
    let finish = exchange.finish(200);
    shown += &format!("{finish:?}");
    let Finish::Pending(pending) = finish else {
        panic!("a renewal is to be stored");
    };
    shown += &format!("{pending:?}");
    let finished = pending.complete().await;
    shown += &format!("{finished:?} {session:?}");
    let finish = Finish::Done(finished);
    shown += &format!("{finish:?}");
    let Finish::Done(finished) = finish else {
        unreachable!("it is what it was made as");
    };
    let line = field(finished, "set-cookie").unwrap();
    let (_, new) = line.split(';').next().unwrap().split_once('.').unwrap();
    assert_ne!(new, old);
    assert!(!shown.contains(old) && !shown.contains(new), "{shown}");
}

#[tokio::test]
async fn t7_what_is_first_loaded_after_the_head_begins_no_session() {
    let store = store();
    let manager = manager(&store);
    let exchange = Exchange::begin(&manager, "GET");
    let lazy = exchange.lazy(&Head(None));
    assert!(matches!(exchange.finish(200), Finish::Done(_)));
    let session = lazy.load().await.unwrap();
    session.insert("a", 1).unwrap();
    let saved = session.save().await.unwrap_err();
    let added = session.transact(|draft| draft.insert("b", 1)).await;
    let kinds = (saved.kind(), added.unwrap_err().kind());
    assert_eq!(kinds, (ErrorKind::HeadSent, ErrorKind::HeadSent));
    assert_eq!(
        store
            .scan(session_core::Cursor::start(), 9)
            .await
            .unwrap()
            .ids,
        []
    );
}

#[tokio::test]
async fn t7_a_live_session_first_loaded_after_the_head_can_be_saved() {
    let store = store();
    let manager = manager(&store);
    let cookie = begun(&manager).await;
    let exchange = Exchange::begin(&manager, "GET");
    let lazy = exchange.lazy(&Head(Some(cookie.clone())));
    assert!(matches!(exchange.finish(200), Finish::Done(_)));
    let session = lazy.load().await.unwrap();
    session.insert("n", 2).unwrap();
    session.save().await.unwrap();
    session.remember(Duration::from_secs(86_400)).unwrap();
    let refused = session.save().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::HeadSent);
    session.revert();
    session.login(session_core::Owner::new("ada").unwrap());
    let refused = session.save().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::HeadSent);
    let (_exchange, session) = opened(&manager, &cookie).await;
    assert_eq!(session.get::<u64>("n").unwrap(), Some(2));
    assert_eq!(session.owner(), None);
}

#[tokio::test]
async fn h4_asking_whether_there_is_a_token_makes_the_answer_vary() {
    let manager = manager(&store());
    for asks in [false, true] {
        let exchange = Exchange::begin(&manager, "GET");
        let lazy = exchange.lazy(&Head(None));
        // Showing it in a log asks nothing.
        assert!(format!("{lazy:?}").contains("has_token: false"));
        assert!(!asks || !lazy.has_token());
        let Finish::Done(finished) = exchange.finish(200) else {
            panic!("nothing is to be stored");
        };
        let vary = field(finished, "vary");
        assert_eq!(vary.as_deref(), asks.then_some("Cookie"));
    }
}

#[tokio::test]
async fn t2_whether_the_session_was_loaded_can_be_asked_and_loads_nothing() {
    let spy = SpyStore::new(MemoryStore::new());
    let manager = SessionManager::new(spy.clone(), SessionConfig::builder().build().unwrap());
    let head = Head(Some(begun(&manager).await));
    spy.reset();
    let exchange = Exchange::begin(&manager, "GET");
    let (one, two) = (exchange.lazy(&head), exchange.lazy(&head));
    assert!(!one.is_loaded() && !two.is_loaded());
    assert_eq!(spy.counts(), Counts::default());
    one.load().await.unwrap();
    assert!(one.is_loaded() && two.is_loaded() && exchange.lazy(&head).is_loaded());

    let untouched = Exchange::begin(&manager, "GET");
    assert!(!untouched.lazy(&head).is_loaded(), "it is another request");
    let Finish::Done(finished) = untouched.finish(200) else {
        panic!("nothing is to be stored");
    };
    assert_eq!(field(finished, "vary"), None);

    let exchange = Exchange::begin(&manager, "GET");
    let lazy = exchange.lazy(&head);
    spy.once(Operation::Load, Fault::Refuse(StoreErrorKind::Unavailable));
    lazy.load().await.unwrap_err();
    assert!(!lazy.is_loaded(), "it could not be");
}

/// The end of the request is still storing, and the head has not left.
#[tokio::test]
async fn who_loads_the_session_while_it_is_stored_takes_no_cookie_from_it() {
    let manager = manager(&store());
    let cookie = begun(&manager).await;
    let exchange = Exchange::begin(&manager, "POST");
    let head = Head(Some(cookie));
    let lazy = exchange.lazy(&head);
    lazy.load().await.unwrap().renew();
    let Finish::Pending(pending) = exchange.finish(200) else {
        panic!("a new secret is to be stored");
    };
    lazy.load().await.unwrap();
    let finished = pending.complete().await;
    assert_eq!(finished.reply, None);
    assert!(field(finished, "set-cookie").is_some());
}

/// What is opened after the head has no cookie to send.
#[tokio::test]
async fn who_loads_the_session_after_the_head_cannot_begin_one() {
    let manager = manager(&store());
    let exchange = Exchange::begin(&manager, "POST");
    let lazy = exchange.lazy(&Head(None));
    let _ = exchange.finish(200);
    let session = lazy.load().await.unwrap();
    session.insert("n", 1).unwrap();
    let error = session.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HeadSent);
}
