//! T6 and T7: what is committed when, and what is left after the response head.

use super::HttpHarness;
use super::script::Step;
use super::world::{NONE, World, add, attempt, get, insert, login, wait};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use crate::record::Owner;

pub(super) async fn t6_transact_and_save_commit_at_once(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let one = visitor.start_post([insert("a", 1), add("n"), wait("go")]);
    world.reached("go").await;
    let response = visitor.get([get("a"), get("n")]).await;
    assert_eq!(response.body, "[1,1]", "pending operations are included");
    let two = visitor.start_post([insert("b", 1), Step::Save, wait("stay")]);
    world.reached("stay").await;
    assert_eq!(visitor.get([get("b")]).await.outcome(0), 1);
    world.release("go", 1).await;
    world.release("stay", 1).await;
    assert_eq!((one.answer().await.status, two.answer().await.status), (200, 200));
}

pub(super) async fn t6_renew_login_and_logout_wait_for_the_end(harness: &dyn HttpHarness) {
    for end in [Step::Renew, login("ada"), Step::Logout, Step::Destroy] {
        let world = World::new(harness).await;
        let visitor = world.visitor().await;
        let before = world.records().await;
        let running = visitor.start_post([end.clone(), wait("go")]);
        world.reached("go").await;
        assert_eq!(world.records().await, before, "{end:?}");
        world.release("go", 1).await;
        assert_eq!(running.answer().await.status, 200);
        assert_ne!(world.records().await, before, "{end:?}");
    }
}

