//! Requests that are given up, and answers that come too late for their cookies.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use session_core::conformance::{Fault, Operation, SpyStore};
use session_core::http::{
    Begun, Exchange, Finish, Finished, Lifetime, Main, Nested, RequestHead, ResponseHead,
};
use session_core::{
    Clock, ErrorKind, KeyRing, ManualClock, MemoryStore, OnCorrupt, Owner, Session, SessionConfig,
    SessionConfigBuilder, SessionManager, StoreErrorKind,
};

/// A request with such cookies, or without.
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

/// A response's fields.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl ResponseHead for Fields {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        self.0.push((name.to_owned(), value.into_owned()));
    }

    fn replace(&mut self, name: &str, value: Cow<'static, str>) {
        self.append(name, value);
    }
}

struct World {
    spy: SpyStore,
    hands: ManualClock,
    manager: SessionManager,
}

impl World {
    fn new() -> Self {
        Self::with(|config| config)
    }

    fn with(change: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder) -> Self {
        let hands = ManualClock::at_unix_ms(1_764_000_000_000);
        let config = change(SessionConfig::builder().clock(Clock::manual(&hands)));
        let spy = SpyStore::new(MemoryStore::new());
        let manager = SessionManager::new(spy.clone(), config.build().unwrap());
        Self {
            spy,
            hands,
            manager,
        }
    }

    /// A request that has its session.
    async fn asked(&self, cookie: &str) -> (Begun, Session) {
        let (nested, begun) = Nested::<Main>::enter(None, &self.manager, "POST");
        let session = nested.exchange().session(&Head(cookie.to_owned())).await;
        (begun.unwrap(), session.unwrap())
    }

    /// A request from its beginning to its end; its cookie.
    async fn visit(&self, cookie: &str, handle: impl FnOnce(&Session)) -> Option<String> {
        let (begun, session) = self.asked(cookie).await;
        handle(&session);
        answered(begun).await.cookie
    }

    async fn begin(&self) -> String {
        let cookie = self.visit("", |session| session.insert("n", 1).unwrap());
        cookie.await.unwrap()
    }

    async fn n(&self, cookie: &str) -> Option<u64> {
        let (_begun, session) = self.asked(cookie).await;
        session.get("n").unwrap()
    }
}

struct Answer {
    status: Option<u16>,
    /// What it sets, without attributes.
    cookie: Option<String>,
}

async fn answered(begun: Begun) -> Answer {
    told(match begun.finish(200) {
        Finish::Done(finished) => finished,
        Finish::Pending(pending) => pending.complete().await,
    })
}

fn told(finished: Finished) -> Answer {
    let mut fields = Fields::default();
    finished.apply(&mut fields);
    let line = fields.0.iter().find(|(name, _)| name == "set-cookie");
    Answer {
        status: finished.reply.as_ref().map(|reply| reply.status),
        cookie: line.map(|(_, line)| line.split(';').next().unwrap().to_owned()),
    }
}

fn ada() -> Owner {
    Owner::new("ada").unwrap()
}

#[tokio::test]
async fn t7_after_a_request_was_given_up_its_session_can_be_ended() {
    for mid_save in [false, true] {
        let world = World::new();
        let cookie = world.begin().await;
        let (begun, session) = world.asked(&cookie).await;
        if mid_save {
            session.insert("late", true).unwrap();
            let held = world.spy.hold(Operation::Update);
            let Finish::Pending(pending) = begun.finish(200) else {
                panic!("something is to be stored");
            };
            let saving = tokio::spawn(pending.complete());
            held.reached_by(1).await;
            saving.abort();
            assert!(saving.await.unwrap_err().is_cancelled());
        } else {
            drop(begun);
        }
        session.logout();
        session.save().await.unwrap();
        assert_eq!(world.n(&cookie).await, None, "{mid_save}");
    }
}

#[tokio::test]
async fn t7_after_a_request_was_given_up_what_needs_a_cookie_is_an_error() {
    let world = World::new();
    let cookie = world.begin().await;
    let intentions: [fn(&Session); 2] = [Session::renew, |session| session.login(ada())];
    for intention in intentions {
        let (begun, session) = world.asked(&cookie).await;
        drop(begun);
        intention(&session);
        let error = session.save().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HeadSent);
        assert_eq!(world.n(&cookie).await, Some(1));
    }
    let (begun, session) = world.asked("").await;
    drop(begun);
    session.insert("n", 2).unwrap();
    let error = session.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HeadSent);
}

#[tokio::test]
async fn t7_a_session_that_is_opened_after_its_request_was_given_up_comes_after_the_head() {
    let world = World::new();
    let cookie = world.begin().await;
    let (nested, begun) = Nested::<Main>::enter(None, &world.manager, "POST");
    let lazy = nested.exchange().lazy(&Head(cookie.clone()));
    drop(begun);
    let session = lazy.load().await.unwrap();
    session.destroy();
    session.save().await.unwrap();
    assert_eq!(world.n(&cookie).await, None);
}

