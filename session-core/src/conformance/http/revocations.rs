//! Sealed sessions whose end is remembered: what a logout, a renewal and "sign out everywhere"
//! do to copies of their cookies.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::HttpHarness;
use super::browser::Browser;
use super::events::Told;
use super::long_lived::{at_once, leave, looked};
use super::script::Step;
use super::world::{NONE, World, add, attempt, get, insert, login, owner, wait};
use crate::clock::{Clock, ManualClock};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::{ErrorKind, StoreErrorKind};
use crate::id::SessionId;

/// The store is away.
pub(super) const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);
const LOADED: Counts = Counts { loads: 1, ..NONE };
/// In seconds.
pub(super) const DAY: u64 = 24 * 60 * 60;
/// Nobody, in JSON.
pub(super) const NOBODY: serde_json::Value = serde_json::Value::Null;

pub(super) async fn who(browser: &mut Browser) -> serde_json::Value {
    browser.get([Step::Owner]).await.outcome(0)
}

pub(super) async fn id_of(browser: &mut Browser) -> SessionId {
    let id = browser.get([Step::Id]).await.outcome(0);
    id.as_str().expect("a session").parse().expect("an id")
}

pub(super) async fn t2_only_a_session_with_an_owner_costs_a_read(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor.post([get("seen"), insert("n", 1)]).await;
    world.assert_calls(NONE);
    let mut member = world.member("ada").await;
    member.call("GET", "/untouched", []).await;
    member.call("GET", "/lazy", []).await;
    world.assert_calls(NONE);
    member.get([get("seen")]).await;
    world.assert_calls(LOADED);
    // Sliding costs no more.
    world.advance(60);
    assert!(member.get([get("seen")]).await.set_cookie().is_some());
    world.assert_calls(LOADED);
    world.advance(DAY);
    assert_eq!(member.get([Step::Keys]).await.body, "[[]]");
    world.assert_calls(NONE);
}

pub(super) async fn t4_a_touch_leaves_a_sealed_session_its_limits(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let member = world.member("ada").await;
    let hour = Duration::from_secs(3_600);
    let node = world.node(|config| config.timeout(hour)).await;
    let mut member = member.at(node.app.clone());
    world.advance(60);
    assert!(member.get([get("seen")]).await.set_cookie().is_some());
    world.advance(2 * 3_600);
    assert_eq!(who(&mut member).await, "ada");
    // What is written has the new ones.
    member.post([insert("n", 1)]).await;
    world.advance(2 * 3_600);
    assert_eq!(who(&mut member).await, NOBODY);
}

pub(super) async fn t3_storing_in_an_owned_session_looks_again(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    member.post([insert("n", 1)]).await;
    world.assert_calls(Counts { loads: 2, ..NONE });
    assert!(world.records().await.is_empty(), "nothing is revoked");
}

pub(super) async fn i4_the_old_cookie_is_dead_after_a_renewal(harness: &dyn HttpHarness) {
    for change in [
        Step::Renew,
        login("ada"),
        login("bob"),
        Step::SetTimeout(60),
    ] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let mut copy = member.clone();
        assert_eq!(member.post([change.clone()]).await.status, 200);
        let calls = match &change {
            Step::Login(name) if name == "bob" => 3,
            _ => 2,
        };
        let created = Counts {
            creates: 1,
            loads: calls,
            ..NONE
        };
        world.assert_calls(created);
        let known = if calls == 3 { "bob" } else { "ada" };
        assert_eq!(who(&mut member).await, known, "{change:?}");
        // For the grace it is told, and its response replaces no newer cookie.
        let told = copy.post([Step::Keys, insert("late", 1)]).await;
        assert_eq!((told.status, told.set_cookie()), (409, None), "{change:?}");
        assert_eq!(who(&mut copy).await, NOBODY);
        world.advance(11);
        let told = copy.post([Step::Owner, insert("own", 1)]).await;
        assert_eq!((told.status, told.outcome(0)), (200, NOBODY), "{change:?}");
        assert_eq!(who(&mut member).await, known, "{change:?}");
    }
}

pub(super) async fn i4_a_request_under_the_old_cookie_stores_nothing(harness: &dyn HttpHarness) {
    for change in [Step::Renew, login("ada"), login("bob"), Step::Logout] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let late: [&[Step]; 4] = [
            &[insert("late", 1)],
            &[Step::Renew],
            &[login("ada")],
            &[attempt(add("n")), attempt(Step::Reload)],
        ];
        let slow = late.map(|steps| {
            let steps = [&[get("seen"), wait("go")], steps].concat();
            member.start_post(steps)
        });
        world.probe.gate("go").reached_by(4).await;
        member.post([change.clone()]).await;
        world.release("go", 4).await;
        for (running, steps) in slow.into_iter().zip(late) {
            let response = running.answer().await;
            assert_eq!(response.set_cookie(), None, "{change:?} {steps:?}");
            if steps.len() == 1 {
                assert_eq!(response.status, 409, "{change:?} {steps:?}");
            } else {
                for at in [2, 3] {
                    assert_eq!(
                        response.outcome(at)["error"],
                        "Gone",
                        "{change:?}: {response:?}"
                    );
                }
            }
        }
    }
}

