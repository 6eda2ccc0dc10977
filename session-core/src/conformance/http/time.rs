//! E1 to E5: when a session ends. The manager's clock is moved; nothing sleeps.

use std::time::Duration;

use super::HttpHarness;
use super::script::Step;
use super::world::{COOKIE, NONE, World, add, attempt, get, insert, login, wait};
use crate::config::{OnExpired, SessionConfigBuilder};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use crate::id::Token;
use serde_json::{Value, json};

const DAY: u64 = 24 * 60 * 60;

fn ten_minutes(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config.timeout(Duration::from_secs(600))
}

pub(super) async fn e1_timeout_is_inactivity(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let mut visitor = world.visitor().await;
    for _ in 0..10 {
        world.advance(599);
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    }
    world.advance(600);
    let response = visitor.get([get("seen")]).await;
    assert_eq!((response.status, response.outcome(0)), (200, Value::Null));
    assert_eq!(response.set_cookie(), None);
}

pub(super) async fn e1_absolute_timeout_counts_from_creation(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        ten_minutes(config).absolute_timeout(Duration::from_secs(1_000))
    })
    .await;
    let mut visitor = world.visitor().await;
    for change in [vec![], vec![Step::Renew], vec![insert("a", 1)]] {
        world.advance(333);
        let steps = [vec![get("seen")], change].concat();
        assert_eq!(visitor.post(steps).await.outcome(0), 1);
    }
    visitor.post([Step::SetTimeout(5 * DAY)]).await;
    world.advance(1);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), Value::Null);
}

pub(super) async fn e1_a_login_begins_the_absolute_timeout_anew(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        ten_minutes(config).absolute_timeout(Duration::from_secs(1_000))
    })
    .await;
    let mut visitor = world.visitor().await;
    // Whoever comes last may be the same user, who has shown the password again.
    for owner in ["ada", "ada", "bob"] {
        for seconds in [500, 499] {
            world.advance(seconds);
            assert_ne!(visitor.get([Step::Id]).await.outcome(0), Value::Null);
        }
        visitor.post([login(owner), insert("a", 1)]).await;
    }
    world.advance(500);
    assert_eq!(visitor.get([Step::Owner]).await.outcome(0), "bob");
    world.advance(500);
    assert_eq!(visitor.get([Step::Owner]).await.outcome(0), Value::Null);
}

pub(super) async fn e1_ignore_expiry_turns_both_off(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.ignore_expiry(true)).await;
    let mut visitor = world.visitor().await;
    world.advance(4_000 * DAY);
    assert_eq!(world.manager().sweep().await.unwrap(), 0);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
}

pub(super) async fn e1_a_session_has_a_timeout_of_its_own(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let (mut short, mut long) = (world.visitor().await, world.visitor().await);
    let mut fresh = world.stranger();
    short.post([Step::SetTimeout(60)]).await;
    fresh.post([insert("seen", 1), Step::SetTimeout(60)]).await;
    let response = long.post([Step::Remember(30 * DAY)]).await;
    assert!(response.set_cookie().unwrap().contains("; Max-Age=2592000;"));
    world.advance(60);
    for browser in [&mut short, &mut fresh] {
        assert_eq!(browser.get([get("seen")]).await.outcome(0), Value::Null);
    }
    world.advance(29 * DAY);
    long.post([insert("a", 1), login("ada")]).await;
    world.advance(29 * DAY);
    assert_eq!(long.get([get("a")]).await.outcome(0), 1, "it stays its own");
    world.advance(30 * DAY);
    assert_eq!(long.get([get("a")]).await.outcome(0), Value::Null);
}

fn twelve_hours(config: SessionConfigBuilder) -> SessionConfigBuilder {
    ten_minutes(config).absolute_timeout(Duration::from_secs(12 * 3_600))
}

