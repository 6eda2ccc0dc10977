//! O3: how many sessions an owner may have at once.

use serde_json::Value;

use super::HttpHarness;
use super::browser::Browser;
use super::events::Told;
use super::script::Step;
use super::world::{NONE, World, add, attempt, get, insert, login, owner, wait};
use crate::OnTooMany::{EndOldest, Refuse};
use crate::config::SessionConfigBuilder;
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);
const DAY: u64 = 24 * 60 * 60;

/// Who the browser is signed in as.
async fn signed_in(browser: &mut Browser) -> Value {
    browser.get([Step::Owner]).await.outcome(0)
}

pub(super) async fn o3_without_a_limit_nothing_is_counted(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor.post([login("ada")]).await;
    world.assert_calls(Counts { loads: 1, updates: 1, ..NONE });
    world.member("ada").await;
    world.member("ada").await;
    assert_eq!(world.manager().sessions_of(&owner("ada")).await.unwrap().len(), 3);
}

pub(super) async fn o3_a_login_too_many_ends_the_session_used_longest_ago(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, |config| config.owner_sessions_max(2, EndOldest)).await;
    let mut bob = world.member("bob").await;
    let mut first = world.member("ada").await;
    world.advance(100);
    let mut second = world.member("ada").await;
    world.advance(100);
    first.get([get("seen")]).await;
    world.advance(100);
    let mut third = world.visitor().await;
    world.spy.reset();
    let response = third.post([login("ada")]).await;
    assert_eq!(response.status, 200);
    // Its own, those of the other two; one of them ends.
    world.assert_calls(Counts { loads: 3, updates: 1, owned_bys: 1, deletes: 1, ..NONE });
    assert_eq!(signed_in(&mut first).await, "ada");
    assert_eq!(signed_in(&mut second).await, Value::Null);
    assert_eq!(signed_in(&mut third).await, "ada");
    assert_eq!(signed_in(&mut bob).await, "bob");
    world.spy.reset();
    third.post([insert("a", 1)]).await;
    world.assert_calls(Counts { loads: 1, updates: 1, ..NONE });
}

pub(super) async fn o3_a_lower_limit_reaches_an_owner_at_the_next_login(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for _ in 0..5 {
        world.member("ada").await;
        world.advance(100);
    }
    let node = world.node(|config| config.owner_sessions_max(2, EndOldest)).await;
    let mut sixth = node.member("ada").await;
    let left = world.manager().sessions_of(&owner("ada")).await.unwrap();
    assert_eq!(left.len(), 2);
    assert_eq!(left[0].id.to_string(), sixth.token()[..22]);
    let strict = world.node(|config| config.owner_sessions_max(1, EndOldest)).await;
    let mut sixth_there = sixth.at(strict.app.clone());
    assert_eq!(sixth_there.post([login("ada")]).await.status, 200);
    let left = world.manager().sessions_of(&owner("ada")).await.unwrap();
    assert_eq!(left.len(), 1, "a login within the owner's own session looks, too");
    assert_eq!(signed_in(&mut sixth).await, Value::Null, "the old secret");
    assert_eq!(signed_in(&mut sixth_there).await, "ada");
}

pub(super) async fn o3_a_login_too_many_is_refused_and_changes_nothing(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
    let mut first = world.member("ada").await;
    let mut visitor = world.visitor().await;
    for browser in [&mut visitor, &mut world.stranger(), &mut world.member("bob").await] {
        let before = world.records().await;
        let refused = browser.post([insert("late", 1), login("ada")]).await;
        assert_eq!(refused.status, 409);
        assert_eq!(
            refused.body,
            "you are signed in in too many places: please sign out in one of them first"
        );
        assert_eq!(refused.set_cookie(), None);
        assert_eq!(world.records().await, before);
    }
    assert_eq!(visitor.get([get("seen"), Step::Owner]).await.body, "[1,null]");
    first.post([Step::Logout]).await;
    world.spy.reset();
    assert_eq!(visitor.post([login("ada")]).await.status, 200);
    world.assert_calls(Counts { loads: 1, updates: 1, owned_bys: 2, ..NONE });
    assert_eq!(visitor.get([get("seen"), Step::Owner]).await.body, r#"[1,"ada"]"#);
}

pub(super) async fn o3_a_login_in_the_owners_own_session_begins_none(harness: &dyn HttpHarness) {
    for then in [EndOldest, Refuse] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, then)).await;
        let mut member = world.member("ada").await;
        assert_eq!(member.post([login("ada")]).await.status, 200, "{then:?}");
        assert_eq!(signed_in(&mut member).await, "ada");
        // What a request ends gives its place up.
        assert_eq!(member.post([Step::Logout, login("ada")]).await.status, 200, "{then:?}");
        assert_eq!(signed_in(&mut member).await, "ada");
        assert_eq!(world.records().await.len(), 1);
    }
}

