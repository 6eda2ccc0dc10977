//! T1 to T5: when a store is touched, in whole counts of calls.

use super::HttpHarness;
use super::browser::Browser;
use super::script::Step;
use super::world::{COOKIE, NONE, World, add, attempt, get, insert, login, wait};
use crate::config::OnOutage;
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use crate::expiry::Expiry;
use crate::id::Token;
use crate::plan::Write;
use serde_json::json;
use std::time::Duration;

pub(super) async fn t1_no_cookie_and_nothing_stored_touches_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut stranger = world.stranger();
    for path in ["/eager", "/lazy", "/optional", "/twice"] {
        for steps in [
            vec![get("a"), Step::Keys, Step::TakeFlashes],
            vec![Step::Remove("a".into()), Step::Clear, Step::Save],
            vec![Step::Renew, Step::SetTimeout(60), Step::Remember(60)],
            vec![Step::Logout],
            vec![insert("a", 1), Step::Revert],
        ] {
            let response = stranger.call("POST", path, steps.clone()).await;
            assert_eq!(response.status, 200, "{response:?}");
            assert_eq!(response.set_cookie(), None, "{path} {steps:?}");
            world.assert_calls(NONE);
        }
    }
}

pub(super) async fn t2_a_handler_that_does_not_ask_costs_nothing(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config.renew_every(Duration::from_secs(60))
    })
    .await;
    let mut visitor = world.visitor().await;
    world.advance(3_600);
    for path in ["/untouched", "/lazy"] {
        let response = visitor.call("POST", path, []).await;
        assert_eq!((response.status, &*response.body), (200, "[]"));
        assert_eq!(response.set_cookie(), None);
        assert_eq!(response.header("vary"), None, "{path} consulted nothing");
        assert_eq!(response.header("cache-control"), None);
        world.assert_calls(NONE);
    }
}

