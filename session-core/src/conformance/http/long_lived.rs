//! T7: what outlives its response is told when its session ends, and can keep it alive.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::HttpHarness;
use super::browser::Browser;
use super::script::Step;
use super::world::{NONE, World, attempt, insert, login, owner, wait};
use crate::OnTooMany::EndOldest;
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);
const DAY: u64 = 24 * 60 * 60;

/// Leaves a handler behind that does these steps, and lets it begin.
pub(super) async fn leave(world: &World<'_>, browser: &mut Browser, name: &str, steps: Vec<Step>) {
    let response = browser.get([Step::After(name.to_owned(), steps)]).await;
    assert_eq!(response.status, 200);
    world.spy.reset();
    world.release(name, 1).await;
}

/// Waits until the store was asked for so many loads.
pub(super) async fn looked(world: &World<'_>, times: u64) {
    while world.spy.counts().loads < times {
        tokio::task::yield_now().await;
    }
    // The load is under way; what follows it needs no other task.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Tokio's clock stands still as long as anything can be done.
pub(super) async fn at_once(world: &World<'_>, name: &str, began: Instant) {
    assert_eq!(world.probe.outcome(name).await, "[null]", "{name}");
    assert_eq!(Instant::now(), began, "{name}: told, and not found at the next look");
}

pub(super) async fn t7_an_end_in_this_process_is_told_at_once(harness: &dyn HttpHarness) {
    let ways = ["revoke", "revoke_of", "revoke_owner", "revoke_all", "limit"];
    let requests = [Step::Logout, Step::Destroy, Step::Renew, login("ada"), login("bob")];
    let named: Vec<_> = requests.iter().map(|step| format!("{step:?}")).collect();
    for way in ways.into_iter().chain(named.iter().map(|name| &**name)) {
        let world = World::with(harness, |config| config.owner_sessions_max(1, EndOldest)).await;
        let mut member = world.member("ada").await;
        let (id, _) = world.record().await;
        leave(&world, &mut member, way, vec![Step::Ended(3_600)]).await;
        looked(&world, 1).await;
        let (began, manager, ada) = (Instant::now(), world.manager(), owner("ada"));
        match way {
            "revoke" => assert!(manager.revoke(&id).await.unwrap()),
            "revoke_of" => assert!(manager.revoke_of(&ada, &id).await.unwrap()),
            "revoke_owner" => assert_eq!(manager.revoke_owner(&ada, None).await.unwrap(), 1),
            "revoke_all" => assert_eq!(manager.revoke_all().await.unwrap(), 1),
            "limit" => assert_eq!(world.stranger().post([login("ada")]).await.status, 200),
            request => {
                let at = named.iter().position(|name| name == request).unwrap();
                assert_eq!(member.post([requests[at].clone()]).await.status, 200);
            }
        }
        at_once(&world, way, began).await;
    }
}

pub(super) async fn t7_an_end_after_the_head_is_carried_out_by_who_waits_for_it(
    harness: &dyn HttpHarness,
) {
    for end in [Step::Logout, Step::Destroy] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let ends = Step::After("ends".into(), vec![end]);
        let waits = Step::After("waits".into(), vec![Step::Ended(3_600)]);
        member.get([ends, waits]).await;
        world.spy.reset();
        world.release("waits", 1).await;
        looked(&world, 1).await;
        let began = Instant::now();
        world.release("ends", 1).await;
        at_once(&world, "waits", began).await;
        assert!(world.records().await.is_empty());
    }
}

pub(super) async fn t7_who_ends_what_another_has_renewed_is_told_that_it_is_over(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let late = vec![Step::Logout, Step::Ended(60), Step::Ended(60)];
    member.get([Step::After("socket".into(), late)]).await;
    member.post([Step::Renew]).await;
    world.release("socket", 1).await;
    assert_eq!(world.probe.outcome("socket").await, "[null,null,null]");
    assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
}

pub(super) async fn f1_a_logout_that_failed_is_no_end_to_wait_for(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let member = world.member("ada").await;
    let waits = Step::After("waits".into(), vec![Step::Ended(3_600)]);
    let running = member.start_post([waits, Step::Logout, wait("go")]);
    world.reached("go").await;
    world.spy.reset();
    world.release("waits", 1).await;
    looked(&world, 1).await;
    world.spy.once(Operation::Delete, Fault::Refuse(StoreErrorKind::Unavailable));
    world.release("go", 1).await;
    assert_eq!(running.answer().await.status, 503);
    let waiting = timeout(Duration::from_secs(60), world.probe.outcome("waits"));
    assert!(waiting.await.is_err(), "it has not ended");
    let (id, _) = world.record().await;
    assert!(world.manager().revoke(&id).await.unwrap());
    assert_eq!(world.probe.outcome("waits").await, "[null]");
}

