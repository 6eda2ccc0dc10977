//! What a handler can ask of its session, and what stays of it from one request to the next.

use std::borrow::Cow;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_core::conformance::SpyStore;
use session_core::http::{Exchange, Finish, RequestHead, ResponseHead};
use session_core::{
    Clock, EventKind, Key, ManualClock, MemoryStore, Rejection, Session, SessionConfig,
    SessionConfigBuilder, SessionManager, Store,
};

/// A browser that keeps one cookie.
struct Visitor {
    manager: SessionManager,
    cookie: Option<String>,
}

impl Visitor {
    fn new(config: SessionConfigBuilder) -> Self {
        let config = config.build().unwrap();
        Self {
            manager: SessionManager::new(MemoryStore::new(), config),
            cookie: None,
        }
    }

    /// One request, whose handler is `handle`.
    async fn visit<T>(&mut self, handle: impl FnOnce(&Session) -> T) -> T {
        let exchange = Exchange::begin(&self.manager, "POST");
        let session = exchange.session(&*self).await.unwrap();
        let answer = handle(&session);
        let finished = match exchange.finish(200) {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        finished.apply(self);
        answer
    }
}

impl RequestHead for Visitor {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if let Some(cookie) = self.cookie.as_deref().filter(|_| name == "cookie") {
            visit(cookie.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

impl ResponseHead for Visitor {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if name == "set-cookie" {
            self.cookie = value.split(';').next().map(str::to_owned);
        }
    }

    fn replace(&mut self, name: &str, value: Cow<'static, str>) {
        self.append(name, value);
    }
}

#[tokio::test]
async fn a_handler_can_ask_when_its_session_began_was_used_and_ends() {
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let clock = Clock::manual(&hands);
    let hour = Duration::from_secs(3_600);
    let config = SessionConfig::builder().clock(clock.clone()).timeout(hour);
    let mut visitor = Visitor::new(config);
    let times = |s: &Session| (s.created_at(), s.accessed_at(), s.expires_at());

    let began = clock.now();
    visitor
        .visit(|session| {
            assert!(session.is_new() && !session.is_modified());
            assert_eq!((session.id(), times(session)), (None, (None, None, None)));
            session.insert("n", 1).unwrap();
            assert!(session.is_new() && session.is_modified());
        })
        .await;
    hands.advance(hour / 2);
    let id = visitor
        .visit(|session| {
            assert!(!session.is_new() && !session.is_modified());
            let ends = Some(began.after(hour));
            assert_eq!(times(session), (Some(began), Some(began), ends));
            session.id()
        })
        .await;
    assert!(id.is_some());
    let used = clock.now();
    hands.advance(hour / 2);
    visitor
        .visit(|session| {
            assert_eq!(session.id(), id);
            let ends = Some(used.after(hour));
            assert_eq!(times(session), (Some(began), Some(used), ends));
        })
        .await;
}

#[tokio::test]
async fn an_emptied_session_lives_on() {
    let mut visitor = Visitor::new(SessionConfig::builder());
    visitor.visit(|s| s.insert("n", 1).unwrap()).await;
    let cookie = visitor.cookie.clone();
    let id = visitor
        .visit(|session| {
            session.flash("note", "emptied").unwrap();
            session.clear();
            session.id()
        })
        .await;
    let after = |s: &Session| (s.id(), s.is_empty(), s.is_new());
    assert_eq!(visitor.visit(after).await, (id, true, false));
    visitor.visit(|s| s.insert("n", 2).unwrap()).await;
    assert_eq!(visitor.visit(Session::id).await, id);
    assert_eq!(visitor.cookie, cookie);
}

#[tokio::test]
async fn an_initializer_runs_for_each_new_session() {
    let runs = AtomicU64::new(0);
    let count = move || runs.fetch_add(1, Ordering::Relaxed) + 1;
    let config = SessionConfig::builder().initializer(move |s| s.insert("number", count()));
    let mut first = Visitor::new(config);
    let mut second = Visitor {
        manager: first.manager.clone(),
        cookie: None,
    };
    let number = |s: &Session| s.get::<u64>("number").unwrap();
    for visitor in [&mut first, &mut second] {
        visitor.visit(|s| s.insert("stored", true).unwrap()).await;
    }
    assert_eq!(first.visit(number).await, Some(1));
    assert_eq!(second.visit(number).await, Some(2));
    assert_eq!(first.visit(number).await, Some(1), "not again");
}

/// What an application keeps; the second field came with its second version.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Cart {
    id: u64,
    #[serde(default = "usual_currency")]
    currency: String,
}

fn usual_currency() -> String {
    "EUR".to_owned()
}

const CART: Key<Cart> = Key::new("cart");

#[tokio::test]
async fn what_is_absent_is_none_and_a_field_of_a_later_version_has_its_default() {
    #[derive(Serialize)]
    struct FirstCart {
        id: u64,
    }

    let mut visitor = Visitor::new(SessionConfig::builder());
    visitor
        .visit(|session| {
            assert_eq!(session.get(CART).unwrap(), None);
            session.insert("cart", FirstCart { id: 7 }).unwrap();
        })
        .await;
    let cart = visitor.visit(|s| s.get(CART).unwrap()).await;
    let currency = usual_currency();
    assert_eq!(cart, Some(Cart { id: 7, currency }));
}

#[test]
fn a_hook_that_panics_over_an_opening_leaves_the_session_opened_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let config = SessionConfig::builder().on_event(move |event| {
        if matches!(event.kind, EventKind::Rejected(_)) && count.fetch_add(1, Ordering::SeqCst) == 0
        {
            panic!("the application's own");
        }
    });
    let mut visitor = Visitor::new(config);
    let insert = |session: &Session| session.insert("kept", 1).unwrap();
    runtime.block_on(visitor.visit(insert));
    visitor.cookie.as_mut().unwrap().push('x');

