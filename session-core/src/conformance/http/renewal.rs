//! I7: a secret that is replaced by the passing of time.

use super::HttpHarness;
use super::browser::Browser;
use super::script::Step;
use super::world::{NONE, World, add, get, insert, login, wait};
use crate::config::OnOutage;
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use crate::http::Lifetime;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: u64 = 3_600;

async fn hourly(harness: &dyn HttpHarness) -> World<'_> {
    World::with(harness, |config| {
        config.renew_every(Duration::from_secs(HOUR))
    })
    .await
}

async fn seen(browser: &mut Browser) -> Value {
    browser.get([get("seen")]).await.outcome(0)
}

pub(super) async fn i7_a_due_renewal_is_one_write_at_the_next_request(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    let (old, (_, before)) = (visitor.token(), world.record().await);
    world.advance(HOUR - 1);
    seen(&mut visitor).await;
    assert_eq!(visitor.token(), old);
    world.spy.reset();
    world.advance(1);
    assert_eq!(seen(&mut visitor).await, 1);
    world.assert_calls(Counts {
        loads: 1,
        updates: 1,
        ..NONE
    });
    assert_ne!(visitor.token(), old);
    let (_, after) = world.record().await;
    assert_eq!(after.generation, before.generation, "handles stay bound");
}

pub(super) async fn i7_parallel_requests_renew_once(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let visitor = world.visitor().await;
    world.advance(HOUR);
    for (gate, steps) in [("read", vec![]), ("write", vec![insert("a", 1)])] {
        let steps = [vec![wait(gate), get("seen")], steps].concat();
        let first: Vec<_> = (0..5).map(|_| visitor.start_get(&*steps)).collect();
        world.release(gate, 5).await;
        let mut given = Vec::new();
        for running in first {
            let response = running.answer().await;
            assert_eq!((response.status, response.outcome(1)), (200, json!(1)));
            given.extend(response.set_cookie().map(str::to_owned));
        }
        assert_eq!(given.len(), 1, "one secret is given out: {given:?}");
        world.spy.reset();
        world.advance(HOUR);
    }
}

pub(super) async fn i7_who_finds_the_secret_replaced_keeps_its_changes(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let visitor = world.visitor().await;
    world.advance(HOUR);
    let one = visitor.start_post([insert("one", 1), wait("one")]);
    let two = visitor.start_post([insert("two", 2), wait("two")]);
    world.reached("one").await;
    world.release("two", 1).await;
    let two = two.answer().await;
    world.release("one", 1).await;
    let one = one.answer().await;
    assert_eq!((one.status, two.status), (200, 200));
    assert!(two.set_cookie().is_some());
    assert_eq!(one.set_cookie(), None, "it has nothing newer to give");
    let mut visitor = visitor;
    visitor.keep(&two);
    let response = visitor.get([get("one"), get("two")]).await;
    assert_eq!(response.body, "[1,2]");
}

pub(super) async fn i7_newer_data_bring_no_second_renewal(harness: &dyn HttpHarness) {
    for commit in [add("n"), Step::Reload] {
        let world = hourly(harness).await;
        let mut visitor = world.visitor().await;
        world.advance(HOUR);
        let slow = visitor.start_post([wait("go"), commit.clone(), insert("slow", 1)]);
        world.reached("go").await;
        seen(&mut visitor).await;
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (200, None), "{commit:?}");
        let response = visitor.get([get("slow")]).await;
        assert_eq!(response.outcome(0), 1, "the one given out is good");
    }
}

pub(super) async fn i7_an_outgrown_secret_is_not_sent_again(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    world.advance(HOUR);
    let slow = visitor.start_post([wait("go"), Step::Remember(86_400)]);
    world.reached("go").await;
    seen(&mut visitor).await;
    seen(&mut visitor).await;
    world.release("go", 1).await;
    visitor.keep(&slow.answer().await);
    world.advance(60);
    assert_eq!(seen(&mut visitor).await, 1);
}

pub(super) async fn i7_a_save_of_before_sends_no_outgrown_secret(harness: &dyn HttpHarness) {
    for (before, meanwhile) in [(HOUR, 0), (HOUR - 30, 60), (HOUR - 90, 100)] {
        let world = hourly(harness).await;
        let mut visitor = world.visitor().await;
        world.advance(before);
        let slow = visitor.start_post([Step::Remember(86_400), Step::Save, wait("go")]);
        world.reached("go").await;
        world.advance(meanwhile);
        seen(&mut visitor).await;
        assert_eq!(seen(&mut visitor).await, 1, "the new one is presented");
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (200, None), "{before}");
    }
}