pub(super) async fn o3_what_is_expired_damaged_or_anothers_does_not_count(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
    world.member("ada").await;
    world.advance(DAY);
    let mut second = world.member("ada").await;
    assert_eq!(second.post([login("bob")]).await.status, 200);
    world.member("ada").await;
    for kind in [StoreErrorKind::Corrupt, StoreErrorKind::NewerFormat] {
        world.spy.always(Operation::Load, Fault::Refuse(kind));
        let response = world.stranger().post([login("ada")]).await;
        assert_eq!(response.status, 200, "{kind:?}");
        world.spy.heal();
    }
    assert_eq!(world.stranger().post([login("ada")]).await.status, 409);
}

pub(super) async fn o3_what_cannot_be_ended_is_told_and_tried_again(harness: &dyn HttpHarness) {
    for operation in [Operation::OwnedBy, Operation::Delete] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, EndOldest)).await;
        let mut first = world.member("ada").await;
        world.spy.always(operation, DOWN);
        let mut second = world.stranger();
        let response = second.post([login("ada")]).await;
        assert_eq!(response.status, 503, "{operation:?}");
        assert!(response.set_cookie().is_some(), "the login was committed");
        world.spy.heal();
        assert_eq!(signed_in(&mut second).await, "ada");
        assert_eq!(signed_in(&mut first).await, "ada");
        assert_eq!(second.post([login("ada")]).await.status, 200);
        assert_eq!(signed_in(&mut first).await, Value::Null);
        assert_eq!(world.records().await.len(), 1);
    }
}

pub(super) async fn o3_what_cannot_be_ended_keeps_no_other_alive(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for _ in 0..3 {
        world.member("ada").await;
        world.advance(100);
    }
    let node = world.node(|config| config.owner_sessions_max(1, EndOldest)).await;
    world.spy.once(Operation::Delete, DOWN);
    let mut last = node.stranger();
    assert_eq!(last.post([login("ada")]).await.status, 503);
    assert_eq!(world.records().await.len(), 2);
    // One that was used meanwhile under a new secret is looked at again.
    world.spy.once(Operation::Delete, Fault::Conflict);
    assert_eq!(last.post([login("ada")]).await.status, 200);
    assert_eq!(world.records().await.len(), 1);
}

pub(super) async fn o3_a_save_that_commits_a_login_is_counted(harness: &dyn HttpHarness) {
    for commit in [Step::Save, add("n")] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, EndOldest)).await;
        let mut bob = world.member("bob").await;
        let mut browser = world.member("ada").await;
        let running = browser.start_post([login("bob"), insert("his", 1), commit, wait("go")]);
        world.reached("go").await;
        assert_eq!(signed_in(&mut bob).await, Value::Null);
        world.release("go", 1).await;
        browser.keep(&running.answer().await);
        assert_eq!(signed_in(&mut browser).await, "bob");
    }
    for commit in [Step::Save, add("n")] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
        let mut bob = world.member("bob").await;
        let mut browser = world.member("ada").await;
        let before = world.records().await;
        let steps = [login("bob"), insert("his", 1), attempt(commit), Step::Revert, get("seen")];
        let response = browser.post(steps).await;
        assert_eq!(response.status, 200, "the handler took it back");
        assert_eq!(response.outcome(2)["error"], "TooManySessions");
        assert_eq!(response.outcome(4), 1);
        assert_eq!(response.set_cookie(), None);
        assert_eq!(world.records().await, before);
        assert_eq!(signed_in(&mut bob).await, "bob");
    }
}

pub(super) async fn o3_a_login_that_lost_a_race_is_withdrawn(harness: &dyn HttpHarness) {
    for had_session in [true, false] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
        let mut slow = world.stranger();
        let mut operation = Operation::Create;
        if had_session {
            slow = world.visitor().await;
            operation = Operation::Update;
        }
        let old = slow.clone();
        let store = world.spy.hold(operation);
        let running = slow.start_post([login("ada"), insert("admin", true)]);
        store.reached_by(1).await;
        let mut quick = world.stranger();
        let response = quick.post([login("ada")]).await;
        assert_eq!(response.status, 200);
        store.open();
        let response = running.answer().await;
        assert_eq!(response.status, 409);
        // Its old secret is dead, and so is what came after it.
        assert_eq!(response.set_cookie().is_some(), had_session);
        slow.keep(&response);
        assert!(slow.jar.is_empty());
        for mut browser in [slow, old] {
            assert_eq!(browser.get([Step::Keys, Step::Owner]).await.body, "[[],null]");
        }
        assert_eq!(signed_in(&mut quick).await, "ada");
        assert_eq!(world.records().await.len(), 1);
    }
}

