//! F1 and T6: what a logout ends, whatever else the same request does.

use super::HttpHarness;
use super::script::Step;
use super::world::{NONE, World, add, attempt, get, insert, login, wait};
use crate::config::OnOutage;
use crate::limit::OnTooMany::Refuse;
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use serde_json::json;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);

pub(super) async fn t6_a_commit_after_a_logout_leaves_the_logout_in_force(
    harness: &dyn HttpHarness,
) {
    for end in [Step::Logout, Step::Destroy] {
        for commit in [Step::Save, add("n")] {
            let world = World::new(harness).await;
            let mut browser = world.member("ada").await;
            let mut old = browser.clone();
            let (before, _) = world.record().await;
            let flash = Step::Flash("bye".into());
            let response = browser.post([end.clone(), flash, commit.clone()]).await;
            assert_eq!(response.status, 200, "{commit:?}: {response:?}");
            assert_ne!(world.record().await.0, before, "the old one is deleted");
            let response = browser.get([Step::TakeFlashes, Step::Owner]).await;
            assert_eq!(response.body, r#"[["bye"],null]"#, "{commit:?}");
            assert_eq!(old.get([Step::Owner]).await.body, "[null]");
        }
    }
}

pub(super) async fn f1_a_commit_whose_logout_failed_begins_nothing(harness: &dyn HttpHarness) {
    for by in [add("n"), Step::Save] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let before = world.records().await;
        world.spy.always(Operation::Delete, DOWN);
        let steps = [Step::Logout, Step::Flash("bye".into()), attempt(by.clone())];
        let response = member.post(steps).await;
        assert_eq!(response.status, 503, "{by:?}");
        // With another cookie the client could not try again.
        assert_eq!(response.set_cookie(), None, "{by:?}");
        assert_eq!(world.records().await, before);
        world.spy.heal();
        assert_eq!(member.post([Step::Logout]).await.status, 200);
        assert!(world.records().await.is_empty());
    }
}

pub(super) async fn t6_what_cannot_begin_ends_nothing_before(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.max_size(100)).await;
    let mut member = world.member("ada").await;
    let before = world.records().await;
    let large = insert("large", "x".repeat(200));
    let steps = [Step::Logout, large, attempt(Step::Save), Step::Status(500)];
    let response = member.post(steps).await;
    assert!(response.body.contains("TooLarge"), "{response:?}");
    assert_eq!((response.status, response.set_cookie()), (500, None));
    assert_eq!(world.records().await, before);
}

pub(super) async fn t6_an_end_that_was_refused_is_not_carried_out_later(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
    let _elsewhere = world.member("ada").await;
    let mut visitor = world.visitor().await;
    let later = Step::After("later".into(), vec![insert("a", 1), Step::Save]);
    let response = visitor.post([later, Step::Logout, login("ada")]).await;
    assert_eq!(response.status, 409);
    world.release("later", 1).await;
    assert_eq!(world.probe.outcome("later").await, "[null,null]");
    assert_eq!(visitor.get([get("seen"), get("a")]).await.body, "[1,1]");
}

pub(super) async fn t6_of_several_ends_the_session_that_is_stored_is_gone_back_to(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let end = || Step::Destroy;
    let steps = [end(), end(), insert("a", 1), Step::Save, end(), Step::Status(500)];
    let response = member.post(steps).await;
    assert_eq!(response.status, 500);
    assert_eq!(member.get([get("a"), Step::Owner]).await.body, "[1,null]");
    assert_eq!(world.records().await.len(), 1);
}

pub(super) async fn t6_a_server_error_after_a_logout_takes_back_what_is_not_committed(harness: &dyn HttpHarness) {
    for commit in [None, Some(Step::Save), Some(add("n"))] {
        let world = World::with(harness, |config| config.clear_site_data(true)).await;
        let mut browser = world.member("ada").await;
        let mut old = browser.clone();
        let mut steps = vec![Step::Logout, Step::Flash("bye".into())];
        steps.extend(commit.clone());
        steps.push(Step::Status(500));
        let response = browser.post(steps).await;
        assert_eq!(response.status, 500);
        assert_eq!(response.header("clear-site-data"), None);
        assert_eq!(response.set_cookie().is_some(), commit.is_some());
        // What was stored after the logout stays, and the logout that it came after.
        let shown = browser.get([Step::Owner, Step::TakeFlashes]).await;
        let expected = match &commit {
            Some(_) => r#"[null,["bye"]]"#,
            None => r#"["ada",[]]"#,
        };
        assert_eq!(shown.body, expected, "{commit:?}");
        let shown = old.get([Step::Owner, get("seen"), Step::TakeFlashes]).await;
        let expected = match &commit {
            Some(_) => "[null,null,[]]",
            None => r#"["ada",1,[]]"#,
        };
        assert_eq!(shown.body, expected, "{commit:?}");
        assert_eq!(world.records().await.len(), 1);
    }
}

pub(super) async fn t6_a_logout_whose_new_session_cannot_begin_is_an_error_and_a_logout(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, |config| config.clear_site_data(true)).await;
    let mut member = world.member("ada").await;
    world.spy.always(Operation::Create, DOWN);
    let response = member.post([Step::Logout, insert("bye", 1)]).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("clear-site-data"), None);
    assert!(response.set_cookie().unwrap().contains("; Max-Age=0;"));
    assert!(member.jar.is_empty());
    assert!(world.records().await.is_empty());
}

