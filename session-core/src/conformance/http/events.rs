//! What is told of a session's life, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::HttpHarness;
use super::script::Step;
use super::world::{World, attempt, insert, login, owner, wait};
use crate::OnTooMany::{EndOldest, Refuse};
use crate::clock::Clock;
use crate::config::SessionConfigBuilder;
use crate::conformance::{Fault, Operation};
use crate::error::StoreErrorKind;
use crate::event::Event;

/// What the hook was told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    /// A world whose events are kept.
    pub(super) async fn of<'a>(
        harness: &'a dyn HttpHarness,
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> (Self, World<'a>) {
        let told = Self::default();
        let world = World::with(harness, |config| told.to(choose(config))).await;
        (told, world)
    }

    /// These options, with a hook that keeps events here.
    pub(super) fn to(&self, config: SessionConfigBuilder) -> SessionConfigBuilder {
        let kept = Arc::clone(&self.0);
        config.on_event(move |event| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(event.clone());
        })
    }

    /// The events since the last look.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Their names and reasons.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |event: &Event| match event.kind.why() {
            "" => event.kind.name().to_owned(),
            why => format!("{} {why}", event.kind.name()),
        };
        self.take().iter().map(name).collect()
    }
}

fn plain(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config
}

pub(super) async fn what_happens_to_a_session_is_told_once(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    let mut browser = world.stranger();
    browser.get([Step::Keys]).await;
    browser.call("GET", "/untouched", []).await;
    assert_eq!(told.names(), [""; 0], "who stores nothing");

    browser.post([insert("a", 1)]).await;
    let id = world.record().await.0;
    let event = told.take().remove(0);
    assert_eq!(event.kind.name(), "created");
    assert_eq!((event.session, event.owner), (Some(id), None));
    assert_eq!(event.address, browser.peer);
    assert_eq!(event.at, Clock::manual(&world.clock).now());

    browser.post([insert("a", 2), Step::Save, insert("b", 1)]).await;
    browser.get([Step::Keys]).await;
    assert_eq!(told.names(), [""; 0], "an ordinary write");

    world.advance(5);
    for (steps, names) in [
        (vec![login("ada")], vec!["logged_in"]),
        (vec![Step::Renew], vec!["renewed asked"]),
        (vec![Step::Renew, login("ada")], vec!["logged_in"]),
        (vec![Step::Logout], vec!["logged_out"]),
    ] {
        assert_eq!(browser.post(steps).await.status, 200);
        let events = told.take();
        assert_eq!(events.len(), names.len(), "{events:?}");
        for (event, name) in events.iter().zip(names) {
            let why = event.kind.why();
            assert_eq!(format!("{} {why}", event.kind.name()).trim(), name);
            assert_eq!(event.session, Some(id), "the id stays: {event:?}");
            assert_eq!(event.owner, Some(owner("ada")), "{event:?}");
            assert_eq!(event.address, browser.peer);
            assert_eq!(event.at, Clock::manual(&world.clock).now());
        }
    }

    browser.post([login("bob")]).await;
    assert_eq!(told.names(), ["created", "logged_in"]);
    browser.post([Step::Destroy, insert("b", 2)]).await;
    let events = told.take();
    let names: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names, ["destroyed", "created"]);
    assert_eq!(events[0].owner, Some(owner("bob")));
    assert_eq!(events[1].session, Some(world.record().await.0));
    assert_ne!(events[0].session, events[1].session);
}

pub(super) async fn t5_what_was_discarded_is_not_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    let mut member = world.member("ada").await;
    told.take();
    let failed = Step::Status(500);
    for step in [login("bob"), Step::Renew, Step::Logout, Step::Destroy] {
        member.post([step, failed.clone()]).await;
    }
    world.stranger().post([insert("a", 1), failed.clone()]).await;
    world.stranger().post([login("bob"), Step::Revert]).await;
    assert_eq!(told.names(), [""; 0]);
    let saved = [insert("a", 1), Step::Save, failed];
    world.stranger().post(saved).await;
    assert_eq!(told.names(), ["created"], "what was committed is true");
    world.spy.always(
        Operation::Update,
        Fault::Refuse(StoreErrorKind::Unavailable),
    );
    assert_eq!(member.post([login("bob")]).await.status, 503);
    assert_eq!(told.names(), [""; 0], "a login that failed");
}