pub(super) async fn o3_the_cookie_of_a_withdrawn_login_goes_whatever_follows(
    harness: &dyn HttpHarness,
) {
    for follows in [vec![], vec![insert("a", 1), Step::Save, Step::Destroy]] {
        let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
        let mut slow = world.member("bob").await;
        let store = world.spy.hold(Operation::Update);
        let refused = [login("ada"), attempt(Step::Save), Step::Revert];
        let running = slow.start_post([refused.to_vec(), follows].concat());
        store.reached_by(1).await;
        world.stranger().post([login("ada")]).await;
        store.open();
        let response = running.answer().await;
        assert_eq!(response.status, 200, "{response:?}");
        slow.keep(&response);
        assert!(slow.jar.is_empty(), "{response:?}");
    }
}

pub(super) async fn o3_a_login_refused_to_a_save_is_told_once(harness: &dyn HttpHarness) {
    for commit in [Step::Save, add("n")] {
        let limited = |config: SessionConfigBuilder| config.owner_sessions_max(1, Refuse);
        let (told, world) = Told::of(harness, limited).await;
        let _bob = world.member("bob").await;
        let mut browser = world.member("ada").await;
        told.take();
        let again = attempt(commit.clone());
        let steps = [login("bob"), attempt(commit), again, Step::Revert];
        assert_eq!(browser.post(steps).await.status, 200);
        assert_eq!(told.names(), ["rejected owner_limit"]);
    }
}

pub(super) async fn o3_a_withdrawal_that_others_came_before_is_not_told_as_its_own(
    harness: &dyn HttpHarness,
) {
    let limited = |config: SessionConfigBuilder| config.owner_sessions_max(1, Refuse);
    let (told, world) = Told::of(harness, limited).await;
    let slow = world.visitor().await;
    let (id, _) = world.record().await;
    let store = world.spy.hold(Operation::Update);
    let running = slow.start_post([login("ada")]);
    store.reached_by(1).await;
    assert_eq!(world.stranger().post([login("ada")]).await.status, 200);
    let deleting = world.spy.hold(Operation::Delete);
    store.open();
    deleting.reached_by(1).await;
    told.take();
    assert!(world.manager().revoke(&id).await.unwrap());
    deleting.open();
    assert_eq!(running.answer().await.status, 409);
    assert_eq!(told.names(), ["revoked id", "rejected owner_limit"]);
}

pub(super) async fn o3_a_login_that_cannot_be_counted_is_503(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.owner_sessions_max(1, Refuse)).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    world.spy.once(Operation::OwnedBy, DOWN);
    let response = visitor.post([login("ada")]).await;
    assert_eq!((response.status, response.set_cookie()), (503, None));
    assert_eq!(world.records().await, before);
    let store = world.spy.hold(Operation::Update);
    let running = visitor.start_post([login("ada")]);
    store.reached_by(1).await;
    world.spy.once(Operation::OwnedBy, DOWN);
    store.open();
    let response = running.answer().await;
    assert_eq!(response.status, 503);
    visitor.keep(&response);
    assert_eq!(signed_in(&mut visitor).await, "ada", "it was committed");
}

pub(super) async fn o3_logins_at_once_leave_at_most_the_limit(harness: &dyn HttpHarness) {
    for then in [EndOldest, Refuse] {
        let world = World::with(harness, |config| config.owner_sessions_max(2, then)).await;
        let other = world.node(|config| config.owner_sessions_max(2, then)).await;
        world.spy.interleave();
        for round in 0..10 {
            let mut browsers: Vec<_> = (0..8)
                .map(|n| if n % 2 == 0 { world.stranger() } else { other.stranger() })
                .collect();
            let racing: Vec<_> =
                browsers.iter().map(|browser| browser.start_post([login("ada")])).collect();
            let mut refused = 0;
            for (browser, running) in browsers.iter_mut().zip(racing) {
                let response = running.answer().await;
                refused += usize::from(response.status == 409);
                browser.keep(&response);
            }
            let left = world.manager().sessions_of(&owner("ada")).await.unwrap().len();
            assert!(left <= 2, "{then:?}, round {round}: {left} are left");
            let mut live = 0;
            for browser in &mut browsers {
                live += usize::from(signed_in(browser).await == "ada");
            }
            assert_eq!(live, left, "{then:?}, round {round}");
            if then == Refuse {
                assert_eq!(live + refused, 8, "whoever was let in is in");
            }
            world.manager().revoke_owner(&owner("ada"), None).await.unwrap();
        }
    }
}