pub(super) async fn o2_a_logout_is_final(harness: &dyn HttpHarness) {
    for end in [Step::Logout, Step::Destroy] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let mut copy = member.clone();
        let other = world.node(|config| config).await;
        member.post([end]).await;
        assert!(member.jar.is_empty());
        assert_eq!(who(&mut copy).await, NOBODY);
        assert_eq!(who(&mut copy.at(other.app.clone())).await, NOBODY);
        // The one after it under another id is none the worse.
        member.post([login("ada")]).await;
        assert_eq!(who(&mut member).await, "ada");
        // A copy cannot end anything either, and says so.
        copy.post([Step::Logout]).await;
        assert_eq!(who(&mut member).await, "ada");
    }
}

pub(super) async fn o2_a_visitors_cookie_signs_in_again_after_its_logout(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    for _ in 0..3 {
        let mut member = visitor.clone();
        member.post([login("ada")]).await;
        let mut copy = member.clone();
        assert_eq!(who(&mut member).await, "ada", "under an id that had ended");
        member.post([Step::Renew]).await;
        assert_eq!(who(&mut member).await, "ada");
        assert_eq!(who(&mut copy).await, NOBODY);
        let mut renewed = member.clone();
        member.post([Step::Logout]).await;
        assert_eq!(who(&mut renewed).await, NOBODY);
        assert_eq!(who(&mut copy).await, NOBODY);
    }
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
}

pub(super) async fn o2_signing_out_everywhere_spares_one(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    let mut here = world.member("ada").await;
    let mut elsewhere = [world.member("ada").await, world.member("ada").await];
    let mut bob = world.member("bob").await;
    let id = id_of(&mut here).await;
    let slow = elsewhere[0].start_post([insert("late", 1), wait("go")]);
    world.reached("go").await;
    let manager = world.manager();
    assert_eq!(manager.revoke_owner(&ada, Some(&id)).await.unwrap(), 1);
    world.release("go", 1).await;
    assert_eq!(slow.answer().await.status, 409);
    for browser in &mut elsewhere {
        assert_eq!(who(browser).await, NOBODY);
    }
    assert_eq!(who(&mut here).await, "ada");
    assert_eq!(who(&mut bob).await, "bob");
    // It lives on through whatever it does.
    here.post([insert("n", 1)]).await;
    here.post([Step::Renew]).await;
    assert_eq!(who(&mut here).await, "ada");
    assert_eq!(manager.revoke_owner(&ada, None).await.unwrap(), 1);
    assert_eq!(who(&mut here).await, NOBODY);
    assert_eq!(who(&mut bob).await, "bob");
}

pub(super) async fn o2_a_login_right_after_signing_out_everywhere_lives(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    for _ in 0..3 {
        let mut before = world.member("ada").await;
        world.manager().revoke_owner(&ada, None).await.unwrap();
        let mut after = world.member("ada").await;
        assert_eq!(who(&mut before).await, NOBODY);
        assert_eq!(who(&mut after).await, "ada");
        after.post([Step::Renew]).await;
        assert_eq!(who(&mut after).await, "ada");
        // And its own logout, at the same moment, is as final as any.
        let mut copy = after.clone();
        after.post([Step::Logout]).await;
        assert_eq!(who(&mut copy).await, NOBODY);
    }
}

pub(super) async fn o2_a_login_on_a_node_whose_clock_is_ahead_is_ended(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ahead = ManualClock::at_unix_ms(world.manager().now().as_unix_ms() + 30_000);
    let node = world
        .node(|config| config.clock(Clock::manual(&ahead)))
        .await;
    let mut member = node.member("ada").await;
    world
        .manager()
        .revoke_owner(&owner("ada"), None)
        .await
        .unwrap();
    for app in [&world.app, &node.app] {
        assert_eq!(who(&mut member.at(app.clone())).await, NOBODY);
    }
    // Who signs in now lives on both.
    member.post([login("ada")]).await;
    for app in [&world.app, &node.app] {
        assert_eq!(who(&mut member.at(app.clone())).await, "ada");
    }
}

