//! C5: a write whose answer was lost counts once.

use super::HttpHarness;
use super::script::Step;
use super::world::{NONE, World, add, attempt, get, insert, wait};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use serde_json::{Value, json};

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);

/// Lets a request go on at "begin" and save, which stays in doubt; it waits at "healed", as the
/// store is.
pub(super) async fn in_doubt(world: &World<'_>, write: Operation, fault: Fault) {
    world.reached("begin").await;
    world.spy.once(write, fault);
    world.spy.always(Operation::Load, DOWN);
    world.release("begin", 1).await;
    world.reached("healed").await;
    world.spy.heal();
}

pub(super) async fn c5_an_update_whose_answer_is_lost_counts_once(harness: &dyn HttpHarness) {
    for fault in [Fault::LoseAnswer, Fault::BreakAnswer] {
        for steps in [vec![add("n")], vec![Step::UpdateAdd("n".into())]] {
            let world = World::new(harness).await;
            let mut visitor = world.visitor().await;
            world.spy.once(Operation::Update, fault.clone());
            assert_eq!(visitor.post(steps).await.status, 200, "{fault:?}");
            world.assert_calls(Counts {
                loads: 2,
                updates: 1,
                ..NONE
            });
            assert_eq!(world.data().await, r#"{"seen":1,"n":1}"#);
        }
    }
}

pub(super) async fn c5_a_create_whose_answer_is_lost_makes_one_session(harness: &dyn HttpHarness) {
    for fault in [Fault::LoseAnswer, Fault::BreakAnswer] {
        let world = World::new(harness).await;
        let mut browser = world.stranger();
        world.spy.once(Operation::Create, fault);
        let response = browser.post([add("n")]).await;
        assert_eq!((response.status, response.outcome(0)), (200, json!(1)));
        world.assert_calls(Counts {
            creates: 1,
            loads: 1,
            ..NONE
        });
        assert_eq!(browser.get([get("n")]).await.outcome(0), 1);
        assert_eq!(world.data().await, r#"{"n":1}"#);
    }
}

pub(super) async fn c5_a_login_whose_answer_is_lost_gives_its_cookie(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    world.spy.once(Operation::Update, Fault::LoseAnswer);
    let response = visitor.post([Step::Login("ada".into())]).await;
    assert_eq!(response.status, 200);
    assert_eq!(visitor.get([Step::Owner]).await.outcome(0), "ada");
}

pub(super) async fn c5_a_logout_whose_answer_is_lost_is_done(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    world.spy.once(Operation::Delete, Fault::LoseAnswer);
    let response = visitor.post([Step::Logout]).await;
    assert_eq!(response.status, 200);
    assert!(visitor.jar.is_empty());
    world.assert_calls(Counts {
        loads: 2,
        deletes: 1,
        ..NONE
    });
}

pub(super) async fn c5_what_is_still_unknown_is_503_and_never_repeated(harness: &dyn HttpHarness) {
    for fault in [Fault::LoseAnswer, Fault::BreakAnswer, Fault::Hang, DOWN] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let running = visitor.start_post([wait("go"), add("n")]);
        world.reached("go").await;
        world.spy.always(Operation::Update, fault.clone());
        world.spy.always(Operation::Load, DOWN);
        world.release("go", 1).await;
        let response = running.answer().await;
        assert_eq!(response.status, 503, "{fault:?}");
        assert_eq!(response.header("retry-after"), Some("1"));
        world.assert_calls(Counts {
            loads: 2,
            updates: 1,
            ..NONE
        });
        world.spy.heal();
        let n = visitor.get([get("n")]).await.outcome(0);
        let applied = matches!(fault, Fault::LoseAnswer | Fault::BreakAnswer);
        let expected = if applied { json!(1) } else { Value::Null };
        assert_eq!(n, expected, "{fault:?}");
    }
}

pub(super) async fn c5_after_a_503_nothing_is_written_late(harness: &dyn HttpHarness) {
    for steps in [
        vec![Step::UpdateAdd("n".into()), Step::Save],
        vec![Step::UpdateAdd("n".into()), add("m")],
    ] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let running = visitor.start_post([vec![wait("go")], steps].concat());
        world.reached("go").await;
        // The store is back by the time the response is made.
        world.spy.once(Operation::Update, DOWN);
        world.spy.once(Operation::Load, DOWN);
        world.release("go", 1).await;
        assert_eq!(running.answer().await.status, 503);
        assert_eq!(world.data().await, r#"{"seen":1}"#, "a retry would count twice");
        assert_eq!(visitor.post([add("n")]).await.outcome(0), 1);
    }
}

pub(super) async fn c5_saving_again_on_the_same_handle_does_not_count_twice(
    harness: &dyn HttpHarness,
) {
    for fault in [Fault::LoseAnswer, Fault::BreakAnswer, Fault::Hang, DOWN] {
        for create in [false, true] {
            let world = World::new(harness).await;
            let mut browser = if create {
                world.stranger()
            } else {
                world.visitor().await
            };
            let running = browser.start_post([
                wait("begin"),
                Step::UpdateAdd("n".into()),
                attempt(Step::Save),
                wait("healed"),
                Step::UpdateAdd("n".into()),
                Step::Save,
                get("n"),
            ]);
            let write = if create {
                Operation::Create
            } else {
                Operation::Update
            };
            in_doubt(&world, write, fault.clone()).await;
            world.release("healed", 1).await;
            let response = running.answer().await;
            assert_eq!(response.status, 200, "{fault:?} {response:?}");
            assert_eq!(response.outcome(2)["error"], "Unavailable");
            assert_eq!(response.outcome(6), 2);
            browser.keep(&response);
            assert_eq!(browser.get([get("n")]).await.outcome(0), 2, "{fault:?}");
            assert_eq!(world.records().await.len(), 1);
        }
    }
}

pub(super) async fn c5_a_doubt_that_others_wrote_over_stays_an_error(harness: &dyn HttpHarness) {
    // A reload brings the others' record; what it was written over is no better known.
    for then in [vec![Step::Save], vec![Step::Reload, Step::Save], vec![Step::Reload]] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let steps = [
            wait("begin"),
            Step::UpdateAdd("n".into()),
            attempt(Step::Save),
            wait("healed"),
        ];
        let running = visitor.start_post([&steps[..], &then].concat());
        in_doubt(&world, Operation::Update, Fault::BreakAnswer).await;
        visitor.post([insert("other", 1)]).await;
        world.release("healed", 1).await;
        let response = running.answer().await;
        assert_eq!(response.status, 503, "what became of it cannot be known: {then:?}");
        let response = visitor.get([get("n"), get("other")]).await;
        assert_eq!(response.body, "[1,1]", "{then:?}");
    }
}

pub(super) async fn c5_limits_asked_for_over_a_doubt_are_kept(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let running = visitor.start_post([
        wait("begin"),
        insert("n", 1),
        attempt(Step::Save),
        wait("healed"),
        Step::Remember(86_400),
    ]);
    in_doubt(&world, Operation::Update, Fault::BreakAnswer).await;
    world.release("healed", 1).await;
    let response = running.answer().await;
    assert_eq!(response.status, 200);
    let cookie = response.set_cookie().expect("a cookie that stays");
    assert!(cookie.contains("Max-Age=86400"), "{cookie}");
    let (_, record) = world.record().await;
    assert_eq!(record.data.as_str(), r#"{"seen":1,"n":1}"#);
    assert!(record.persistent);
    visitor.keep(&response);
    assert_eq!(visitor.get([get("n")]).await.outcome(0), 1);
}