pub(super) async fn c3_lost_changes_are_told_once(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    let mut member = world.member("ada").await;
    let id = world.record().await.0;
    let save = [attempt(Step::Save), attempt(Step::Save)];
    let steps = [vec![insert("late", 1), wait("go")], save.to_vec()].concat();
    let (post, get) = (
        member.start_post(steps),
        member.start_get([insert("late", 1), wait("go")]),
    );
    world.probe.gate("go").reached_by(2).await;
    told.take();
    member.post([Step::Logout]).await;
    assert_eq!(told.names(), ["logged_out"]);
    world.release("go", 2).await;
    let statuses = (post.answer().await.status, get.answer().await.status);
    assert_eq!(statuses, (409, 200));
    let events = told.take();
    assert_eq!(events.len(), 2, "one for each handle: {events:?}");
    for event in events {
        assert_eq!((event.kind.name(), event.kind.why()), ("rejected", "gone"));
        assert_eq!(event.session, Some(id));
        assert_eq!(event.owner, Some(owner("ada")));
    }
}

pub(super) async fn c5_a_write_whose_answer_was_lost_is_told_once(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    let mut browser = world.stranger();
    world.spy.once(Operation::Create, Fault::LoseAnswer);
    assert_eq!(browser.post([insert("a", 1)]).await.status, 200);
    assert_eq!(told.names(), ["created"], "a look has shown it");
    world.spy.once(Operation::Update, Fault::BreakAnswer);
    assert_eq!(browser.post([login("ada")]).await.status, 200);
    assert_eq!(told.names(), ["logged_in"]);

    world.spy.once(Operation::Create, Fault::BreakAnswer);
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.once(Operation::Load, down);
    let mut browser = world.stranger();
    let steps = [insert("a", 1), attempt(Step::Save), wait("unknown"), Step::Save];
    let running = browser.start_post(steps);
    world.reached("unknown").await;
    assert_eq!(told.names(), [""; 0], "nobody knows yet");
    world.release("unknown", 1).await;
    let response = running.answer().await;
    browser.keep(&response);
    assert_eq!(told.names(), ["created"], "the next save has found it");
    browser.post([insert("b", 1)]).await;
    assert_eq!(told.names(), [""; 0]);
}

pub(super) async fn c5_a_delete_whose_answer_was_lost_is_told_once(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    let (mut one, two) = (world.member("ada").await, world.member("bob").await);
    told.take();
    world.spy.once(Operation::Delete, Fault::LoseAnswer);
    assert_eq!(one.post([Step::Logout]).await.status, 200);
    assert_eq!(told.names(), ["logged_out"]);

    let both = (
        two.start_post([wait("both"), Step::Logout]),
        two.start_post([wait("both"), Step::Logout]),
    );
    world.release("both", 2).await;
    let statuses = (both.0.answer().await.status, both.1.answer().await.status);
    assert_eq!(statuses, (200, 200));
    assert_eq!(told.names(), ["logged_out"], "the other found it gone");
}

pub(super) async fn i7_a_timed_renewal_is_told_apart(harness: &dyn HttpHarness) {
    let hour = Duration::from_secs(3_600);
    let (told, world) = Told::of(harness, |config| config.renew_every(hour)).await;
    let mut browser = world.visitor().await;
    told.take();
    world.advance(3_600);
    browser.get([]).await;
    assert_eq!(told.names(), ["renewed timed"]);
    browser.get([]).await;
    assert_eq!(told.names(), [""; 0], "presenting it is nothing to be told");
    world.advance(3_600);
    browser.post([Step::Renew]).await;
    assert_eq!(told.names(), ["renewed asked"], "what was asked for counts");
}

pub(super) async fn o2_revocations_are_told_apart(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let mut browser = world.stranger();
        let response = browser.post([login("ada"), insert("a", 1), Step::Save]).await;
        assert_eq!(response.status, 200);
        let response = browser.post([Step::Id]).await;
        ids.push(response.outcome(0).as_str().unwrap().parse().unwrap());
    }
    told.take();
    let (ada, manager) = (owner("ada"), world.manager());
    assert!(manager.revoke(&ids[0]).await.unwrap());
    assert!(!manager.revoke(&ids[0]).await.unwrap());
    assert!(manager.revoke_of(&ada, &ids[1]).await.unwrap());
    assert!(!manager.revoke_of(&owner("bob"), &ids[2]).await.unwrap());
    assert_eq!(manager.revoke_owner(&ada, Some(&ids[3])).await.unwrap(), 1);
    let events = told.take();
    let whys: Vec<_> = events.iter().map(|event| event.kind.why()).collect();
    assert_eq!(whys, ["id", "owned", "owner"]);
    for (event, id) in events.iter().zip(ids) {
        assert_eq!(event.kind.name(), "revoked");
        assert_eq!((event.session, event.address), (Some(id), None));
    }
    assert_eq!(events[0].owner, None, "whose it was is not looked up");
    assert_eq!(events[1].owner, Some(ada));
}