pub(super) async fn e1_a_remembered_session_and_its_cookie_end_at_the_absolute_timeout(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, twelve_hours).await;
    let mut visitor = world.visitor().await;
    world.advance(60);
    let response = visitor.post([Step::Remember(30 * DAY)]).await;
    let left = 12 * 3_600 - 60;
    let cookie = response.set_cookie().unwrap();
    assert!(cookie.contains(&format!("; Max-Age={left};")), "{cookie}");
    world.advance(left - 1);
    let response = visitor.get([get("seen")]).await;
    assert_eq!(response.outcome(0), 1);
    let cookie = response.set_cookie().unwrap();
    assert!(cookie.contains("; Max-Age=1;"), "{cookie}");
    world.advance(1);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), Value::Null);
}

pub(super) async fn e1_ignore_expiry_ends_no_cookie_at_a_former_absolute_timeout(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, twelve_hours).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::Remember(30 * DAY)]).await;
    let never = world.node(|config| config.ignore_expiry(true)).await;
    let mut visitor = visitor.at(never.app.clone());
    for _ in 0..3 {
        world.advance(6 * 3_600);
        let response = visitor.get([get("seen")]).await;
        assert_eq!(response.outcome(0), 1);
        let cookie = response.set_cookie().unwrap();
        assert!(cookie.contains(&format!("; Max-Age={};", 30 * DAY)), "{cookie}");
    }
}

pub(super) async fn e1_remembered_sessions_can_have_an_absolute_timeout_of_their_own(
    harness: &dyn HttpHarness,
) {
    let both = |config: SessionConfigBuilder| {
        let config = ten_minutes(config).absolute_timeout(Duration::from_secs(1_000));
        config.remembered_absolute_timeout(Duration::from_secs(10 * DAY))
    };
    let world = World::with(harness, both).await;
    let (mut ordinary, mut remembered) = (world.visitor().await, world.visitor().await);
    let mut no_more = world.visitor().await;
    for browser in [&mut remembered, &mut no_more] {
        let response = browser.post([Step::Remember(30 * DAY)]).await;
        let cookie = response.set_cookie().unwrap();
        assert!(cookie.contains(&format!("; Max-Age={};", 10 * DAY)), "{cookie}");
    }
    no_more.post([Step::Forget]).await;
    for browser in [&mut ordinary, &mut no_more] {
        world.advance(1);
        assert_eq!(browser.get([get("seen")]).await.outcome(0), 1);
    }
    world.advance(500);
    ordinary.get([get("seen")]).await;
    no_more.get([get("seen")]).await;
    world.advance(498);
    for browser in [&mut ordinary, &mut no_more] {
        assert_eq!(browser.get([get("seen")]).await.outcome(0), Value::Null);
    }
    // Its use is noted twice: with that its limits stay as they are.
    assert_eq!(remembered.get([get("seen")]).await.outcome(0), 1);
    world.advance(10 * DAY - 1_001);
    assert_eq!(remembered.get([get("seen")]).await.outcome(0), 1);
    world.advance(1);
    assert_eq!(remembered.get([get("seen")]).await.outcome(0), Value::Null);
}

pub(super) async fn e2_an_expired_record_is_never_handed_out(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let mut visitor = world.visitor().await;
    let (id, before) = world.record().await;
    world.advance(600);
    assert_eq!(visitor.get([Step::Keys]).await.body, "[[]]");
    world.assert_calls(Counts { loads: 1, ..NONE });
    assert_eq!(world.record().await.1, before, "the sweep has not been here");
    let response = visitor.post([insert("new", 1)]).await;
    assert!(response.set_cookie().is_some());
    assert!(!visitor.token().starts_with(&id.to_string()), "a new id");
    let response = visitor.get([Step::Keys]).await;
    assert_eq!(response.body, r#"[["new"]]"#);
}

pub(super) async fn e2_what_expired_while_a_request_ran_is_not_written_back(
    harness: &dyn HttpHarness,
) {
    for (change, status) in [
        (insert("late", 1), 409),
        (add("n"), 409),
        (Step::Renew, 409),
        (login("ada"), 409),
        (Step::Reload, 409),
        (get("seen"), 200),
    ] {
        let world = World::with(harness, ten_minutes).await;
        let visitor = world.visitor().await;
        let slow = visitor.start_post([wait("go"), change.clone()]);
        world.reached("go").await;
        let before = world.records().await;
        world.advance(600);
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!(slow.status, status, "{change:?}");
        assert_eq!(slow.set_cookie(), None, "{change:?}");
        assert_eq!(world.records().await, before, "{change:?}");
    }
}

pub(super) async fn e2_a_session_that_was_given_less_time_meanwhile_is_not_revived(
    harness: &dyn HttpHarness,
) {
    for (shorten, lives) in [(true, Value::Null), (false, json!(1))] {
        let world = World::with(harness, ten_minutes).await;
        let mut visitor = world.visitor().await;
        let slow = visitor.start_get([get("seen"), wait("go")]);
        world.reached("go").await;
        if shorten {
            visitor.post([Step::SetTimeout(60)]).await;
        }
        world.advance(60);
        world.release("go", 1).await;
        assert_eq!(slow.answer().await.status, 200);
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), lives);
    }
}