pub(super) async fn o2_a_session_ends_also_after_the_clock_was_set_back(harness: &dyn HttpHarness) {
    for end in [Step::Logout, Step::Renew] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let mut copy = member.clone();
        world.clock.step_back(Duration::from_secs(300));
        assert_eq!(member.post([end.clone()]).await.status, 200);
        for _ in 0..2 {
            assert_eq!(who(&mut copy).await, NOBODY, "{end:?}");
            let expected = if end == Step::Logout {
                NOBODY
            } else {
                "ada".into()
            };
            assert_eq!(who(&mut member).await, expected, "{end:?}");
            world.advance(300);
        }
    }
}

pub(super) async fn o2_being_spared_brings_nothing_back(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (ada, manager) = (owner("ada"), world.manager());
    let mut one = world.member("ada").await;
    let mut other = world.member("ada").await;
    let (first, second) = (id_of(&mut one).await, id_of(&mut other).await);
    manager.revoke_owner(&ada, Some(&first)).await.unwrap();
    // Time and again, whatever came in between.
    manager.revoke_owner(&ada, Some(&second)).await.unwrap();
    manager.revoke_owner(&ada, Some(&second)).await.unwrap();
    assert_eq!(who(&mut one).await, NOBODY);
    assert_eq!(who(&mut other).await, NOBODY);
    let mut third = world.member("ada").await;
    let id = id_of(&mut third).await;
    assert!(manager.revoke_of(&ada, &id).await.unwrap());
    manager.revoke_owner(&ada, Some(&id)).await.unwrap();
    assert_eq!(who(&mut third).await, NOBODY);
}

pub(super) async fn o2_one_session_is_ended_by_its_owner(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (ada, manager) = (owner("ada"), world.manager());
    let mut member = world.member("ada").await;
    let mut other = world.member("ada").await;
    let id = id_of(&mut member).await;
    assert!(manager.revoke_of(&owner("bob"), &id).await.unwrap());
    assert_eq!(who(&mut member).await, "ada", "it is not bob's");
    assert!(manager.revoke_of(&ada, &id).await.unwrap());
    assert_eq!(who(&mut member).await, NOBODY);
    assert_eq!(who(&mut other).await, "ada");
    // Nobody keeps a list.
    let kinds = [
        manager.revoke(&id).await.unwrap_err().kind(),
        manager.sessions_of(&ada).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Unsupported; 2]);
}

pub(super) async fn f3_a_session_too_large_for_its_cookie_kills_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let large = Step::InsertBytes("large".into(), 4_000);
    for change in [
        Step::Renew,
        login("ada"),
        login("bob"),
        Step::SetTimeout(60),
    ] {
        let response = member.post([change.clone(), large.clone()]).await;
        assert_eq!(
            (response.status, response.set_cookie()),
            (413, None),
            "{change:?}"
        );
        assert_eq!(who(&mut member).await, "ada");
    }
    assert!(world.records().await.is_empty());
    let told = member.post([large, attempt(Step::Save)]).await;
    assert_eq!((told.status, told.set_cookie()), (413, None));
}

pub(super) async fn t7_what_outlives_the_head_is_told_of_the_end(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let look = [attempt(Step::Reload)];
    let steps = ["before", "after"].map(|name| Step::After(name.into(), look.to_vec()));
    member.post(steps.to_vec()).await;
    world.probe.gate("before").open();
    assert_eq!(world.probe.outcome("before").await, "[null]");
    world
        .manager()
        .revoke_owner(&owner("ada"), None)
        .await
        .unwrap();
    world.probe.gate("after").open();
    assert!(world.probe.outcome("after").await.contains("Gone"));
}

pub(super) async fn s1_a_read_that_slides_during_a_logout_brings_a_cookie_that_opens_nothing(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    world.advance(120);
    let slow = member.start_get([get("seen"), wait("go")]);
    world.reached("go").await;
    member.post([Step::Logout]).await;
    world.release("go", 1).await;
    let response = slow.answer().await;
    assert!(response.set_cookie().is_some());
    member.keep(&response);
    assert_eq!(who(&mut member).await, NOBODY);
}

pub(super) async fn i7_a_due_renewal_revives_nothing(harness: &dyn HttpHarness) {
    let every = Duration::from_secs(600);
    let world = World::with(harness, |config| config.renew_every(every)).await;
    let mut member = world.member("ada").await;
    world.advance(700);
    let slow = member.start_get([get("seen"), wait("go")]);
    world.reached("go").await;
    world
        .manager()
        .revoke_owner(&owner("ada"), None)
        .await
        .unwrap();
    world.advance(100);
    world.release("go", 1).await;
    let response = slow.answer().await;
    assert_eq!(response.set_cookie(), None);
    member.keep(&response);
    assert_eq!(who(&mut member).await, NOBODY);
    // One that lives is renewed without a word to the store.
    let mut member = world.member("ada").await;
    world.advance(700);
    assert!(member.get([get("seen")]).await.set_cookie().is_some());
    world.assert_calls(Counts { loads: 2, ..NONE });
    assert_eq!(who(&mut member).await, "ada");
}

