//! C3 and C4: nothing comes back, and nobody waits for ever.

use super::HttpHarness;
use super::script::Step;
use super::world::{World, add, attempt, get, insert, login, wait};
use crate::config::OnGone;
use crate::conformance::{Fault, Operation};
use std::time::Duration;

/// Changes that a slow request may still hold when its session ends.
fn late_changes() -> Vec<Vec<Step>> {
    let update = Step::UpdateAdd("n".into());
    vec![
        vec![insert("late", 1)],
        vec![update, Step::CsrfToken, Step::Flash("late".into())],
        vec![add("n")],
        vec![Step::Reload],
        vec![attempt(Step::Reload), insert("late", 1), attempt(Step::Save)],
        vec![login("ada")],
        vec![Step::Renew, Step::Remember(60)],
        vec![],
    ]
}

pub(super) async fn c3_nothing_comes_back_after_a_logout(harness: &dyn HttpHarness) {
    for end in [Step::Logout, Step::Destroy] {
        for change in late_changes() {
            let world = World::new(harness).await;
            let node = world.node(|config| config).await;
            let mut member = world.member("ada").await;
            let steps = [vec![get("seen"), wait("go")], change.clone()].concat();
            let slow = [
                member.start_post(&*steps),
                member.start_get(&*steps),
                member.at(node.app.clone()).start_post(&*steps),
            ];
            world.probe.gate("go").reached_by(2).await;
            node.reached("go").await;
            world.advance(120);
            assert_eq!(member.post([end.clone()]).await.status, 200);
            assert!(member.jar.is_empty());
            world.release("go", 2).await;
            node.release("go", 1).await;
            let told = if change.is_empty() { 200 } else { 409 };
            // A handler that returns the error itself answers it whatever the method.
            // So is a login that did not happen.
            let returned = change == [add("n")]
                || change == [Step::Reload]
                || change.iter().any(|step| matches!(step, Step::Login(_)));
            let safe = if returned { 409 } else { 200 };
            for (running, expected) in slow.into_iter().zip([told, safe, told]) {
                let response = running.answer().await;
                assert_eq!(response.status, expected, "{change:?}: {response:?}");
                assert_eq!(response.set_cookie(), None, "{change:?}");
            }
            assert!(world.records().await.is_empty(), "{change:?} came back");
        }
    }
}

pub(super) async fn c3_nothing_comes_back_after_a_revocation(harness: &dyn HttpHarness) {
    for change in late_changes() {
        let world = World::new(harness).await;
        let member = world.member("ada").await;
        let steps = [vec![wait("go")], change.clone()].concat();
        let slow = member.start_post(steps);
        world.reached("go").await;
        let (id, _) = world.record().await;
        assert!(world.manager().revoke(&id).await.unwrap());
        world.release("go", 1).await;
        let response = slow.answer().await;
        let told = if change.is_empty() { 200 } else { 409 };
        assert_eq!((response.status, response.set_cookie()), (told, None));
        assert!(world.records().await.is_empty(), "{change:?} came back");
    }
}

pub(super) async fn c3_a_logout_that_loses_to_another_is_still_a_logout(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let member = world.member("ada").await;
    let steps = [wait("go"), Step::Logout];
    let both = [member.start_post(steps.clone()), member.start_post(steps)];
    world.release("go", 2).await;
    for running in both {
        let response = running.answer().await;
        assert_eq!(response.status, 200);
        let removal = response.set_cookie().expect("both remove the cookie");
        assert!(removal.contains("Max-Age=0"), "{removal}");
    }
    assert!(world.records().await.is_empty());
}

pub(super) async fn c3_what_becomes_of_lost_changes_is_configurable(harness: &dyn HttpHarness) {
    for (on_gone, post, get) in [
        (OnGone::ConflictIfUnsafe, 409, 200),
        (OnGone::Conflict, 409, 409),
        (OnGone::Ignore, 200, 200),
    ] {
        let world = World::with(harness, |config| config.on_gone(on_gone)).await;
        let mut visitor = world.visitor().await;
        let steps = [insert("a", 1), wait("go")];
        let methods = ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"];
        let slow = methods.map(|method| visitor.start(method, "/eager", steps.clone()));
        let gate = world.probe.gate("go");
        gate.reached_by(methods.len()).await;
        visitor.post([Step::Logout]).await;
        gate.open();
        for (running, method) in slow.into_iter().zip(methods) {
            let safe = matches!(method, "GET" | "OPTIONS");
            let expected = if safe { get } else { post };
            assert_eq!(running.answer().await.status, expected, "{method}");
        }
        assert!(world.records().await.is_empty());
    }
}