pub(super) async fn e2_what_others_keep_alive_can_still_be_written(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let mut visitor = world.visitor().await;
    let slow = visitor.start_post([wait("go"), add("n"), insert("late", 1)]);
    world.reached("go").await;
    for _ in 0..3 {
        world.advance(500);
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    }
    world.release("go", 1).await;
    assert_eq!(slow.answer().await.status, 200);
    let response = visitor.get([get("n"), get("late")]).await;
    assert_eq!(response.body, "[1,1]");
}

pub(super) async fn e3_a_clock_that_steps_back_ends_nothing(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let mut visitor = world.visitor().await;
    let before = world.record().await.1;
    world.clock.step_back(Duration::from_secs(7 * DAY));
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    world.assert_calls(Counts { loads: 1, ..NONE });
    visitor.post([insert("a", 1), login("ada")]).await;
    let after = world.record().await.1;
    assert_eq!(after.accessed_at, before.accessed_at, "never back");
    assert_eq!(after.created_at, before.created_at);
    world.advance(7 * DAY + 599);
    assert_eq!(visitor.get([get("a")]).await.outcome(0), 1);
}

pub(super) async fn e4_the_sweep_waits_for_the_clock_skew(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        ten_minutes(config).clock_skew(Duration::from_secs(30))
    })
    .await;
    let mut visitor = world.visitor().await;
    let _other = world.visitor().await;
    world.advance(300);
    visitor.get([]).await;
    world.advance(329);
    assert_eq!(world.manager().sweep().await.unwrap(), 0);
    world.advance(1);
    assert_eq!(world.manager().sweep().await.unwrap(), 1);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
}

pub(super) async fn e4_the_sweeper_survives_a_store_error_and_stops(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let _visitor = world.visitor().await;
    world.advance(DAY);
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.always(Operation::Sweep, down);
    // Tokio's clock is paused: these sleeps advance it and take no time.
    let every = Duration::from_secs(60);
    let sweeper = world.manager().start_sweeper(every);
    tokio::time::sleep(3 * every).await;
    assert!(sweeper.failures() >= 2, "{}", sweeper.failures());
    assert_eq!(sweeper.removed(), 0);
    world.spy.heal();
    tokio::time::sleep(2 * every).await;
    assert_eq!(sweeper.removed(), 1);
    assert!(world.records().await.is_empty());
    sweeper.stop().await;
    world.spy.reset();
    tokio::time::sleep(5 * every).await;
    world.assert_calls(NONE);
}

fn strict(config: SessionConfigBuilder) -> SessionConfigBuilder {
    ten_minutes(config)
        .on_expired(OnExpired::Unauthorized)
        .expired_message("bitte neu anmelden")
}