pub(super) async fn i7_the_old_secret_is_good_until_the_new_one_comes(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    let mut old = visitor.clone();
    world.advance(HOUR);
    seen(&mut visitor).await;
    world.advance(HOUR / 2);
    let response = old.get([get("seen")]).await;
    assert_eq!((response.outcome(0), response.set_cookie()), (json!(1), None));
    assert_eq!(old.post([add("n")]).await.outcome(0), 1);

    assert_eq!(seen(&mut visitor).await, 1, "the new one is presented");
    world.advance(9);
    assert_eq!(seen(&mut old).await, 1, "for a grace both are good");
    assert_eq!(seen(&mut visitor).await, 1);
    world.advance(1);
    assert_eq!(seen(&mut old).await, Value::Null);
    assert_eq!(seen(&mut visitor).await, 1);
}

pub(super) async fn i7_presenting_the_new_secret_is_noted_once(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    world.advance(HOUR);
    seen(&mut visitor).await;
    world.spy.reset();
    seen(&mut visitor).await;
    world.assert_calls(Counts {
        loads: 1,
        updates: 1,
        ..NONE
    });
    seen(&mut visitor).await;
    world.assert_calls(Counts { loads: 1, ..NONE });
}

pub(super) async fn i7_a_lost_answer_costs_no_session(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let visitor = world.visitor().await;
    let mut lost = visitor.clone();
    world.advance(HOUR);
    seen(&mut lost).await;
    world.advance(HOUR);
    let mut lost_again = visitor.clone();
    seen(&mut lost_again).await;
    assert_ne!(lost_again.token(), visitor.token());
    assert_eq!(seen(&mut lost).await, Value::Null, "it was never received");
    world.advance(HOUR);
    let mut received = visitor.clone();
    assert_eq!(seen(&mut received).await, 1);
    assert_eq!(seen(&mut received).await, 1);
    world.advance(10);
    assert_eq!(seen(&mut visitor.clone()).await, Value::Null);
    assert_eq!(seen(&mut received).await, 1);
}

pub(super) async fn i7_a_renewal_that_was_not_received_is_not_confirmed(
    harness: &dyn HttpHarness,
) {
    for steps in [vec![], vec![insert("a", 1)], vec![add("n")], vec![Step::Reload]] {
        let world = hourly(harness).await;
        let mut visitor = world.visitor().await;
        world.advance(HOUR);
        // The second secret is given out, and next presented by two requests at once.
        seen(&mut visitor).await;
        world.advance(HOUR);
        let slow = visitor.start_post([vec![wait("go")], steps.clone()].concat());
        world.reached("go").await;
        let mut lost = visitor.clone();
        seen(&mut lost).await;
        assert_ne!(lost.token(), visitor.token(), "an answer that never arrives");
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (200, None), "{steps:?}");
        world.advance(60);
        assert_eq!(seen(&mut visitor).await, 1, "its secret is good still: {steps:?}");
    }
}

pub(super) async fn i7_open_handles_stay_bound(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    let slow = visitor.start_post([wait("go"), insert("slow", 1), add("n"), Step::Reload]);
    world.reached("go").await;
    world.advance(HOUR);
    seen(&mut visitor).await;
    seen(&mut visitor).await;
    world.advance(60);
    world.release("go", 1).await;
    let slow = slow.answer().await;
    assert_eq!((slow.status, slow.set_cookie()), (200, None));
    let response = visitor.get([get("slow"), get("n")]).await;
    assert_eq!(response.body, "[1,1]");
}

pub(super) async fn i7_login_has_none_of_this(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    let mut old = visitor.clone();
    world.advance(HOUR);
    visitor.post([Step::Login("ada".into())]).await;
    assert_eq!(seen(&mut old).await, Value::Null, "dead at once");
    assert_eq!(seen(&mut visitor).await, 1);
}

pub(super) async fn i7_a_login_under_the_old_secret_is_told_to_its_other_requests(
    harness: &dyn HttpHarness,
) {
    // The answer with the new secret never arrives, or it does.
    for received in [false, true] {
        let world = hourly(harness).await;
        let mut visitor = world.visitor().await;
        world.advance(HOUR);
        let mut renewed = visitor.clone();
        seen(&mut renewed).await;
        if received {
            visitor = renewed;
        }
        let mut other = visitor.clone();
        visitor.post([login("ada")]).await;
        let response = other.post([insert("a", 1)]).await;
        assert_eq!((response.status, response.set_cookie()), (409, None), "{received}");
        assert_eq!(seen(&mut visitor).await, 1);
    }
}