#[tokio::test]
async fn i6_a_cookie_that_slides_is_not_sent_after_a_login_elsewhere() {
    let month = Duration::from_secs(30 * 86_400);
    let world = World::with(|config| {
        let config = config.timeout(month);
        config.lifetime(Lifetime::Persistent(month))
    });
    let cookie = world.begin().await;
    for signs_in in [false, true] {
        world.hands.advance(Duration::from_secs(3_600));
        let (begun, session) = world.asked(&cookie).await;
        // The access is written down with this.
        session
            .transact(|draft| draft.insert("n", 2))
            .await
            .unwrap();
        if signs_in {
            let (other, session) = world.asked(&cookie).await;
            session.login(ada());
            drop(session);
            let newer = answered(other).await.cookie.unwrap();
            assert_ne!(newer, cookie);
            assert_eq!(answered(begun).await.cookie, None);
            assert_eq!(world.n(&newer).await, Some(2));
            break;
        }
        assert_eq!(answered(begun).await.cookie, Some(cookie.clone()));
    }
}

#[tokio::test]
async fn t4_a_cookie_that_slides_after_a_commit_needs_no_second_write() {
    let world = World::new();
    let month = Duration::from_secs(30 * 86_400);
    let cookie = world.begin().await;
    let remembered = world.visit(&cookie, |session| session.remember(month).unwrap());
    assert!(remembered.await.is_some());
    let outage = || Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.always(Operation::Touch, outage());
    for reads in [true, false] {
        world.hands.advance(Duration::from_secs(3_600));
        let (begun, session) = world.asked(&cookie).await;
        let add = session.transact(|draft| {
            let n = draft.get::<u64>("n")?.unwrap_or(0) + 1;
            draft.insert("n", n)
        });
        add.await.unwrap();
        if !reads {
            world.spy.always(Operation::Load, outage());
        }
        world.spy.reset();
        let answer = answered(begun).await;
        assert_eq!(answer.status, None, "what is stored is no error");
        assert_eq!(answer.cookie, reads.then(|| cookie.clone()));
        let counts = world.spy.counts();
        assert_eq!((counts.loads, counts.touches, counts.updates), (1, 0, 0));
    }
    world.spy.heal();
    assert_eq!(world.n(&cookie).await, Some(3));
}

#[tokio::test]
async fn i6_a_cookie_of_before_is_not_sent_with_the_news_that_the_session_is_gone() {
    let world = World::new();
    let cookie = world.begin().await;
    let (begun, session) = world.asked(&cookie).await;
    let month = Duration::from_secs(30 * 86_400);
    session.remember(month).unwrap();
    session.save().await.unwrap();
    let newer = world.visit(&cookie, |session| session.login(ada())).await;
    session.insert("n", 2).unwrap();
    let answer = answered(begun).await;
    assert_eq!((answer.status, answer.cookie), (Some(409), None));
    assert_eq!(world.n(&newer.unwrap()).await, Some(1));
}

#[tokio::test]
async fn t6_a_logout_with_a_token_that_this_node_cannot_verify_removes_the_cookie() {
    const KEYS: [&[u8; 32]; 2] = [
        b"0123456789abcdef0123456789abcdef",
        b"fedcba9876543210fedcba9876543210",
    ];
    let keyed = |key: &[u8; 32]| KeyRing::new(key.as_slice()).unwrap();
    let newer = World::with(|config| config.secret_key(keyed(KEYS[0])));
    let older = World::with(|config| config.secret_key(keyed(KEYS[1])));
    let cookie = newer.begin().await;
    assert_eq!(older.visit(&cookie, |_| ()).await, None);
    let removed = older.visit(&cookie, Session::logout).await;
    let name = cookie.split('=').next().unwrap();
    assert_eq!(removed, Some(format!("{name}=")));
}

#[tokio::test]
async fn i5_a_token_that_cannot_be_read_hides_none_behind_it() {
    let world = World::with(|config| config.on_corrupt(OnCorrupt::Fail));
    let (first, second) = (world.begin().await, world.begin().await);
    let both = format!("{first}; {second}");
    for fault in [StoreErrorKind::Corrupt, StoreErrorKind::NewerFormat] {
        world.spy.once(Operation::Load, Fault::Refuse(fault));
        assert_eq!(world.n(&both).await, Some(1));
        // Alone it fails the request.
        for cookies in [first.clone(), format!("{first}; {first}x")] {
            world.spy.once(Operation::Load, Fault::Refuse(fault));
            let exchange = Exchange::begin(&world.manager, "GET");
            let error = exchange.session(&Head(cookies)).await.unwrap_err();
            assert!([ErrorKind::Corrupt, ErrorKind::NewerFormat].contains(&error.kind()));
        }
    }
    // Which of them is live is not known in an outage.
    let outage = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.once(Operation::Load, outage);
    let exchange = Exchange::begin(&world.manager, "GET");
    let error = exchange.session(&Head(both)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn o3_a_session_begun_after_an_end_does_not_end_with_a_touch() {
    let world = World::with(|config| config.touch_interval(Duration::ZERO));
    let cookie = world.begin().await;
    let (begun, session) = world.asked(&cookie).await;
    session.destroy();
    session.insert("n", 2).unwrap();
    session.save().await.unwrap();
    let newer = answered(begun).await.cookie.unwrap();
    let ended = session.ended(Duration::from_secs(60));
    tokio::select! {
        biased;
        ended = ended => panic!("it has ended: {ended:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(world.n(&newer).await, Some(2));
}
