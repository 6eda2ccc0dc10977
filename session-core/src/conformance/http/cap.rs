//! The cap on sessions that one client address may begin.

use std::time::Duration;

use super::HttpHarness;
use super::browser::Browser;
use super::events::Told;
use super::message::Response;
use super::script::Step;
use super::world::{NONE, World, attempt, get, insert, login, wait};
use crate::config::SessionConfigBuilder;
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;

const MINUTE: Duration = Duration::from_secs(60);

/// One session a minute.
fn one(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config.creation_cap(1, MINUTE)
}

fn two(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config.creation_cap(2, MINUTE)
}

#[track_caller]
fn assert_refused(response: &Response, retry_after: &str) {
    assert_eq!(response.status, 429, "{response:?}");
    assert_eq!(response.header("retry-after"), Some(retry_after));
    let text = "text/plain; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(text));
    let body = "too many new sessions from this address, please try again later";
    assert_eq!(response.body, body);
    assert_eq!(response.set_cookie(), None);
}

/// Begins a session from this address, in a browser without cookies.
async fn begin(world: &World<'_>, peer: &str) -> Response {
    let mut browser = world.stranger();
    browser.peer = Some(peer.parse().unwrap());
    browser.post([insert("a", 1)]).await
}

const HOME: &str = "192.0.2.1";

pub(super) async fn what_is_over_the_cap_is_429_and_nothing_is_stored(harness: &dyn HttpHarness) {
    let world = World::with(harness, two).await;
    for _ in 0..2 {
        assert_eq!(begin(&world, HOME).await.status, 200);
    }
    world.spy.reset();
    for steps in [
        vec![insert("a", 1)],
        vec![insert("a", 1), Step::Save],
        vec![super::world::add("a")],
        vec![login("ada")],
        vec![Step::CsrfToken],
        vec![Step::Flash("hello".into())],
    ] {
        let response = world.stranger().post(steps).await;
        assert_refused(&response, "30");
    }
    world.assert_calls(NONE);
    assert_eq!(world.records().await.len(), 2);
    // The half minute that is said is true, to the second.
    world.advance(29);
    assert_refused(&begin(&world, HOME).await, "1");
    world.advance(1);
    assert_eq!(begin(&world, HOME).await.status, 200);
    assert_refused(&begin(&world, HOME).await, "30");
}

pub(super) async fn the_cap_counts_what_is_created_and_nothing_else(harness: &dyn HttpHarness) {
    let world = World::with(harness, two).await;
    let mut visitor = world.visitor().await;
    for _ in 0..5 {
        world.stranger().get([Step::Keys]).await;
        visitor.post([insert("a", 1), Step::Renew]).await;
        visitor.post([login("ada")]).await;
        let failed = [insert("a", 1), Step::Status(500)];
        world.stranger().post(failed).await;
        let failed = Step::TransactFail("a".into(), 1.into());
        world.stranger().post([failed]).await;
        let mut large = world.stranger();
        let large = large.post([Step::InsertBytes("big".into(), 2_000_000)]).await;
        assert_eq!(large.status, 413);
    }
    assert_eq!(begin(&world, HOME).await.status, 200, "the second one");
    assert_refused(&begin(&world, HOME).await, "30");
    let response = visitor.post([insert("b", 1)]).await;
    assert_eq!(response.status, 200, "who has a session goes on");
}