pub(super) async fn i7_a_renewal_that_cannot_be_written_is_as_a_touch(harness: &dyn HttpHarness) {
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    for (on_outage, status) in [(OnOutage::Continue, 200), (OnOutage::Fail, 503)] {
        let world = World::with(harness, |config| {
            let config = config.renew_every(Duration::from_secs(HOUR));
            config.on_touch_outage(on_outage)
        })
        .await;
        let mut visitor = world.visitor().await;
        let old = visitor.token();
        world.advance(HOUR);
        world.spy.always(Operation::Update, down.clone());
        let response = visitor.get([get("seen")]).await;
        assert_eq!((response.status, response.set_cookie()), (status, None));
        let response = visitor.post([insert("a", 1)]).await;
        assert_eq!((response.status, response.set_cookie()), (503, None));
        world.spy.heal();
        assert_eq!(seen(&mut visitor).await, 1);
        assert_ne!(visitor.token(), old);
    }
}

pub(super) async fn i7_a_due_renewal_of_what_has_ended_fails_no_reader(harness: &dyn HttpHarness) {
    for end in [Step::Logout, Step::Renew, login("ada")] {
        for (steps, status) in [(vec![], 200), (vec![insert("a", 1)], 409)] {
            let world = hourly(harness).await;
            let mut visitor = world.visitor().await;
            world.advance(HOUR);
            let slow = visitor.start_post([vec![get("seen"), wait("go")], steps].concat());
            world.reached("go").await;
            visitor.post([end.clone()]).await;
            world.release("go", 1).await;
            let slow = slow.answer().await;
            assert_eq!((slow.status, slow.set_cookie()), (status, None), "{end:?}");
        }
    }
}

pub(super) async fn i7_a_loser_sends_no_cookie(harness: &dyn HttpHarness) {
    for steps in [vec![], vec![insert("a", 1)], vec![add("n")], vec![Step::Remember(86_400)]] {
        // Its Max-Age would slide with each request.
        let life = Lifetime::Persistent(Duration::from_secs(86_400));
        let world = World::with(harness, |config| {
            config.lifetime(life).renew_every(Duration::from_secs(HOUR))
        })
        .await;
        let mut visitor = world.visitor().await;
        world.advance(HOUR);
        let slow = visitor.start_post([vec![wait("go")], steps.clone()].concat());
        world.reached("go").await;
        seen(&mut visitor).await;
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (200, None), "{steps:?}");
        assert_eq!(seen(&mut visitor).await, 1);
    }
}

pub(super) async fn i7_what_began_before_a_renewal_sends_no_cookie(harness: &dyn HttpHarness) {
    for steps in [vec![], vec![insert("a", 1)], vec![add("n")]] {
        let life = Lifetime::Persistent(Duration::from_secs(86_400));
        let world = World::with(harness, |config| {
            config.lifetime(life).renew_every(Duration::from_secs(HOUR))
        })
        .await;
        let mut visitor = world.visitor().await;
        world.advance(HOUR - 1);
        let slow = visitor.start_post([vec![wait("go")], steps.clone()].concat());
        world.reached("go").await;
        world.advance(1);
        seen(&mut visitor).await;
        seen(&mut visitor).await;
        world.advance(HOUR / 2);
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (200, None), "{steps:?}");
        assert_eq!(seen(&mut visitor).await, 1, "it holds the newest");
    }
}

pub(super) async fn i7_the_secret_presented_last_is_the_one_to_fall_back_on(
    harness: &dyn HttpHarness,
) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    let mut first = visitor.clone();
    world.advance(HOUR);
    seen(&mut visitor).await;
    world.advance(HOUR);
    // It presents the second secret for the first time; the answer with the third is lost.
    let mut lost = visitor.clone();
    assert_eq!(seen(&mut lost).await, 1);
    assert_ne!(lost.token(), visitor.token());
    assert_eq!(seen(&mut visitor).await, 1, "the client still holds the second");
    assert_eq!(seen(&mut first).await, Value::Null);
}

pub(super) async fn i7_a_loser_that_waited_its_turn_does_not_renew(harness: &dyn HttpHarness) {
    let world = hourly(harness).await;
    let mut visitor = world.visitor().await;
    world.advance(HOUR);
    let slow = visitor.start_post([wait("go"), add("n"), insert("slow", 1)]);
    world.reached("go").await;
    let held = world.spy.hold(Operation::Update);
    let first = visitor.start_get([]);
    held.reached_by(1).await;
    world.release("go", 1).await;
    // Let it come to the queue.
    tokio::task::yield_now().await;
    held.open();
    let (first, slow) = (first.answer().await, slow.answer().await);
    assert!(first.set_cookie().is_some());
    assert_eq!((slow.status, slow.set_cookie()), (200, None));
    visitor.keep(&first);
    assert_eq!(visitor.get([get("n"), get("slow")]).await.body, "[1,1]");
}