pub(super) async fn e5_an_expired_session_can_be_401(harness: &dyn HttpHarness) {
    let world = World::with(harness, strict).await;
    let mut visitor = world.visitor().await;
    let expired = visitor.clone();
    world.advance(600);
    for path in ["/eager", "/lazy", "/careless", "/optional"] {
        let mut visitor = expired.clone();
        let response = visitor.call("GET", path, [Step::Keys]).await;
        assert_eq!(response.status, 401, "{path}");
        assert_eq!(response.body, "bitte neu anmelden");
        assert_eq!(
            response.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        let removal = response.set_cookie().unwrap();
        assert!(removal.starts_with("__Host-sid=; Max-Age=0;"), "{removal}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert!(visitor.jar.is_empty());
    }
    assert_eq!(visitor.call("GET", "/untouched", []).await.status, 200);
    assert_eq!(visitor.get([]).await.status, 401);
    assert_eq!(visitor.get([]).await.status, 200, "without the cookie: anew");
}

pub(super) async fn e5_a_token_without_a_live_record_counts_as_expired(harness: &dyn HttpHarness) {
    let world = World::with(harness, strict).await;
    let swept = Token::random().unwrap().expose(None);
    let mut browser = world.stranger().holding(COOKIE, &swept);
    let response = browser.get([]).await;
    assert_eq!(response.status, 401);
    assert!(browser.jar.is_empty(), "the 401 removes the cookie");
    let mut browser = world.stranger().holding(COOKIE, "malformed");
    assert_eq!(browser.get([]).await.status, 200, "no token of ours");
    assert_eq!(world.stranger().get([]).await.status, 200);

    let mut visitor = world.visitor().await;
    let mut stale = visitor.clone();
    visitor.post([Step::Renew]).await;
    let response = stale.get([Step::Keys]).await;
    let answer = (response.status, response.outcome(0), response.set_cookie());
    assert_eq!(answer, (200, json!([]), None), "superseded is not expired");
}

pub(super) async fn e1_an_own_timeout_outlives_ignore_expiry(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.ignore_expiry(true)).await;
    let strict = world.node(ten_minutes).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::SetTimeout(60)]).await;
    world.advance(DAY);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    let mut visitor = visitor.at(strict.app.clone());
    visitor.post([insert("a", 1)]).await;
    world.advance(59);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    world.advance(60);
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), Value::Null);
}

pub(super) async fn e1_a_new_absolute_timeout_reaches_every_session_that_is_written(harness: &dyn HttpHarness) {
    let world = World::with(harness, ten_minutes).await;
    let strict = world
        .node(|config| ten_minutes(config).absolute_timeout(Duration::from_secs(2_000)))
        .await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::SetTimeout(5 * DAY)]).await;
    world.advance(1_000);
    let mut visitor = visitor.at(strict.app.clone());
    visitor.post([insert("a", 1)]).await;
    world.advance(999);
    assert_eq!(visitor.get([get("a")]).await.outcome(0), 1);
    world.advance(1);
    assert_eq!(visitor.get([get("a")]).await.outcome(0), Value::Null);
}

pub(super) async fn e2_a_handle_that_outlives_its_request_revives_nothing(
    harness: &dyn HttpHarness,
) {
    for commit in [Step::Save, add("n")] {
        for kept_alive in [false, true] {
            let world = World::with(harness, ten_minutes).await;
            let mut visitor = world.visitor().await;
            let late = vec![insert("late", 1), attempt(commit.clone())];
            visitor.post([Step::After("stream".into(), late)]).await;
            world.advance(500);
            if kept_alive {
                visitor.get([]).await;
            }
            let before = world.records().await;
            world.advance(100);
            world.release("stream", 1).await;
            let outcome = world.probe.outcome("stream").await;
            assert_eq!(outcome.contains("Gone"), !kept_alive, "{outcome}");
            if kept_alive {
                assert_eq!(visitor.get([get("late")]).await.outcome(0), 1);
            } else {
                assert_eq!(world.records().await, before, "{commit:?}");
            }
        }
    }
}

pub(super) async fn t4_a_short_timeout_of_its_own_is_touched_in_time(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.touch_interval(Duration::from_secs(60))).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::SetTimeout(20)]).await;
    world.spy.reset();
    for _ in 0..10 {
        world.advance(15);
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    }
    world.assert_calls(Counts {
        loads: 10,
        touches: 10,
        ..NONE
    });
    world.advance(1);
    visitor.get([]).await;
    world.assert_calls(Counts { loads: 1, ..NONE });
}