pub(super) async fn t6_no_value_of_a_new_owner_is_written_into_anothers_session(
    harness: &dyn HttpHarness,
) {
    for commit in [Step::Save, add("n")] {
        let world = World::new(harness).await;
        let mut browser = world.member("ada").await;
        let steps = [login("bob"), insert("of bob", 1), Step::Status(500)];
        browser.post(steps).await;
        let (_, record) = world.record().await;
        let kept = (record.owner.as_ref().map(Owner::as_str), record.data.as_str());
        assert_eq!(kept, (Some("ada"), r#"{"seen":1}"#), "discarded");

        let stale = browser.clone();
        let steps = [login("bob"), insert("of bob", 1), commit, Step::Status(500)];
        let response = browser.post(steps).await;
        assert!(response.set_cookie().is_some(), "the login went with it");
        let (_, record) = world.record().await;
        assert_eq!(record.owner.as_ref().map(Owner::as_str), Some("bob"));
        assert_eq!(record.data.raw("seen"), None, "and ada's values are gone");
        assert_eq!(stale.clone().get([Step::Keys]).await.body, "[[]]");
        assert_eq!(browser.get([get("of bob")]).await.outcome(0), 1);
    }
}

pub(super) async fn t6_what_was_committed_sends_its_cookie_whatever_the_status(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    for commit in [add("n"), Step::Save] {
        let mut browser = world.stranger();
        let steps = [insert("a", 1), commit, insert("b", 1), Step::Status(500)];
        let response = browser.post(steps).await;
        assert_eq!(response.status, 500);
        assert!(response.set_cookie().is_some(), "{response:?}");
        let response = browser.get([get("a"), get("b")]).await;
        assert_eq!(response.body, "[1,null]", "what came after is discarded");
    }
}

pub(super) async fn t6_an_answer_that_fails_still_sends_what_was_committed(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let steps = [add("n"), Step::TransactFail("a".into(), 1.into())];
    let response = browser.post(steps).await;
    assert_eq!(response.status, 500);
    assert_eq!(browser.get([Step::Keys]).await.body, r#"[["n"]]"#);
}

pub(super) async fn t6_initial_values_do_not_count_as_stored(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config.initializer(|draft| draft.insert("lang", "en"))
    })
    .await;
    let mut browser = world.stranger();
    let response = browser.get([get("lang"), Step::Keys, Step::Save]).await;
    assert_eq!(response.body, r#"["en",["lang"],null]"#);
    assert_eq!(response.set_cookie(), None);
    world.assert_calls(NONE);

    browser.post([insert("a", 1)]).await;
    world.assert_calls(Counts { creates: 1, ..NONE });
    assert_eq!(world.data().await, r#"{"lang":"en","a":1}"#);
    browser.post([Step::Remove("lang".into())]).await;
    let response = browser.get([get("lang")]).await;
    assert_eq!(response.body, "[null]", "only a new session is filled");
    let response = browser.post([Step::Logout, get("lang")]).await;
    assert_eq!(response.outcome(1), "en", "what follows a logout is new");
    assert!(world.records().await.is_empty(), "and holds nothing yet");
}

pub(super) async fn t6_revert_forgets_changes_and_intentions(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    for change in [insert("seen", 2), login("ada"), Step::Renew, Step::Logout] {
        let before = world.records().await;
        let steps = [change.clone(), Step::Revert, get("seen"), Step::Owner];
        let response = visitor.post(steps).await;
        assert_eq!(response.body, "[null,null,1,null]", "{change:?}");
        assert_eq!(response.set_cookie(), None);
        assert_eq!(world.records().await, before);
    }
}

pub(super) async fn t6_what_follows_a_destroy_is_a_new_session(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.member("ada").await;
    let old = browser.clone();
    let (before, _) = world.record().await;
    let response = browser.post([Step::Logout, insert("bye", 1)]).await;
    assert_eq!(response.status, 200);
    assert_ne!(browser.token(), old.token());
    let (after, record) = world.record().await;
    assert_ne!(after, before);
    assert_eq!(record.data.as_str(), r#"{"bye":1}"#);
    assert_eq!(record.owner, None);
    assert_eq!(old.clone().get([Step::Keys]).await.body, "[[]]");
}

pub(super) async fn t7_a_live_session_is_saved_after_the_head(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let late = vec![insert("late", 1), Step::Save, add("n"), Step::Reload, get("other")];
    let response = visitor.post([Step::After("stream".into(), late)]).await;
    assert_eq!(response.status, 200);
    visitor.post([insert("other", 5)]).await;
    world.release("stream", 1).await;
    assert_eq!(world.probe.outcome("stream").await, "[null,null,1,null,5]");
    let response = visitor.get([get("late"), get("n")]).await;
    assert_eq!(response.body, "[1,1]");
}

pub(super) async fn t7_a_session_begun_before_the_head_is_saved_after_it(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let late = Step::After("stream".into(), vec![insert("late", 1), Step::Save]);
    browser.post([insert("a", 1), late]).await;
    world.release("stream", 1).await;
    assert_eq!(world.probe.outcome("stream").await, "[null,null]");
    assert_eq!(browser.get([get("late")]).await.outcome(0), 1);
}

pub(super) async fn t7_a_new_session_after_the_head_is_an_error(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let late = vec![insert("a", 1), attempt(Step::Save), attempt(add("n"))];
    let mut browser = world.stranger();
    browser.post([Step::After("stream".into(), late)]).await;
    world.release("stream", 1).await;
    let outcome = world.probe.outcome("stream").await;
    assert_eq!(outcome.matches(r#""error":"HeadSent""#).count(), 2, "{outcome}");
    assert!(world.records().await.is_empty());
    world.assert_calls(NONE);
}

pub(super) async fn t7_what_needs_a_new_cookie_after_the_head_is_an_error(
    harness: &dyn HttpHarness,
) {
    for change in [Step::Renew, login("ada")] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let before = world.records().await;
        for commit in [Step::Save, add("n")] {
            let name = format!("{commit:?}");
            let late = vec![change.clone(), attempt(commit)];
            visitor.post([Step::After(name.clone(), late)]).await;
            world.release(&name, 1).await;
            let outcome = world.probe.outcome(&name).await;
            assert!(outcome.contains("HeadSent"), "{change:?}: {outcome}");
        }
        assert_eq!(world.records().await, before, "{change:?}");
    }
}

pub(super) async fn t7_an_end_after_the_head_is_carried_out(harness: &dyn HttpHarness) {
    for end in [Step::Logout, Step::Destroy] {
        for (by, begins_anew) in [(Step::Save, false), (Step::Ended(60), false), (add("n"), true)] {
            let world = World::new(harness).await;
            let mut member = world.member("ada").await;
            let late = vec![end.clone(), attempt(by.clone())];
            member.post([Step::After("stream".into(), late)]).await;
            assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
            world.release("stream", 1).await;
            let outcome = world.probe.outcome("stream").await;
            // There is no cookie for what would follow on it.
            assert_eq!(outcome.contains("HeadSent"), begins_anew, "{by:?}: {outcome}");
            assert_eq!(outcome.contains("error"), begins_anew, "{by:?}: {outcome}");
            let shown = member.get([Step::Owner, get("seen")]).await;
            assert_eq!(shown.body, "[null,null]", "{end:?}, {by:?}");
        }
    }
}

pub(super) async fn t7_an_end_after_the_head_that_fails_is_no_success(harness: &dyn HttpHarness) {
    for by in [Step::Save, Step::Ended(60), add("n")] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let again = vec![attempt(by.clone()), attempt(Step::Save)];
        let late = [vec![Step::Logout], again].concat();
        member.post([Step::After("stream".into(), late)]).await;
        world.spy.once(Operation::Delete, Fault::Refuse(StoreErrorKind::Unavailable));
        world.release("stream", 1).await;
        let outcome = world.probe.outcome("stream").await;
        assert_eq!(outcome.matches("Unavailable").count(), 1, "{by:?}: {outcome}");
        assert!(world.records().await.is_empty(), "the second save ended it");
    }
}

pub(super) async fn t7_a_session_that_ends_meanwhile_is_gone_after_the_head(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let late = vec![
        attempt(Step::Reload),
        attempt(add("n")),
        insert("a", 1),
        attempt(Step::Save),
    ];
    visitor.post([Step::After("stream".into(), late)]).await;
    visitor.post([Step::Logout]).await;
    world.release("stream", 1).await;
    let outcome = world.probe.outcome("stream").await;
    assert_eq!(outcome.matches(r#""error":"Gone""#).count(), 3, "{outcome}");
    assert!(world.records().await.is_empty());
}

pub(super) async fn t7_remember_after_the_head_is_an_error(harness: &dyn HttpHarness) {
    for commit in [Step::Save, add("n")] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        let before = world.records().await;
        let late = vec![Step::Remember(86_400), attempt(commit.clone())];
        visitor.post([Step::After("stream".into(), late)]).await;
        world.release("stream", 1).await;
        let outcome = world.probe.outcome("stream").await;
        assert!(outcome.contains("HeadSent"), "{commit:?}: {outcome}");
        assert_eq!(world.records().await, before);
        // A time-out needs no cookie.
        let late = vec![Step::SetTimeout(90), commit.clone()];
        visitor.post([Step::After("timeout".into(), late)]).await;
        world.release("timeout", 1).await;
        let outcome = world.probe.outcome("timeout").await;
        assert!(!outcome.contains("error"), "{outcome}");
        let (_, record) = world.record().await;
        assert_eq!(record.expiry.timeout().map(|timeout| timeout.as_secs()), Some(90));
    }
}
