//! Requests that are given up, and answers that come too late for their cookies.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use session_core::conformance::{Fault, Operation, SpyStore};
use session_core::http::{
    Begun, Exchange, Finish, Finished, Lifetime, Main, Nested, RequestHead, ResponseHead,
};
use session_core::{
    Clock, Draft, ErrorKind, KeyRing, ManualClock, MemoryStore, OnCorrupt, Owner, Session,
    SessionConfig, SessionConfigBuilder, SessionManager, Store, StoreErrorKind, Written,
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
        Self::managed_by(change, |config, spy| SessionManager::new(spy, config))
    }

    /// Sessions in their cookies, and which of them have ended in the store.
    #[cfg(feature = "sealed")]
    fn sealed(change: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder) -> Self {
        let keyed = |config| change(config).secret_key(KeyRing::generate().unwrap());
        Self::managed_by(keyed, |config, spy| {
            SessionManager::sealed_with_revocations(config, spy).unwrap()
        })
    }

    fn managed_by(
        change: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
        manage: impl FnOnce(SessionConfig, SpyStore) -> SessionManager,
    ) -> Self {
        let hands = ManualClock::at_unix_ms(1_764_000_000_000);
        let config = change(SessionConfig::builder().clock(Clock::manual(&hands)));
        let spy = SpyStore::new(MemoryStore::new());
        let manager = manage(config.build().unwrap(), spy.clone());
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

fn bob() -> Owner {
    Owner::new("bob").unwrap()
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
    enum LearnsBy {
        Change,
        Transaction,
        Renewal,
        Touch,
        Nothing,
    }
    const HOUR: Duration = Duration::from_secs(3_600);
    for (learns, status) in [
        (LearnsBy::Change, Some(409)),
        (LearnsBy::Transaction, None),
        (LearnsBy::Renewal, None),
        (LearnsBy::Touch, None),
        (LearnsBy::Nothing, None),
    ] {
        let world = World::with(|config| config.renew_every(HOUR));
        let cookie = world.begin().await;
        if let LearnsBy::Renewal = learns {
            world.hands.advance(HOUR);
        }
        let (begun, session) = world.asked(&cookie).await;
        session.remember(720 * HOUR).unwrap();
        session.save().await.unwrap();
        let newer = world.visit(&cookie, |session| session.login(ada())).await;
        match learns {
            LearnsBy::Change => session.insert("n", 2).unwrap(),
            LearnsBy::Transaction => {
                let gone = session.transact(|session| session.insert("n", 2)).await;
                assert_eq!(gone.unwrap_err().kind(), ErrorKind::Gone);
            }
            LearnsBy::Renewal | LearnsBy::Nothing => {}
            LearnsBy::Touch => world.hands.advance(HOUR / 2),
        }
        let answer = answered(begun).await;
        assert_eq!((answer.status, answer.cookie), (status, None));
        assert_eq!(world.n(&newer.unwrap()).await, Some(1));
    }
}

#[tokio::test]
async fn i6_an_answer_that_discards_sends_no_cookie_of_before_a_login_elsewhere() {
    for signs_in in [true, false] {
        let world = World::new();
        let cookie = world.begin().await;
        let (begun, session) = world.asked(&cookie).await;
        session.remember(Duration::from_secs(2_592_000)).unwrap();
        session.save().await.unwrap();
        session.insert("n", 2).unwrap();
        if signs_in {
            world.visit(&cookie, |session| session.login(ada())).await;
        }
        world.spy.reset();
        let answer = match begun.finish(500) {
            Finish::Done(finished) => told(finished),
            Finish::Pending(pending) => told(pending.complete().await),
        };
        assert_eq!(answer.cookie.is_some(), !signs_in);
        let counts = world.spy.counts();
        assert_eq!((counts.loads, counts.updates, counts.touches), (1, 0, 0));
    }
}

#[tokio::test]
async fn i6_a_cookie_whose_session_would_have_ended_by_now_is_not_sent() {
    for status in [200, 500] {
        let world = World::new();
        let cookie = world.begin().await;
        let (begun, session) = world.asked(&cookie).await;
        session.remember(Duration::from_secs(60)).unwrap();
        session.keep_expiry();
        session.save().await.unwrap();
        world.hands.advance(Duration::from_secs(30));
        let newer = world.visit(&cookie, |session| session.login(ada())).await;
        world.hands.advance(Duration::from_secs(31));
        let answer = match begun.finish(status) {
            Finish::Done(finished) => told(finished),
            Finish::Pending(pending) => told(pending.complete().await),
        };
        assert_eq!(answer.cookie, None, "{status}");
        assert_eq!(world.n(&newer.unwrap()).await, Some(1));
    }
}

#[tokio::test]
async fn i6_a_look_for_a_newer_cookie_forgets_none_that_a_clone_notes_meanwhile() {
    let world = World::new();
    let cookie = world.begin().await;
    let (begun, session) = world.asked(&cookie).await;
    session.remember(Duration::from_secs(3_600)).unwrap();
    session.save().await.unwrap();
    let held = world.spy.hold(Operation::Load);
    let answer = tokio::spawn(answered(begun));
    held.reached_by(1).await;
    session.remember(Duration::from_secs(7_200)).unwrap();
    let saving = session.save();
    saving.await.unwrap();
    held.open();
    assert_eq!(answer.await.unwrap().cookie, Some(cookie));
}

/// When a write of before a login is known to have happened.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// Its answer was lost.
    AtTheNext,
    /// It is part of a transaction.
    WhenConfirmed,
    /// A clone makes it.
    WhenAnswered,
}