pub(super) async fn the_cap_of_one_address_is_not_anothers(harness: &dyn HttpHarness) {
    for (first, same, other) in [
        (HOME, "::ffff:192.0.2.1", "192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
    ] {
        let world = World::with(harness, one).await;
        assert_eq!(begin(&world, first).await.status, 200);
        assert_refused(&begin(&world, same).await, "60");
        assert_eq!(begin(&world, other).await.status, 200, "{other}");
    }
}

pub(super) async fn a_create_whose_logout_failed_gives_its_place_back(harness: &dyn HttpHarness) {
    let two = |config: SessionConfigBuilder| config.creation_cap(2, Duration::from_secs(60));
    let world = World::with(harness, two).await;
    let mut visitor = world.visitor().await;
    world.spy.once(Operation::Delete, Fault::Refuse(StoreErrorKind::Unavailable));
    let steps = [Step::Logout, insert("a", 1), attempt(Step::Save)];
    let response = visitor.post(steps).await;
    assert!(response.body.contains("Unavailable"), "{response:?}");
    // The end of the request deletes the old one, and begins the new one.
    assert_eq!(response.status, 200);
    assert_eq!(visitor.get([get("a"), get("seen")]).await.body, "[1,null]");
}

pub(super) async fn a_create_that_failed_gives_its_place_back(harness: &dyn HttpHarness) {
    let world = World::with(harness, one).await;
    for (kind, status) in [
        (StoreErrorKind::Full, 503),
        (StoreErrorKind::TooLarge, 413),
        (StoreErrorKind::Unavailable, 503),
    ] {
        world.spy.always(Operation::Create, Fault::Refuse(kind));
        for _ in 0..3 {
            assert_eq!(begin(&world, HOME).await.status, status);
        }
        world.spy.heal();
    }
    world.spy.once(Operation::Create, Fault::Conflict);
    world.spy.reset();
    let response = begin(&world, HOME).await;
    assert_eq!(response.status, 200, "an id that was taken: {response:?}");
    let (creates, loads) = (2, 1);
    world.assert_calls(Counts {
        creates,
        loads,
        ..NONE
    });
    assert_refused(&begin(&world, HOME).await, "60");

    world.advance(60);
    world.spy.once(Operation::Create, Fault::LoseAnswer);
    assert_eq!(begin(&world, HOME).await.status, 200, "a look has shown it");
    assert_eq!(begin(&world, HOME).await.status, 429, "it counts");
}

pub(super) async fn a_client_that_goes_away_keeps_its_place(harness: &dyn HttpHarness) {
    let world = World::with(harness, one).await;
    let gate = world.spy.hold_answer(Operation::Create);
    let gone = world.stranger().start_post([insert("a", 1)]);
    gate.reached_by(1).await;
    gone.disconnect().await;
    assert_eq!(world.records().await.len(), 1, "it was stored");
    assert_refused(&begin(&world, HOME).await, "60");
}

pub(super) async fn a_refusal_by_the_cap_is_told_once(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, one).await;
    world.visitor().await;
    told.take();
    let mut stranger = world.stranger();
    let save = [attempt(Step::Save), attempt(Step::Save)];
    let steps = [vec![insert("a", 1)], save.to_vec()].concat();
    assert_refused(&stranger.post(steps.clone()).await, "60");
    let events = told.take();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    let kind = (event.kind.name(), event.kind.why());
    assert_eq!(kind, ("rejected", "creation_cap"));
    assert_eq!((event.session, event.address), (None, stranger.peer));

    // A handler may go on without.
    let response = stranger.post([steps, vec![Step::Revert]].concat()).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.outcome(1)["error"], "CreationCap");
    assert_eq!(told.names(), ["rejected creation_cap"]);
}

pub(super) async fn t6_a_logout_over_the_cap_is_still_a_logout(harness: &dyn HttpHarness) {
    let world = World::with(harness, one).await;
    let mut member = world.member("ada").await;
    let response = member.post([Step::Logout, insert("a", 1)]).await;
    assert_eq!(response.status, 429, "{response:?}");
    let removed = response.set_cookie().unwrap();
    assert!(removed.contains("Max-Age=0"), "{removed}");
    assert!(world.records().await.is_empty());
}

pub(super) async fn a1_what_cannot_be_counted_does_not_begin(harness: &dyn HttpHarness) {
    let world = World::with(harness, two).await;
    let mut visitor = world.visitor().await;
    let mut nowhere = world.stranger();
    nowhere.peer = None;
    for steps in [
        vec![insert("a", 1)],
        vec![insert("a", 1), Step::Save],
        vec![login("ada")],
    ] {
        let response = nowhere.post(steps.clone()).await;
        assert_eq!(response.status, 500, "{steps:?}: {response:?}");
        assert_eq!(response.set_cookie(), None);
    }
    let response = nowhere.post([insert("a", 1), attempt(Step::Save), Step::Revert]).await;
    assert_eq!(response.outcome(1)["error"], "Invalid");
    assert_eq!(world.records().await.len(), 1);
    visitor.peer = None;
    let response = visitor.post([insert("b", 1)]).await;
    assert_eq!(response.status, 200, "who has a session goes on");
}

pub(super) async fn a2_behind_a_proxy_the_cap_is_the_clients(harness: &dyn HttpHarness) {
    let nets = ["10.0.0.0/8".parse().unwrap()];
    let world = World::with(harness, |config| one(config).trusted_proxies(nets)).await;
    let through = |proxy: &str, client: &str| -> Browser {
        let mut browser = world.stranger();
        browser.peer = Some(proxy.parse().unwrap());
        browser.headers = vec![("x-forwarded-for".into(), client.into())];
        browser
    };
    for (proxy, client, status) in [
        ("10.0.0.1", "203.0.113.7", 200),
        ("10.0.0.1", "203.0.113.8", 200),
        ("10.0.0.2", "203.0.113.7", 429),
        ("10.0.0.1", "6.6.6.6, 203.0.113.8", 429),
    ] {
        let response = through(proxy, client).post([insert("a", 1)]).await;
        assert_eq!(response.status, status, "{proxy} {client}");
    }
}

pub(super) async fn e3_a_clock_that_steps_back_shuts_nobody_out(harness: &dyn HttpHarness) {
    let world = World::with(harness, one).await;
    assert_eq!(begin(&world, HOME).await.status, 200);
    world.clock.step_back(Duration::from_secs(24 * 3_600));
    assert_refused(&begin(&world, HOME).await, "60");
    world.advance(60);
    let slow = world.stranger().start_post([insert("a", 1), wait("go")]);
    world.release("go", 1).await;
    assert_eq!(slow.answer().await.status, 200, "a minute is a minute");
}