    let exchange = Exchange::begin(&visitor.manager, "POST");
    let open = || runtime.block_on(exchange.session(&visitor));
    std::panic::catch_unwind(AssertUnwindSafe(open)).unwrap_err();
    let (first, second) = (open().unwrap(), open().unwrap());
    first.insert("kept", 2).unwrap();
    assert_eq!(second.get::<u8>("kept").unwrap(), Some(2));
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn threads_that_ask_at_once_get_one_session_and_what_is_met_is_told_once() {
    const THREADS: usize = 4;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let spied = || SpyStore::new(MemoryStore::new());
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(spied())];
    for store in stores {
        let foreign = Arc::new(AtomicU64::new(0));
        let heard = Arc::clone(&foreign);
        let config = SessionConfig::builder().on_event(move |event| {
            if event.kind == EventKind::Rejected(Rejection::Foreign) {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut visitor = Visitor {
            manager: SessionManager::new(store, config.build().unwrap()),
            cookie: None,
        };
        runtime.block_on(visitor.visit(|session| session.insert("first", 1).unwrap()));
        let cookie = visitor.cookie.as_mut().unwrap();
        let name = cookie.split('=').next().unwrap().to_owned();
        cookie.push_str(&format!("; {name}=not-ours"));
        for round in 1..=200 {
            let exchange = Exchange::begin(&visitor.manager, "GET");
            let ready = Barrier::new(THREADS);
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (ready, exchange, visitor) = (&ready, &exchange, &visitor);
                    let runtime = &runtime;
                    scope.spawn(move || {
                        ready.wait();
                        let session = runtime.block_on(exchange.session(visitor)).unwrap();
                        session.insert(&format!("of-{thread}"), thread).unwrap();
                    });
                }
            });
            let session = runtime.block_on(exchange.session(&visitor)).unwrap();
            assert_eq!(session.len(), THREADS + 1, "in round {round}");
            assert_eq!(foreign.load(Ordering::Relaxed), round);
        }
    }
}