pub(super) async fn f1_a_logout_of_what_could_not_be_read_is_503(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config
            .on_load_outage(OnOutage::Continue)
            .clear_site_data(true)
    })
    .await;
    let mut member = world.member("ada").await;
    let before = world.records().await;
    for end in [Step::Logout, Step::Destroy] {
        for method in ["GET", "POST"] {
            for steps in [
                vec![end.clone()],
                vec![end.clone(), end.clone(), insert("a", 1)],
                vec![end.clone(), insert("a", 1), attempt(Step::Save)],
            ] {
                world.spy.always(Operation::Load, DOWN);
                let response = member.call(method, "/eager", steps.clone()).await;
                assert_eq!(response.status, 503, "{method} {steps:?}");
                assert_eq!(response.header("clear-site-data"), None);
                assert_eq!(response.set_cookie(), None);
                world.spy.heal();
                assert_eq!(world.records().await, before);
            }
        }
    }
}

pub(super) async fn i6_a_logout_under_a_superseded_token_is_gone(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.clear_site_data(true)).await;
    let mut member = world.member("ada").await;
    let mut stale = member.clone();
    member.post([Step::Renew]).await;
    let before = world.records().await;
    for end in [Step::Logout, Step::Destroy] {
        for method in ["GET", "POST"] {
            for steps in [
                vec![end.clone()],
                vec![end.clone(), end.clone()],
                vec![end.clone(), end.clone(), insert("a", 1)],
                vec![end.clone(), attempt(add("n")), attempt(Step::Save)],
            ] {
                let response = stale.call(method, "/eager", steps.clone()).await;
                assert_eq!(response.status, 409, "{method} {steps:?}");
                assert_eq!(response.header("clear-site-data"), None);
                assert_eq!(response.set_cookie(), None);
                assert_eq!(world.records().await, before, "{steps:?}");
            }
        }
    }
    assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
}

pub(super) async fn f1_a_login_or_logout_that_did_not_happen_is_told_under_get(
    harness: &dyn HttpHarness,
) {
    for (change, other) in [
        (Step::Logout, login("ada")),
        (Step::Logout, Step::Renew),
        (Step::Destroy, login("bob")),
        (login("bob"), Step::Renew),
        (login("bob"), Step::Logout),
    ] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let slow = member.start_get([wait("go"), change.clone()]);
        world.reached("go").await;
        assert_eq!(member.post([other.clone()]).await.status, 200);
        let before = world.records().await;
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!(slow.status, 409, "{change:?} after {other:?}");
        assert_eq!(slow.set_cookie(), None);
        assert_eq!(world.records().await, before);
    }
}

pub(super) async fn f1_a_logout_ends_what_a_clone_is_storing(harness: &dyn HttpHarness) {
    for end in [Step::Logout, Step::Destroy] {
        for late in [false, true] {
            let world = World::new(harness).await;
            let mut member = world.member("ada").await;
            let held = world.spy.hold(Operation::Update);
            let running = member.start_post([
                Step::After("side".into(), vec![attempt(add("n"))]),
                wait("flying"),
                end.clone(),
                wait("ended"),
            ]);
            world.release("side", 1).await;
            held.reached_by(1).await;
            world.release("flying", 1).await;
            world.reached("ended").await;
            if !late {
                held.open();
                assert_eq!(world.probe.outcome("side").await, "[1]");
            }
            world.release("ended", 1).await;
            let response = running.answer().await;
            assert_eq!(response.status, 200, "{response:?}");
            held.open();
            let outcome = world.probe.outcome("side").await;
            assert_eq!(outcome.contains("Gone"), late, "{outcome}");
            member.keep(&response);
            assert!(member.jar.is_empty(), "the cookie is removed");
            assert!(world.records().await.is_empty(), "nothing comes back");
        }
    }
}

pub(super) async fn f1_a_logout_ends_what_a_clone_is_beginning(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let held = world.spy.hold(Operation::Create);
    let running = browser.start_post([
        Step::After("side".into(), vec![add("n")]),
        wait("flying"),
        Step::Logout,
        wait("ended"),
    ]);
    world.release("side", 1).await;
    held.reached_by(1).await;
    world.release("flying", 1).await;
    world.reached("ended").await;
    held.open();
    assert_eq!(world.probe.outcome("side").await, "[1]");
    world.release("ended", 1).await;
    let response = running.answer().await;
    assert_eq!(response.status, 200);
    browser.keep(&response);
    assert!(browser.jar.is_empty());
    assert!(world.records().await.is_empty());
}

pub(super) async fn t1_what_came_and_went_begins_no_session(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let remove = || Step::Remove("a".into());
    for steps in [
        vec![insert("a", 1), remove()],
        vec![Step::Append("a".into(), json!(1)), remove()],
        vec![Step::UpdateAdd("a".into()), Step::Clear],
        vec![insert("a", 1), remove(), Step::Save],
        vec![Step::Flash("hello".into()), Step::TakeFlashes],
        vec![insert("a", 1), remove(), Step::Flash("b".into()), Step::TakeFlashes],
    ] {
        let response = world.stranger().post(steps.clone()).await;
        assert_eq!(response.status, 200, "{steps:?}: {response:?}");
        assert_eq!(response.set_cookie(), None, "{steps:?}");
        world.assert_calls(NONE);
    }
    let shown = world
        .stranger()
        .post([Step::Flash("hello".into()), Step::TakeFlashes])
        .await;
    assert_eq!(shown.body, r#"[null,["hello"]]"#);
    world.stranger().post([insert("a", 1), remove(), insert("b", 1)]).await;
    world.assert_calls(Counts { creates: 1, ..NONE });
}