impl World {
    /// Writes `hers` into Ada's session, and logs Bob in before that is known.
    async fn written_under_a_login(&self, session: &Session, known: Known) {
        let hers = |draft: &mut Draft| draft.append("hers", 1);
        match known {
            Known::AtTheNext => {
                let outage = Fault::Refuse(StoreErrorKind::Unavailable);
                self.spy.always(Operation::Load, outage);
                self.spy.once(Operation::Update, Fault::BreakAnswer);
                session.transact(hers).await.unwrap_err();
                self.spy.heal();
                session.login(bob());
            }
            Known::WhenConfirmed => {
                session.append("hers", 1).unwrap();
                let pending = session.prepare_save().await.unwrap().unwrap();
                session.login(bob());
                let (id, expected) = (pending.id(), pending.expected().unwrap());
                let written = self.spy.update(&id, pending.record(), expected).await;
                assert_eq!(written.unwrap(), Written::Done);
                pending.confirm().unwrap();
            }
            Known::WhenAnswered => {
                let held = self.spy.hold(Operation::Update);
                let clone = session.clone();
                let writing = tokio::spawn(async move { clone.transact(hers).await });
                held.reached_by(1).await;
                session.login(bob());
                held.open();
                writing.await.unwrap().unwrap();
            }
        }
    }
}

#[tokio::test]
async fn i4_a_write_of_before_a_login_brings_the_new_owner_nothing() {
    for known in [Known::AtTheNext, Known::WhenConfirmed, Known::WhenAnswered] {
        for his in [0, 1, 3] {
            let world = World::new();
            let cookie = world.begin().await;
            let cookie = world.visit(&cookie, |session| session.login(ada())).await;
            let (begun, session) = world.asked(&cookie.unwrap()).await;
            world.written_under_a_login(&session, known).await;
            assert!(session.is_empty(), "{known:?}");
            for item in 0..his {
                session.append("his", item).unwrap();
            }
            let answer = answered(begun).await;
            assert_eq!(answer.status, None, "{known:?}");
            let (_begun, session) = world.asked(&answer.cookie.unwrap()).await;
            assert_eq!(session.owner(), Some(bob()));
            let list: Option<Vec<u64>> = session.get("his").unwrap();
            assert_eq!(list.unwrap_or_default(), (0..his).collect::<Vec<_>>());
            assert_eq!(session.len(), usize::from(his > 0), "{known:?} {his}");
        }
    }
}

#[tokio::test]
async fn i4_a_write_of_before_a_login_that_is_taken_back_counts_once() {
    for known in [Known::AtTheNext, Known::WhenConfirmed, Known::WhenAnswered] {
        let world = World::new();
        let cookie = world.begin().await;
        let cookie = world.visit(&cookie, |session| session.login(ada())).await;
        let cookie = cookie.unwrap();
        let (begun, session) = world.asked(&cookie).await;
        world.written_under_a_login(&session, known).await;
        session.append("his", 1).unwrap();
        session.login(ada());
        session.append("hers", 2).unwrap();
        let answer = answered(begun).await;
        assert_eq!(answer.status, None, "{known:?}");
        let (_begun, session) = world.asked(&answer.cookie.unwrap()).await;
        assert_eq!(session.owner(), Some(ada()));
        assert_eq!(session.get::<Vec<u64>>("hers").unwrap(), Some(vec![1, 2]));
        assert!(!session.contains_key("his"), "{known:?}");
    }
}