pub(super) async fn t7_an_end_elsewhere_is_found_at_the_next_look(harness: &dyn HttpHarness) {
    for change in [None, Some(Step::Logout), Some(Step::Renew), Some(login("ada"))] {
        let world = World::new(harness).await;
        let node = world.node(|config| config).await;
        let mut member = world.member("ada").await;
        let (id, _) = world.record().await;
        leave(&world, &mut member, "socket", vec![Step::Ended(5)]).await;
        looked(&world, 1).await;
        let began = Instant::now();
        match change {
            None => assert!(node.manager().revoke(&id).await.unwrap()),
            Some(change) => {
                let mut there = member.at(node.app.clone());
                assert_eq!(there.post([change]).await.status, 200);
            }
        }
        assert_eq!(world.probe.outcome("socket").await, "[null]");
        let waited = began.elapsed();
        assert!(waited >= Duration::from_secs(4) && waited <= Duration::from_secs(6), "{waited:?}");
    }
}

pub(super) async fn t7_an_expired_session_has_ended(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let weeks = 14 * DAY;
    leave(&world, &mut visitor, "socket", vec![Step::Ended(weeks)]).await;
    looked(&world, 1).await;
    let began = Instant::now();
    world.advance(DAY - 1);
    visitor.get([]).await;
    world.advance(DAY - 1);
    // Another request has kept it alive, which the look at its end finds.
    assert!(timeout(Duration::from_secs(DAY + 1), world.probe.outcome("socket")).await.is_err());
    world.advance(1);
    assert_eq!(world.probe.outcome("socket").await, "[null]");
    assert!(began.elapsed() < Duration::from_secs(2 * DAY), "it is looked for when it is due");
}

pub(super) async fn t7_looking_extends_no_life(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    leave(&world, &mut visitor, "socket", vec![Step::Ended(10)]).await;
    world.advance(DAY / 2);
    assert!(timeout(Duration::from_secs(120), world.probe.outcome("socket")).await.is_err());
    let counts = world.spy.counts();
    assert!((10..=16).contains(&counts.loads), "{counts:?}");
    assert_eq!(Counts { loads: 0, ..counts }, NONE);
    assert_eq!(world.records().await, before);
}