pub(super) async fn o3_what_a_login_too_many_ends_is_told(harness: &dyn HttpHarness) {
    let choose = |config: SessionConfigBuilder| config.owner_sessions_max(1, EndOldest);
    let (told, world) = Told::of(harness, choose).await;
    world.member("ada").await;
    let (first, _) = world.record().await;
    told.take();
    let mut second = world.stranger();
    assert_eq!(second.post([login("ada")]).await.status, 200);
    let events = told.take();
    let names: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names, ["created", "logged_in", "revoked"]);
    let revoked = &events[2];
    assert_eq!((revoked.kind.why(), revoked.session), ("limit", Some(first)));
    assert_eq!((&revoked.owner, revoked.address), (&Some(owner("ada")), None));
    second.post([login("ada")]).await;
    assert_eq!(told.names(), ["logged_in"], "there was nothing to end");
}

pub(super) async fn o3_a_login_too_many_that_is_refused_is_told_once(harness: &dyn HttpHarness) {
    let choose = |config: SessionConfigBuilder| config.owner_sessions_max(1, Refuse);
    let (told, world) = Told::of(harness, choose).await;
    world.member("ada").await;
    told.take();
    let mut other = world.stranger();
    assert_eq!(other.post([login("ada")]).await.status, 409);
    let events = told.take();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].kind.name(), events[0].kind.why()), ("rejected", "owner_limit"));
    assert_eq!((events[0].session, events[0].address), (None, other.peer));

    // A login over another owner commits at a save.
    let mut bob = world.member("bob").await;
    told.take();
    let save = [attempt(Step::Save), attempt(Step::Save)];
    let steps = [vec![login("ada"), insert("hers", 1)], save.to_vec()].concat();
    assert_eq!(bob.post(steps).await.status, 409);
    assert_eq!(told.names(), ["rejected owner_limit"], "once for all of its saves");
}

pub(super) async fn o3_a_login_that_is_withdrawn_is_told_as_it_was(harness: &dyn HttpHarness) {
    let choose = |config: SessionConfigBuilder| config.owner_sessions_max(1, Refuse);
    let (told, world) = Told::of(harness, choose).await;
    let slow = world.visitor().await;
    let (id, _) = world.record().await;
    let store = world.spy.hold(Operation::Update);
    let running = slow.start_post([login("ada")]);
    store.reached_by(1).await;
    assert_eq!(world.stranger().post([login("ada")]).await.status, 200);
    told.take();
    store.open();
    assert_eq!(running.answer().await.status, 409);
    let events = told.take();
    let name = |event: &Event| format!("{} {}", event.kind.name(), event.kind.why());
    let names: Vec<_> = events.iter().map(name).collect();
    assert_eq!(names, ["logged_in ", "revoked limit", "rejected owner_limit"]);
    assert_eq!((events[0].session, events[1].session), (Some(id), Some(id)));
    assert_eq!(events[1].owner, Some(owner("ada")));
}

pub(super) async fn o3_a_login_that_is_withdrawn_leaves_no_dead_cookie(harness: &dyn HttpHarness) {
    for logout in [false, true] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
        // Who only begins a session has no cookie of another.
        let slow = match logout {
            true => world.visitor().await,
            false => world.stranger(),
        };
        let steps = [vec![Step::Logout; usize::from(logout)], vec![login("ada")]].concat();
        let create = world.spy.hold(Operation::Create);
        let running = slow.start_post(steps);
        create.reached_by(1).await;
        assert_eq!(world.stranger().post([login("ada")]).await.status, 200);
        create.open();
        let response = running.answer().await;
        assert_eq!(response.status, 409);
        let removed = response.set_cookie().map(|text| text.contains("; Max-Age=0;"));
        assert_eq!(removed, logout.then_some(true));
    }
}

pub(super) async fn o2_revoke_all_is_told_of_each_session(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, plain).await;
    world.member("ada").await;
    world.visitor().await;
    let mut ids: Vec<_> = world.records().await.into_iter().map(|(id, _)| id).collect();
    told.take();
    assert_eq!(world.manager().revoke_all().await.unwrap(), 2);
    let events = told.take();
    for event in &events {
        assert_eq!((event.kind.name(), event.kind.why()), ("revoked", "all"));
        assert_eq!((&event.owner, event.address), (&None, None));
    }
    let mut told_of: Vec<_> = events.iter().filter_map(|event| event.session).collect();
    ids.sort();
    told_of.sort();
    assert_eq!(told_of, ids);
}