type Ask = fn(&Session);

#[tokio::test]
async fn t7_what_is_asked_for_while_the_end_is_stored_is_not_lost() {
    let asks: [(&str, Ask); 3] = [
        ("login", |session| session.login(bob())),
        ("renew", Session::renew),
        ("login and data", |session| {
            session.login(bob());
            session.insert("his", 1).unwrap();
        }),
    ];
    for first in [None, Some(ada())] {
        for (named, ask) in asks {
            let world = World::new();
            let cookie = world.begin().await;
            let (begun, session) = world.asked(&cookie).await;
            session.insert("hers", 1).unwrap();
            if let Some(owner) = &first {
                session.login(owner.clone());
            }
            let held = world.spy.hold(Operation::Update);
            let answering = tokio::spawn(answered(begun));
            held.reached_by(1).await;
            ask(&session);
            held.open();
            let answer = answering.await.unwrap();
            assert_eq!(answer.status, None);
            let late = session.save().await.unwrap_err();
            assert_eq!(late.kind(), ErrorKind::HeadSent, "{named} {first:?}");
            let cookie = answer.cookie.unwrap_or(cookie);
            let (_begun, stored) = world.asked(&cookie).await;
            assert_eq!((stored.owner(), stored.len()), (first.clone(), 2));
            let taken_over = first.is_some() && named != "renew";
            assert_eq!(
                session.contains_key("hers"),
                !taken_over,
                "{named} {first:?}"
            );
        }
    }
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

#[tokio::test]
async fn i4_a_write_begun_before_a_login_is_not_the_new_owners() {
    for prepares in [false, true] {
        let world = World::new();
        let cookie = world.begin().await;
        let cookie = world.visit(&cookie, |session| session.login(ada())).await;
        let cookie = cookie.unwrap();
        let (begun, session) = world.asked(&cookie).await;
        // Another request has its turn, or its write, first.
        let (_other, other) = world.asked(&cookie).await;
        let held = world.spy.hold(Operation::Update);
        let first = tokio::spawn(async move { other.transact(|s| s.insert("n", 2)).await });
        held.reached_by(1).await;
        let clone = session.clone();
        let writing = tokio::spawn(async move {
            if prepares {
                clone.append("hers", 1)?;
                clone.prepare_save().await.map(drop)
            } else {
                clone.transact(|draft| draft.append("hers", 1)).await
            }
        });
        tokio::task::yield_now().await;
        session.login(bob());
        held.open();
        first.await.unwrap().unwrap();
        let refused = writing.await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Gone, "{prepares}");
        let answer = answered(begun).await;
        let (_begun, session) = world.asked(&answer.cookie.unwrap()).await;
        assert_eq!((session.owner(), session.len()), (Some(bob()), 0));
    }
}

#[cfg(feature = "sealed")]
#[tokio::test]
async fn i6_a_sealed_cookie_of_before_is_not_sent_once_the_session_is_known_to_be_gone() {
    const HOUR: Duration = Duration::from_secs(3_600);
    for is_due in [false, true] {
        let world = World::sealed(|config| config.renew_every(HOUR));
        let cookie = world.visit("", |session| session.login(ada())).await;
        let cookie = cookie.unwrap();
        if is_due {
            world.hands.advance(HOUR);
        }
        let (begun, session) = world.asked(&cookie).await;
        session.insert("n", 1).unwrap();
        session.save().await.unwrap();
        let newer = world.visit(&cookie, |session| session.login(ada())).await;
        if !is_due {
            let gone = session.transact(|session| session.insert("n", 2)).await;
            assert_eq!(gone.unwrap_err().kind(), ErrorKind::Gone);
        }
        let answer = answered(begun).await;
        assert_eq!((answer.status, answer.cookie), (None, None), "{is_due}");
        let (_begun, session) = world.asked(&newer.unwrap()).await;
        assert_eq!(session.owner(), Some(ada()));
    }
}