pub(super) async fn t3_reading_costs_one_load(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    for path in ["/eager", "/lazy", "/optional", "/twice"] {
        let response = visitor.call("GET", path, [get("seen"), Step::Keys]).await;
        assert_eq!(response.body, r#"[1,["seen"]]"#);
        assert_eq!(response.set_cookie(), None);
        world.assert_calls(Counts { loads: 1, ..NONE });
    }
}

pub(super) async fn t3_writing_costs_one_load_and_one_conditional_write(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let one_write = Counts {
        loads: 1,
        updates: 1,
        ..NONE
    };
    for steps in [
        vec![insert("a", 1), insert("b", 2), Step::Remove("a".into())],
        vec![Step::UpdateAdd("n".into()), Step::Append("l".into(), 1.into())],
        vec![insert("c", 1), add("n")],
        vec![insert("d", 1), Step::Save, Step::Save],
        vec![login("ada"), insert("e", 1), Step::Remember(86_400)],
        vec![Step::CsrfToken, Step::Flash("hello".into())],
        vec![Step::TakeFlashes],
        vec![Step::SetTimeout(60)],
        vec![Step::Clear],
    ] {
        let response = visitor.post(steps.clone()).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(world.spy.counts(), one_write, "{steps:?}");
        world.spy.reset();
    }
    visitor.post([Step::Logout]).await;
    world.assert_calls(Counts {
        loads: 1,
        deletes: 1,
        ..NONE
    });
}

pub(super) async fn t3_a_first_store_costs_one_create(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for steps in [
        vec![insert("a", 1)],
        vec![login("ada")],
        vec![add("n")],
        vec![Step::CsrfToken],
        vec![insert("a", 1), login("ada"), Step::Remember(60), Step::Renew],
    ] {
        let response = world.stranger().post(steps.clone()).await;
        assert!(response.set_cookie().is_some(), "{response:?}");
        let one = Counts { creates: 1, ..NONE };
        assert_eq!(world.spy.counts(), one, "{steps:?}");
        world.spy.reset();
    }
}

pub(super) async fn t4_a_view_of_the_data_or_an_idle_default_is_no_change(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let response = world.stranger().post([Step::Data]).await;
    assert_eq!(response.set_cookie(), None);
    assert_eq!(response.outcome(0), json!({}));
    let mut visitor = world.visitor().await;
    visitor.post([insert("a", json!({"b": [1]})), Step::Flash("one".into())]).await;
    world.spy.reset();
    let idle = Step::InsertIfAbsent("seen".into(), 2.into());
    let response = visitor.post([Step::Data, idle, Step::Data]).await;
    let data = json!({"seen": 1, "a": {"b": [1]}});
    assert_eq!(response.outcome(0), data, "flashes are not in it");
    assert_eq!(response.outcome(1), false);
    assert_eq!(response.outcome(2), data);
    world.assert_calls(Counts { loads: 1, ..NONE });
}

pub(super) async fn t4_a_touch_is_written_once_per_interval(harness: &dyn HttpHarness) {
    let seconds = Duration::from_secs;
    for (timeout, chosen, interval) in [
        (600, None, 60),
        (100, None, 10),
        (86_400, None, 60),
        (1_800, Some(600), 600),
    ] {
        let world = World::with(harness, |config| {
            let config = config.timeout(seconds(timeout));
            match chosen {
                Some(chosen) => config.touch_interval(seconds(chosen)),
                None => config,
            }
        })
        .await;
        let mut visitor = world.visitor().await;
        let read = Counts { loads: 1, ..NONE };
        let touch = Counts { touches: 1, ..read };
        let write = Counts { updates: 1, ..read };
        for (wait, steps, calls) in [
            (interval - 1, vec![], read),
            (1, vec![], touch),
            (0, vec![], read),
            (interval, vec![insert("a", 1)], write),
            (0, vec![], read),
            (interval, vec![Step::KeepExpiry], read),
            (0, vec![], touch),
        ] {
            world.advance(wait);
            let before = world.record().await.1;
            visitor.get(steps.clone()).await;
            assert_eq!(world.spy.counts(), calls, "{wait} s, then {steps:?}");
            world.spy.reset();
            let after = world.record().await.1;
            if calls == touch {
                assert_eq!(after.version, before.version, "{:?}", Write::Touch);
                assert_eq!(after.accessed_at, world.manager().now());
            }
        }
    }
}

pub(super) async fn t4_a_touch_brings_the_limits_of_a_new_configuration(
    harness: &dyn HttpHarness,
) {
    let day = 24 * HOUR;
    let read = Counts { loads: 1, ..NONE };
    for own in [None, Some(7_200)] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let begun = world.manager().now();
        visitor.post(own.map(Step::SetTimeout).into_iter().collect::<Vec<_>>()).await;
        let stored = world.record().await.1;
        let node = world.node(|config| config.timeout(HOUR).absolute_timeout(day)).await;
        let mut visitor = visitor.at(node.app.clone());
        let timeout = own.map_or(HOUR, Duration::from_secs);
        let relimited = Counts { updates: 1, ..read };
        world.spy.reset();
        for (wait, steps, cost) in [
            (59, vec![get("seen")], read),
            (1, vec![Step::KeepExpiry], read),
            (0, vec![get("seen")], relimited),
            (59, vec![get("seen")], read),
            (1, vec![get("seen")], Counts { touches: 1, ..read }),
        ] {
            world.advance(wait);
            let response = visitor.get(steps).await;
            assert_eq!((response.status, response.set_cookie()), (200, None));
            world.assert_calls(cost);
            let record = world.record().await.1;
            if record.version == stored.version {
                assert_eq!(record, stored);
            } else {
                let limits = Expiry::new(Some(timeout), Some(begun.after(day)));
                assert_eq!((record.expiry, &record.data), (limits, &stored.data));
            }
        }
        assert_ne!(world.record().await.1.version, stored.version);
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// A node with another time-out, and a visitor of before who now comes there.
async fn with_an_hour<'a>(world: &World<'a>) -> (World<'a>, Browser) {
    let visitor = world.visitor().await;
    let node = world.node(|config| config.timeout(HOUR)).await;
    let visitor = visitor.at(node.app.clone());
    (node, visitor)
}

pub(super) async fn t4_a_handle_goes_on_from_the_record_with_new_limits(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (node, mut visitor) = with_an_hour(&world).await;
    world.advance(60);
    let stream = Step::After("head".into(), vec![insert("a", 1), Step::Save]);
    assert_eq!(visitor.get([get("seen"), stream]).await.status, 200);
    world.assert_calls(Counts { loads: 1, updates: 1, ..NONE });
    node.release("head", 1).await;
    assert_eq!(node.probe.outcome("head").await, "[null,null]");
    world.assert_calls(Counts { updates: 1, ..NONE });
    assert_eq!(world.data().await, r#"{"seen":1,"a":1}"#);
}

pub(super) async fn t4_an_access_is_noted_whoever_wrote_meanwhile(harness: &dyn HttpHarness) {
    for own_limits in [true, false] {
        let world = World::new(harness).await;
        let visitor = world.visitor().await;
        let node = world.node(|config| match own_limits {
            true => config.timeout(HOUR),
            false => config,
        });
        let node = node.await;
        world.advance(60);
        let slow = visitor.at(node.app.clone()).start_post([get("seen"), wait("go")]);
        node.reached("go").await;
        // It counts as no access of the client's.
        let id = world.record().await.0;
        let job = world.manager().open(&id).await.unwrap().unwrap();
        job.transact(|draft| draft.insert("plan", "gold")).await.unwrap();
        node.release("go", 1).await;
        assert_eq!(slow.answer().await.status, 200);
        let record = world.record().await.1;
        assert_eq!(record.accessed_at, world.manager().now());
        assert_eq!(record.data.as_str(), r#"{"seen":1,"plan":"gold"}"#);
    }
}

pub(super) async fn t4_a_socket_brings_the_limits_of_a_new_configuration(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let (node, mut visitor) = with_an_hour(&world).await;
    let socket = vec![Step::Touch, wait("later"), insert("a", 1), Step::Save];
    visitor.get([Step::After("socket".into(), socket)]).await;
    world.spy.reset();
    node.advance(60);
    node.release("socket", 1).await;
    node.reached("later").await;
    world.assert_calls(Counts { loads: 1, updates: 1, ..NONE });
    assert_eq!(world.record().await.1.expiry, Expiry::new(Some(HOUR), None));
    node.release("later", 1).await;
    assert_eq!(node.probe.outcome("socket").await, "[null,null,null,null]");
    world.assert_calls(Counts { updates: 1, ..NONE });
}

pub(super) async fn t4_new_limits_leave_what_a_write_in_doubt_would_replace(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let (node, mut visitor) = with_an_hour(&world).await;
    let socket = vec![
        insert("n", 1),
        attempt(Step::Save),
        wait("later"),
        Step::Touch,
        Step::Save,
    ];
    visitor.get([Step::After("socket".into(), socket)]).await;
    world.advance(60);
    world.spy.always(Operation::Update, Fault::Refuse(StoreErrorKind::Unavailable));
    node.release("socket", 1).await;
    node.reached("later").await;
    world.spy.heal();
    node.release("later", 1).await;
    let outcome = node.probe.outcome("socket").await;
    assert!(outcome.contains(r#"{"error":"Unavailable""#), "{outcome}");
    assert!(outcome.ends_with(",null,null,null]"), "{outcome}");
    assert_eq!(world.data().await, r#"{"seen":1,"n":1}"#);
}

pub(super) async fn t4_new_limits_of_a_requests_end_leave_what_a_write_in_doubt_would_replace(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let (node, mut visitor) = with_an_hour(&world).await;
    world.advance(60);
    let refused = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.once(Operation::Update, refused);
    let late = Step::After("late".into(), vec![insert("a", 1), Step::Save]);
    let response = visitor.get([attempt(add("n")), late]).await;
    assert_eq!(response.outcome(0)["error"], "Unavailable");
    node.release("late", 1).await;
    assert_eq!(node.probe.outcome("late").await, "[null,null]");
    assert_eq!(world.data().await, r#"{"seen":1,"a":1}"#);
}

pub(super) async fn t4_where_new_limits_cannot_be_written_a_touch_is(harness: &dyn HttpHarness) {
    let full = Fault::Refuse(StoreErrorKind::Full);
    for (ignores, fault, updates) in [(false, Some(full), 1), (true, None, 0)] {
        let world = World::new(harness).await;
        let visitor = world.visitor().await;
        let before = world.record().await.1;
        let node = world.node(|config| config.timeout(HOUR).ignore_expiry(ignores)).await;
        let mut visitor = visitor.at(node.app.clone());
        world.advance(60);
        world.spy.reset();
        if let Some(fault) = fault {
            world.spy.always(Operation::Update, fault);
        }
        assert_eq!(visitor.get([get("seen")]).await.status, 200);
        world.assert_calls(Counts { loads: 1, updates, touches: 1, ..NONE });
        let record = world.record().await.1;
        assert_eq!(record.accessed_at, world.manager().now());
        assert_eq!((record.version, record.expiry), (before.version, before.expiry));
    }
}

pub(super) async fn t4_new_limits_wait_for_a_save_that_is_prepared(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let day = 24 * HOUR;
    let (node, mut visitor) = with_an_hour(&world).await;
    let id = world.record().await.0;
    for (busy, timeout) in [(true, day), (false, HOUR)] {
        world.advance(60);
        let job = node.manager().open(&id).await.unwrap().unwrap();
        job.insert("n", 1).unwrap();
        let pending = match busy {
            true => job.prepare_save().await.unwrap(),
            false => None,
        };
        assert_eq!(visitor.get([get("seen")]).await.status, 200);
        let record = world.record().await.1;
        assert_eq!(record.accessed_at, world.manager().now());
        if let Some(pending) = pending {
            assert_eq!(Some(record.version), pending.expected());
            pending.abort();
        }
        assert_eq!(record.expiry.timeout(), Some(timeout));
    }
}

pub(super) async fn t4_a_touch_with_new_limits_makes_way_for_any_other_write(
    harness: &dyn HttpHarness,
) {
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    for (meanwhile, fault, left) in [
        (vec![insert("a", 1)], None, Some(r#"{"seen":1,"a":1}"#)),
        (vec![Step::Logout], None, None),
        (vec![login("ada")], None, Some(r#"{"seen":1}"#)),
        (vec![], Some(down), Some(r#"{"seen":1}"#)),
    ] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        world.advance(60);
        let node = world.node(|config| {
            config.timeout(HOUR).on_touch_outage(OnOutage::Continue)
        });
        let node = node.await;
        let slow = visitor.at(node.app.clone()).start_post([get("seen"), wait("go")]);
        node.reached("go").await;
        visitor.post(meanwhile).await;
        if let Some(fault) = fault {
            world.spy.always(Operation::Update, fault);
        }
        let before = world.records().await;
        node.release("go", 1).await;
        let response = slow.answer().await;
        assert_eq!((response.status, response.set_cookie()), (200, None));
        assert_eq!(world.records().await, before);
        let data = before.first().map(|(_, record)| record.data.as_str());
        assert_eq!(data, left);
    }
}

pub(super) async fn t4_a_write_can_decline_to_extend_life(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.record().await.1.accessed_at;
    world.advance(3_600);
    visitor.post([insert("a", 1), Step::KeepExpiry]).await;
    let after = world.record().await.1;
    assert_eq!(after.accessed_at, before);
    assert_eq!(after.data.raw("a"), Some("1"));
}

pub(super) async fn t4_an_unverified_token_touches_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    world.advance(3_600);
    let (id, before) = world.record().await;
    let guess = Token::new(id, crate::id::Secret::random().unwrap());
    let mut thief = visitor.holding(COOKIE, &guess.expose(None));
    assert_eq!(thief.get([Step::Keys]).await.body, "[[]]");
    world.assert_calls(Counts { loads: 1, ..NONE });
    thief.post([Step::Logout]).await;
    assert_eq!(world.record().await.1, before);
}

pub(super) async fn t5_the_session_is_saved_before_the_head_leaves(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    let store = world.spy.hold(Operation::Update);
    let running = visitor.start_post([insert("a", 1)]);
    store.reached_by(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "the response waits for the store");
    store.open();
    assert_eq!(running.answer().await.status, 200);
    assert_eq!(world.data().await, r#"{"seen":1,"a":1}"#);
}

pub(super) async fn t5_a_server_error_discards_the_changes(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    for change in [
        insert("a", 1),
        Step::Clear,
        login("ada"),
        Step::Renew,
        Step::Logout,
        Step::Remember(60),
        Step::CsrfToken,
    ] {
        for status in [500, 502, 599, 408] {
            let steps = [change.clone(), Step::Status(status)];
            let response = visitor.post(steps).await;
            assert_eq!(response.status, status);
            assert_eq!(response.set_cookie(), None, "{change:?}");
            world.assert_calls(Counts { loads: 1, ..NONE });
        }
    }
    assert_eq!(world.records().await, before);
    let mut stranger = world.stranger();
    stranger.post([insert("a", 1), Step::Status(500)]).await;
    world.assert_calls(NONE);
    visitor.post([insert("a", 1), Step::Status(499)]).await;
    assert_eq!(world.data().await, r#"{"seen":1,"a":1}"#);
}

pub(super) async fn t5_saving_on_a_server_error_can_be_asked_for(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.save_on_server_error(true)).await;
    let mut visitor = world.visitor().await;
    let response = visitor
        .post([insert("a", 1), Step::Renew, Step::Status(500)])
        .await;
    assert_eq!(response.status, 500);
    assert!(response.set_cookie().is_some());
    assert_eq!(world.data().await, r#"{"seen":1,"a":1}"#);
}

pub(super) async fn t5_a_failed_load_is_remembered(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.always(Operation::Load, down);
    for path in ["/eager", "/lazy", "/careless", "/optional", "/twice"] {
        let steps = [Step::Header("x-mine".into(), "1".into()), Step::Keys];
        let response = visitor.call("GET", path, steps).await;
        assert_eq!(response.status, 503, "{path} {response:?}");
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(response.header("x-mine"), None, "nothing of the handler's");
        world.assert_calls(Counts { loads: 1, ..NONE });
    }
}

pub(super) async fn t5_an_optional_session_is_none_only_without_a_layer(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let response = visitor.call("GET", "/bare/optional", [Step::Keys]).await;
    assert_eq!(response.body, r#"["no session"]"#);
    assert_eq!(response.header("vary"), None);
    let response = visitor.call("GET", "/bare", [Step::Keys]).await;
    assert_eq!(response.status, 500);
    assert_eq!(response.body, "internal server error");
    world.assert_calls(NONE);
    let mut stranger = world.stranger();
    let response = stranger.call("GET", "/optional", [Step::Keys]).await;
    assert_eq!(response.body, "[[]]");
}

pub(super) async fn t5_a_layer_added_twice_works_once(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let response = browser.call("POST", "/twice", [insert("a", 1)]).await;
    assert!(response.set_cookie().is_some());
    assert_eq!(response.all("vary"), ["Cookie"]);
    world.assert_calls(Counts { creates: 1, ..NONE });
    let steps = [insert("b", 1), Step::Renew];
    let response = browser.call("POST", "/twice", steps).await;
    assert!(response.set_cookie().is_some());
    world.assert_calls(Counts {
        loads: 1,
        updates: 1,
        ..NONE
    });
    assert_eq!(world.data().await, r#"{"a":1,"b":1}"#);
}

pub(super) async fn t5_a_handler_that_panics_stores_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    let steps = [insert("a", 1), login("ada"), Step::Panic];
    assert!(visitor.start_post(steps).panicked().await);
    world.assert_calls(Counts { loads: 1, ..NONE });
    assert_eq!(world.records().await, before);
    assert_eq!(visitor.post([add("n")]).await.outcome(0), 1);
}

pub(super) async fn t5_a_client_that_goes_away_leaves_the_session_whole(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let waiting = visitor.start_post([insert("a", 1), wait("never")]);
    world.reached("never").await;
    waiting.disconnect().await;
    assert_eq!(world.data().await, r#"{"seen":1}"#);

    let store = world.spy.hold(Operation::Update);
    let saving = visitor.start_post([insert("a", 1)]);
    store.reached_by(1).await;
    saving.disconnect().await;
    store.open();
    let next = visitor.post([add("n"), insert("b", 1)]).await;
    assert_eq!((next.status, next.outcome(0)), (200, 1.into()));
    let response = visitor.get([get("n"), get("b")]).await;
    assert_eq!(response.body, "[1,1]", "the queue let the next one in");
}