pub(super) async fn c3_a_login_by_another_tab_keeps_the_slow_one_out(harness: &dyn HttpHarness) {
    for owner in ["ada", "bob"] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let slow = member.start_post([
            insert("of", "the time before"),
            wait("go"),
            attempt(Step::Save),
            attempt(Step::Reload),
            attempt(add("n")),
        ]);
        world.reached("go").await;
        member.post([login(owner)]).await;
        let before = world.records().await;
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (409, None));
        assert_eq!(world.records().await, before);
        assert_eq!(member.get([Step::Owner]).await.outcome(0), owner);
    }
}

pub(super) async fn c4_endless_conflicts_end_as_an_error(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    for steps in [vec![insert("a", 1)], vec![add("n")]] {
        world.spy.always(Operation::Update, Fault::Conflict);
        let response = visitor.post(steps).await;
        assert_eq!(response.status, 503);
        assert_eq!(response.header("retry-after"), Some("1"));
        let counts = world.spy.counts();
        assert!((2..=1_000).contains(&counts.updates), "{counts:?}");
        world.spy.heal();
        world.spy.reset();
        assert_eq!(world.records().await, before);
    }
    let response = visitor.post([attempt(add("n"))]).await;
    assert_eq!(response.outcome(0), 1, "it works again");
}

pub(super) async fn c4_who_has_time_outlasts_any_number_of_conflicts(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config.store_timeout(Duration::from_secs(600))
    })
    .await;
    let visitor = world.visitor().await;
    world.spy.always(Operation::Update, Fault::Conflict);
    let running = visitor.start_post([add("n")]);
    while world.spy.counts().updates < 1_000 && !running.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.spy.heal();
    let response = running.answer().await;
    assert_eq!((response.status, response.outcome(0)), (200, 1.into()));
}

pub(super) async fn c4_the_deadline_covers_the_queue(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config.store_timeout(Duration::from_secs(2))
    })
    .await;
    let mut visitor = world.visitor().await;
    let steps = [wait("go"), attempt(add("n"))];
    let many: Vec<_> = (0..5).map(|_| visitor.start_post(steps.clone())).collect();
    world.probe.gate("go").reached_by(5).await;
    world.spy.always(Operation::Update, Fault::Hang);
    world.spy.always(Operation::Load, Fault::Hang);
    let begun = tokio::time::Instant::now();
    world.release("go", 5).await;
    for running in many {
        let response = running.answer().await;
        let error = response.outcome(1)["error"].clone();
        assert!(error == "Unavailable" || error == "Contended", "{error}");
    }
    // Tokio's clock is paused: this measures the deadlines, not the machine.
    let waited = begun.elapsed();
    assert!(waited < Duration::from_millis(2_100), "{waited:?}");
    world.spy.heal();
    assert_eq!(visitor.post([add("n")]).await.outcome(0), 1);
}

pub(super) async fn c4_within_a_process_savers_do_not_collide(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    world.spy.interleave();
    let many: Vec<_> = (0..20)
        .map(|_| visitor.start_post([wait("go"), add("n")]))
        .collect();
    world.release("go", 20).await;
    for running in many {
        assert_eq!(running.answer().await.status, 200);
    }
    let counts = world.spy.counts();
    assert_eq!((counts.updates, counts.loads), (20, 20), "no write was in vain");
}

pub(super) async fn c4_what_a_saver_leaves_to_the_next_shuts_no_newer_login_out(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let visitor = world.visitor().await;
    let stored = world.spy.hold_answer(Operation::Update);
    let slow = visitor.start_post([insert("a", 1)]);
    stored.reached_by(1).await;
    // Another node signs the visitor in while the answer of the first write is on its way.
    let mut there = visitor.at(node.app.clone());
    assert_eq!(there.post([login("ada")]).await.status, 200);
    let member = there.at(world.app.clone());
    let next = member.start_post([insert("b", 2)]);
    // Tokio's clock is paused: it moves when everybody waits.
    tokio::time::sleep(Duration::from_millis(1)).await;
    stored.open();
    assert_eq!(slow.answer().await.status, 200);
    assert_eq!(next.answer().await.status, 200);
    assert_eq!(world.data().await, r#"{"seen":1,"a":1,"b":2}"#);
}
