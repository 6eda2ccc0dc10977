//! Sessions that begin outside of a request.

use std::net::IpAddr;
use std::time::Duration;

use session_core::conformance::{Fault, Operation, SpyStore};
use session_core::http::{Exchange, RequestHead};
use session_core::{
    Clock, Cursor, ErrorKind, KeyRing, ManualClock, MemoryStore, OnTooMany, Owner, Session,
    SessionConfig, SessionConfigBuilder, SessionManager, StoreErrorKind,
};

/// A request with this cookie, from here.
struct Head(String, Option<IpAddr>);

impl RequestHead for Head {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            visit(self.0.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        self.1
    }
}

/// What a request with this token gets.
async fn request(sessions: &SessionManager, token: &str, peer: Option<IpAddr>) -> Session {
    let cookie = format!("{}={token}", sessions.config().cookie_name());
    let exchange = Exchange::begin(sessions, "GET");
    exchange.session(&Head(cookie, peer)).await.unwrap()
}

fn config() -> SessionConfigBuilder {
    SessionConfig::builder().secret_key(KeyRing::generate().unwrap())
}

fn ada() -> Owner {
    Owner::new("ada").unwrap()
}

async fn opens_with_its_token(sessions: SessionManager) {
    let new = sessions.begin(None, None).unwrap();
    assert!(new.is_new() && new.id().is_none());
    new.login(ada());
    new.insert("plan", "gold").unwrap();
    new.flash("info", "welcome").unwrap();
    let issued = new.issue().await.unwrap();
    assert_eq!(issued.session.owner(), Some(ada()));
    assert!(!format!("{issued:?}").contains(&issued.token));

    let session = request(&sessions, &issued.token, None).await;
    assert_eq!(session.id(), issued.session.id());
    assert_eq!(session.owner(), Some(ada()));
    assert_eq!(session.get::<String>("plan").unwrap().unwrap(), "gold");
    assert_eq!(session.flashes().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_begun_outside_of_a_request_opens_with_its_token() {
    let config = || config().build().unwrap();
    opens_with_its_token(SessionManager::new(MemoryStore::new(), config())).await;
    #[cfg(feature = "sealed")]
    {
        opens_with_its_token(SessionManager::sealed(config()).unwrap()).await;
        let ends = MemoryStore::new();
        let remembering = SessionManager::sealed_with_revocations(config(), ends);
        opens_with_its_token(remembering.unwrap()).await;
    }
}

#[tokio::test]
async fn it_is_a_session_like_any_other_afterwards() {
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let config = config().clock(Clock::manual(&hands));
    let config = config.owner_sessions_max(2, OnTooMany::EndOldest);
    let sessions = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let mut issued = Vec::new();
    for n in 0..3 {
        hands.advance(Duration::from_secs(1));
        let new = sessions.begin(None, None).unwrap();
        new.insert("n", n).unwrap();
        // What is saved before is the same session.
        new.save().await.unwrap();
        let id = new.id();
        new.login(ada());
        issued.push(new.issue().await.unwrap());
        assert_eq!(issued[n].session.id(), id);
    }
    // A login counts.
    assert_eq!(sessions.sessions_of(&ada()).await.unwrap().len(), 2);
    assert!(request(&sessions, &issued[0].token, None).await.is_new());
    let last = issued.pop().unwrap().session;
    last.insert("n", 7).unwrap();
    last.save().await.unwrap();
    // Nobody would get the new token.
    last.renew();
    assert_eq!(last.save().await.unwrap_err().kind(), ErrorKind::HeadSent);
    last.destroy();
    last.save().await.unwrap();
    assert_eq!(sessions.sessions_of(&ada()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_application_begins_is_not_counted_by_the_creation_cap() {
    let config = config().creation_cap(1, Duration::from_secs(60));
    let sessions = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let here: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
    for address in [None, here, here] {
        let new = sessions.begin(address, None).unwrap();
        new.insert("n", 1).unwrap();
        new.issue().await.unwrap();
    }
    for expected in [None, Some(ErrorKind::CreationCap)] {
        let visitor = request(&sessions, "", here).await;
        visitor.insert("n", 1).unwrap();
        assert_eq!(
            visitor.save().await.err().map(|error| error.kind()),
            expected
        );
    }
}

#[tokio::test]
async fn where_sessions_are_bound_to_an_address_it_has_to_be_given() {
    let config = config().ignore_change_ip(false).build().unwrap();
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let refused = sessions.begin(None, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let here = "192.0.2.1".parse().unwrap();
    let new = sessions.begin(Some(here), None).unwrap();
    new.insert("n", 1).unwrap();
    let issued = new.issue().await.unwrap();
    for (peer, is_new) in [("192.0.2.1", false), ("192.0.2.2", true)] {
        let peer = Some(peer.parse().unwrap());
        let session = request(&sessions, &issued.token, peer).await;
        assert_eq!(session.is_new(), is_new);
    }
}

#[tokio::test]
async fn nothing_is_issued_of_what_is_empty_or_was_ended() {
    let spy = SpyStore::new(MemoryStore::new());
    let sessions = SessionManager::new(spy.clone(), config().build().unwrap());
    let empty = sessions.begin(None, None).unwrap();
    let clone = Session::clone(&empty);
    assert_eq!(empty.issue().await.unwrap_err().kind(), ErrorKind::Invalid);
    // Nobody would get a token of what is put in now.
    clone.insert("n", 1).unwrap();
    assert_eq!(clone.save().await.unwrap_err().kind(), ErrorKind::Gone);
    let ended = sessions.begin(None, None).unwrap();
    ended.insert("n", 1).unwrap();
    ended.destroy();
    assert_eq!(ended.issue().await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(spy.counts().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_issued_is_not_left_behind() {
    let down = || Fault::Refuse(StoreErrorKind::Unavailable);
    for (fault_of, fault, saved_before) in [
        (Operation::Create, down(), false),
        (Operation::Update, down(), true),
        // It is stored, and the look whether it is fails.
        (Operation::Load, down(), false),
        // It is stored and signed in; the others of its owner cannot be looked up.
        (Operation::OwnedBy, down(), false),
        (Operation::OwnedBy, down(), true),
    ] {
        let spy = SpyStore::new(MemoryStore::new());
        let config = config().owner_sessions_max(1, OnTooMany::EndOldest);
        let sessions = SessionManager::new(spy.clone(), config.build().unwrap());
        let before = sessions.begin(None, None).unwrap();
        before.login(ada());
        before.issue().await.unwrap();
        let new = sessions.begin(None, Some("curl/8")).unwrap();
        new.insert("n", 1).unwrap();
        if saved_before {
            new.save().await.unwrap();
        }
        new.login(ada());
        let clone = Session::clone(&new);
        spy.always(fault_of, fault);
        if fault_of == Operation::Load {
            spy.once(Operation::Create, Fault::BreakAnswer);
        }
        let error = new.issue().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault_of:?}");
        assert_eq!(spy.counts().deletes, 1, "{fault_of:?}");
        spy.heal();
        // Nor does it sign anybody else out.
        assert_eq!(clone.save().await.unwrap_err().kind(), ErrorKind::Gone);
        clone.insert("late", 1).unwrap();
        assert_eq!(clone.save().await.unwrap_err().kind(), ErrorKind::Gone);
        clone.ended(Duration::from_secs(60)).await.unwrap();
        let left = spy.inner().scan(Cursor::start(), 10).await.unwrap();
        assert_eq!(left.ids.len(), 1, "{fault_of:?}");
        let owners = sessions.sessions_of(&ada()).await.unwrap();
        assert_eq!(owners.len(), 1, "{fault_of:?}");
        assert_eq!(owners[0].agent, None, "the one from before");
    }
}

#[tokio::test]
async fn what_is_ended_while_it_is_issued_is_not_left_behind() {
    let spy = SpyStore::new(MemoryStore::new());
    let sessions = SessionManager::new(spy.clone(), config().build().unwrap());
    let new = sessions.begin(None, None).unwrap();
    new.login(ada());
    let clone = Session::clone(&new);
    let gate = spy.hold_answer(Operation::Create);
    let issuing = tokio::spawn(new.issue());
    gate.reached_by(1).await;
    clone.destroy();
    gate.open();
    let refused = issuing.await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(sessions.sessions_of(&ada()).await.unwrap().is_empty());
}

#[tokio::test]
async fn it_comes_with_what_a_response_would_carry() {
    let sessions = |config: SessionConfigBuilder| {
        SessionManager::new(MemoryStore::new(), config.build().unwrap())
    };
    for (sessions, attributes) in [
        (
            sessions(config()),
            "; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            sessions(config().cookie_name("sid").secure(false)),
            "; Max-Age=600; Path=/; HttpOnly; SameSite=Lax",
        ),
    ] {
        let new = sessions.begin(None, Some("curl/8")).unwrap();
        new.login(ada());
        if attributes.contains("Max-Age") {
            new.remember(Duration::from_secs(600)).unwrap();
        }
        let issued = new.issue().await.unwrap();
        let name = sessions.config().cookie_name();
        let cookie = format!("{name}={}{attributes}", issued.token);
        assert_eq!(issued.field, Some(("set-cookie".to_owned(), cookie)));
        let listed = sessions.sessions_of(&ada()).await.unwrap();
        assert_eq!(listed[0].agent.as_deref(), Some("curl/8"));
    }
}