pub(super) async fn t7_a_look_that_fails_is_an_error(harness: &dyn HttpHarness) {
    for fault in [DOWN, Fault::Hang] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let (id, _) = world.record().await;
        let steps = vec![attempt(Step::Ended(5)), wait("again"), Step::Ended(5)];
        visitor.get([Step::After("socket".into(), steps)]).await;
        world.spy.always(Operation::Load, fault.clone());
        world.release("socket", 1).await;
        world.reached("again").await;
        world.spy.heal();
        world.release("again", 1).await;
        let outcome = world.probe.outcome("socket");
        assert!(timeout(Duration::from_secs(60), outcome).await.is_err());
        world.manager().revoke(&id).await.unwrap();
        let outcome = world.probe.outcome("socket").await;
        assert!(outcome.starts_with(r#"[{"error":"Unavailable""#), "{fault:?}: {outcome}");
        assert!(outcome.ends_with(",null,null]"), "{outcome}");
    }
}

pub(super) async fn t7_a_handles_own_login_does_not_end_it(harness: &dyn HttpHarness) {
    for change in [login("ada"), Step::Renew] {
        let world = World::new(harness).await;
        let visitor = world.visitor().await;
        let socket = Step::After("socket".into(), vec![Step::Ended(1)]);
        let running = visitor.start_post([socket, wait("go"), change]);
        world.release("socket", 1).await;
        looked(&world, 2).await;
        // A look meets a login that is written and not yet answered.
        let store = world.spy.hold_answer(Operation::Update);
        world.release("go", 1).await;
        store.reached_by(1).await;
        let outcome = world.probe.outcome("socket");
        assert!(timeout(Duration::from_millis(1_300), outcome).await.is_err());
        store.open();
        assert_eq!(running.answer().await.status, 200);
        let outcome = world.probe.outcome("socket");
        assert!(timeout(Duration::from_secs(60), outcome).await.is_err());
        let (id, _) = world.record().await;
        world.manager().revoke(&id).await.unwrap();
        assert_eq!(world.probe.outcome("socket").await, "[null]");
    }
}

pub(super) async fn t7_a_write_in_doubt_hides_no_end(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let steps = vec![insert("a", 2), attempt(Step::Save), wait("asked"), Step::Ended(60)];
    visitor.get([Step::After("socket".into(), steps)]).await;
    world.spy.once(Operation::Update, Fault::BreakAnswer);
    world.spy.once(Operation::Load, DOWN);
    world.release("socket", 1).await;
    world.reached("asked").await;
    world.advance(DAY);
    world.release("asked", 1).await;
    let outcome = timeout(Duration::from_secs(60), world.probe.outcome("socket")).await;
    let outcome = outcome.expect("what is stored is the handle's own write, and it has expired");
    assert!(outcome.starts_with(r#"[null,{"error":"Unavailable""#), "{outcome}");
    assert!(outcome.ends_with(",null,null]"), "{outcome}");
}

pub(super) async fn t7_a_logout_taken_back_ends_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let socket = Step::After("socket".into(), vec![Step::Ended(5)]);
    let response = visitor.post([socket, Step::Logout, Step::Status(500)]).await;
    assert_eq!(response.status, 500);
    world.release("socket", 1).await;
    assert!(timeout(Duration::from_secs(60), world.probe.outcome("socket")).await.is_err());
    visitor.post([Step::Logout]).await;
    assert_eq!(world.probe.outcome("socket").await, "[null]");
}

pub(super) async fn t7_what_has_not_begun_is_waited_for_until_the_head(harness: &dyn HttpHarness) {
    for begins in [true, false] {
        let world = World::new(harness).await;
        let mut browser = world.stranger();
        let mut steps = vec![Step::After("socket".into(), vec![Step::Ended(5)]), wait("go")];
        steps.extend(begins.then(|| insert("a", 1)));
        let running = browser.start_post(steps);
        world.release("socket", 1).await;
        assert!(timeout(Duration::from_secs(60), world.probe.outcome("socket")).await.is_err());
        world.release("go", 1).await;
        browser.keep(&running.answer().await);
        if begins {
            assert!(timeout(Duration::from_secs(60), world.probe.outcome("socket")).await.is_err());
            browser.post([Step::Logout]).await;
        }
        assert_eq!(world.probe.outcome("socket").await, "[null]", "{begins}");
    }
}

pub(super) async fn t7_a_touch_keeps_the_session_of_an_open_socket_alive(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let touches = |n: usize| vec![Step::Touch; n];
    leave(&world, &mut visitor, "early", touches(3)).await;
    assert_eq!(world.probe.outcome("early").await, "[null,null,null]");
    world.assert_calls(NONE);
    world.advance(DAY - 1);
    visitor.get([Step::After("first".into(), touches(3)), Step::KeepExpiry]).await;
    world.spy.reset();
    world.release("first", 1).await;
    assert_eq!(world.probe.outcome("first").await, "[null,null,null]");
    world.assert_calls(Counts { loads: 1, touches: 1, ..NONE });
    assert_eq!(world.record().await.1.accessed_at, world.manager().now());
    world.advance(DAY - 1);
    assert_eq!(visitor.get([Step::Get("seen".into())]).await.body, "[1]");
    // Another request has touched it meanwhile.
    world.advance(100);
    let twice = vec![wait("others"), Step::Touch, Step::Touch];
    visitor.get([Step::KeepExpiry, Step::After("second".into(), twice)]).await;
    world.release("second", 1).await;
    visitor.get([]).await;
    world.spy.reset();
    world.release("others", 1).await;
    assert_eq!(world.probe.outcome("second").await, "[null,null,null]");
    world.assert_calls(Counts { loads: 1, ..NONE });
}

pub(super) async fn t7_a_touch_brings_nothing_back(harness: &dyn HttpHarness) {
    let touch = || vec![attempt(Step::Touch)];
    for change in [Step::Logout, Step::Renew, login("ada")] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        visitor.get([Step::After("socket".into(), touch())]).await;
        world.advance(100);
        visitor.post([change.clone()]).await;
        let before = world.records().await;
        world.release("socket", 1).await;
        let outcome = world.probe.outcome("socket").await;
        assert!(outcome.starts_with(r#"[{"error":"Gone""#), "{change:?}: {outcome}");
        assert_eq!(world.records().await, before);
    }
    for shortened in [false, true] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        leave(&world, &mut visitor, "wait", vec![]).await;
        visitor.get([Step::After("socket".into(), touch())]).await;
        if shortened {
            // The handle does not know that the session has become a short one.
            visitor.post([Step::SetTimeout(60)]).await;
            world.advance(61);
        } else {
            world.advance(DAY);
        }
        let before = world.records().await;
        world.release("socket", 1).await;
        let outcome = world.probe.outcome("socket").await;
        assert!(outcome.starts_with(r#"[{"error":"Gone""#), "{outcome}");
        assert_eq!(world.records().await, before, "{shortened}");
    }
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    leave(&world, &mut visitor, "none", vec![]).await;
    visitor.get([Step::After("socket".into(), touch())]).await;
    world.advance(100);
    world.spy.always(Operation::Touch, DOWN);
    world.release("socket", 1).await;
    let outcome = world.probe.outcome("socket").await;
    assert!(outcome.starts_with(r#"[{"error":"Unavailable""#), "{outcome}");
}