pub(super) async fn t4_a_time_out_whose_end_is_not_remembered_is_refused(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let steps = [401, 400].map(|days| attempt(Step::SetTimeout(days * DAY)));
    let response = member.post(steps.to_vec()).await;
    assert_eq!(response.outcome(0)["error"], "Invalid");
    assert_eq!(response.outcome(1), NOBODY);
    assert_eq!(who(&mut member).await, "ada");
}

pub(super) async fn t7_an_end_of_a_sealed_session_in_this_process_is_told_at_once(
    harness: &dyn HttpHarness,
) {
    let requests = [
        Step::Logout,
        Step::Destroy,
        Step::Renew,
        login("ada"),
        login("bob"),
    ];
    let named: Vec<_> = requests.iter().map(|step| format!("{step:?}")).collect();
    let ways = ["revoke_of", "revoke_owner"].into_iter();
    for way in ways.chain(named.iter().map(|name| &**name)) {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let id = id_of(&mut member).await;
        leave(&world, &mut member, way, vec![Step::Ended(3_600)]).await;
        looked(&world, 1).await;
        let (began, manager, ada) = (Instant::now(), world.manager(), owner("ada"));
        match way {
            "revoke_of" => assert!(manager.revoke_of(&ada, &id).await.unwrap()),
            "revoke_owner" => assert_eq!(manager.revoke_owner(&ada, None).await.unwrap(), 1),
            request => {
                let at = named.iter().position(|name| name == request).unwrap();
                let response = member.post([requests[at].clone()]).await;
                assert_eq!(response.status, 200, "{request}");
            }
        }
        at_once(&world, way, began).await;
    }
}

pub(super) async fn t7_an_end_of_a_sealed_session_elsewhere_is_found_at_the_next_look(
    harness: &dyn HttpHarness,
) {
    for change in [None, Some(Step::Logout), Some(Step::Renew)] {
        let world = World::new(harness).await;
        let node = world.node(|config| config).await;
        let mut member = world.member("ada").await;
        let mut other = world.member("ada").await;
        let spared = id_of(&mut other).await;
        leave(&world, &mut member, "ends", vec![Step::Ended(5)]).await;
        leave(&world, &mut other, "stays", vec![Step::Ended(5)]).await;
        looked(&world, 1).await;
        let began = Instant::now();
        match &change {
            None => {
                let (ada, manager) = (owner("ada"), node.manager());
                manager.revoke_owner(&ada, Some(&spared)).await.unwrap();
            }
            Some(change) => {
                let mut there = member.at(node.app.clone());
                assert_eq!(there.post([change.clone()]).await.status, 200);
            }
        }
        let ends = timeout(Duration::from_secs(60), world.probe.outcome("ends"));
        assert_eq!(ends.await.as_deref(), Ok("[null]"), "{change:?}");
        let waited = began.elapsed();
        let (soonest, latest) = (Duration::from_secs(4), Duration::from_secs(6));
        assert!(waited >= soonest && waited <= latest, "{waited:?}");
        let stays = timeout(Duration::from_secs(60), world.probe.outcome("stays"));
        assert!(stays.await.is_err(), "{change:?}");
    }
}

pub(super) async fn o2_ends_of_sealed_sessions_are_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (ada, manager) = (owner("ada"), world.manager());
    let mut members = [world.member("ada").await, world.member("ada").await];
    let id = id_of(&mut members[0]).await;
    told.take();
    manager.revoke_of(&ada, &id).await.unwrap();
    manager.revoke_owner(&ada, None).await.unwrap();
    let events = told.take();
    let whys: Vec<_> = events.iter().map(|event| event.kind.why()).collect();
    assert_eq!(whys, ["owned", "owner"], "one for all of an owner's");
    assert_eq!((events[0].session, events[1].session), (Some(id), None));
    for event in events {
        assert_eq!(event.kind.name(), "revoked");
        assert_eq!((event.owner, event.address), (Some(ada.clone()), None));
    }
    // Their cookies are those of sessions that are not there.
    for member in &mut members {
        assert_eq!(who(member).await, NOBODY);
        assert_eq!(told.names(), ["rejected unknown"]);
    }
    world.spy.always(Operation::Load, DOWN);
    manager.revoke_owner(&ada, None).await.unwrap_err();
    assert!(told.take().is_empty(), "what may not have happened");
}
