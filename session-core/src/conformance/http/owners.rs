//! O1 and O2: an owner's sessions, listed and ended.

use super::HttpHarness;
use super::script::Step;
use super::world::{NONE, World, get, insert, login, owner, wait};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::{ErrorKind, StoreErrorKind};

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);

pub(super) async fn o1_sessions_of_lists_the_live_ones_latest_first(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    let mut first = world.member("ada").await;
    world.advance(100);
    let second = world.member("ada").await;
    let _other = world.member("bob").await;
    let ids = |infos: &[crate::SessionInfo]| -> Vec<String> {
        infos.iter().map(|info| info.id.to_string()).collect()
    };
    let infos = world.manager().sessions_of(&ada).await.unwrap();
    let expected = [&second, &first].map(|browser| browser.token()[..22].to_owned());
    assert_eq!(ids(&infos), expected);
    world.advance(100);
    first.get([]).await;
    let infos = world.manager().sessions_of(&ada).await.unwrap();
    assert_eq!(ids(&infos), [&*expected[1], &*expected[0]]);
    assert_eq!(infos[0].owner, Some(ada.clone()));
    assert_eq!(infos[0].accessed_at, world.manager().now());

    first.post([login("bob")]).await;
    let infos = world.manager().sessions_of(&ada).await.unwrap();
    assert_eq!(ids(&infos), [&*expected[0]], "one changed hands");
    assert_eq!(world.manager().sessions_of(&owner("bob")).await.unwrap().len(), 2);
    world.advance(24 * 60 * 60);
    assert_eq!(world.manager().sessions_of(&ada).await.unwrap(), []);
}

pub(super) async fn o1_a_logout_leaves_the_list(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    member.post([Step::Logout]).await;
    assert_eq!(world.manager().sessions_of(&owner("ada")).await.unwrap(), []);
    assert!(world.records().await.is_empty());
}

pub(super) async fn o1_a_list_is_whole_or_an_error(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let _member = world.member("ada").await;
    for operation in [Operation::OwnedBy, Operation::Load] {
        for fault in [DOWN, Fault::Hang] {
            world.spy.always(operation, fault);
            let list = world.manager().sessions_of(&owner("ada")).await;
            assert_eq!(list.unwrap_err().kind(), ErrorKind::Unavailable);
            world.spy.heal();
        }
    }
}

pub(super) async fn o2_a_revoked_session_is_dead_at_once(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let (id, _) = world.record().await;
    assert!(world.manager().revoke(&id).await.unwrap());
    assert!(!world.manager().revoke(&id).await.unwrap());
    let response = member.get([Step::Keys, Step::Owner]).await;
    assert_eq!(response.body, "[[],null]");
}

pub(super) async fn o2_an_owner_ends_only_sessions_of_their_own(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let (id, _) = world.record().await;
    let manager = world.manager();
    assert!(!manager.revoke_of(&owner("bob"), &id).await.unwrap());
    assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
    assert!(manager.revoke_of(&owner("ada"), &id).await.unwrap());
    assert_eq!(member.get([Step::Keys]).await.body, "[[]]");
}

pub(super) async fn o2_sign_out_everywhere_spares_one(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    let mut here = world.member("ada").await;
    let (id, _) = world.record().await;
    let mut elsewhere = [world.member("ada").await, world.member("ada").await];
    let mut bob = world.member("bob").await;
    let slow = elsewhere[0].start_post([insert("late", 1), wait("go")]);
    world.reached("go").await;
    let ended = world.manager().revoke_owner(&ada, Some(&id)).await.unwrap();
    assert_eq!(ended, 2);
    world.release("go", 1).await;
    assert_eq!(slow.answer().await.status, 409);
    for browser in &mut elsewhere {
        assert_eq!(browser.get([Step::Keys]).await.body, "[[]]");
    }
    assert_eq!(here.get([Step::Owner]).await.outcome(0), "ada");
    assert_eq!(bob.get([Step::Owner]).await.outcome(0), "bob");
    assert_eq!(world.manager().revoke_owner(&ada, None).await.unwrap(), 1);
    assert_eq!(here.get([Step::Owner]).await.outcome(0), serde_json::Value::Null);
    assert_eq!(world.manager().sessions_of(&ada).await.unwrap(), []);
}

pub(super) async fn o2_a_session_renewed_while_it_is_revoked_is_ended(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for change in [Step::Renew, login("ada")] {
        let mut member = world.member("ada").await;
        let store = world.spy.hold(Operation::Delete);
        let manager = world.manager().clone();
        let revoking = tokio::task::spawn_local(async move {
            manager.revoke_owner(&owner("ada"), None).await
        });
        store.reached_by(1).await;
        member.post([change.clone()]).await;
        store.open();
        assert_eq!(revoking.await.unwrap().unwrap(), 1);
        assert_eq!(member.get([Step::Keys]).await.body, "[[]]", "{change:?}");
        assert!(world.records().await.is_empty());
    }
}

pub(super) async fn o2_a_login_that_raced_the_first_list_is_ended(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let _first = world.member("ada").await;
    let store = world.spy.hold(Operation::Delete);
    let manager = world.manager().clone();
    let revoking =
        tokio::task::spawn_local(async move { manager.revoke_owner(&owner("ada"), None).await });
    store.reached_by(1).await;
    let mut second = world.stranger();
    assert_eq!(second.post([login("ada")]).await.status, 200);
    store.open();
    assert_eq!(revoking.await.unwrap().unwrap(), 2, "it looks again");
    assert_eq!(second.get([Step::Owner]).await.outcome(0), serde_json::Value::Null);
}

pub(super) async fn o2_logins_acknowledged_before_the_call_are_ended(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    world.spy.interleave();
    for _ in 0..20 {
        let before = [world.member("ada").await, world.member("ada").await];
        let racing: Vec<_> = (0..4)
            .map(|_| world.stranger().start_post([login("ada")]))
            .collect();
        world.manager().revoke_owner(&ada, None).await.unwrap();
        for mut browser in before {
            assert_eq!(browser.get([Step::Keys]).await.body, "[[]]");
        }
        for running in racing {
            let mut browser = world.stranger();
            browser.keep(&running.answer().await);
            // Whether it was in time or not: what lives is listed and can be ended.
            browser.get([get("seen")]).await;
        }
        world.manager().revoke_owner(&ada, None).await.unwrap();
        assert_eq!(world.manager().sessions_of(&ada).await.unwrap(), []);
        assert!(world.records().await.is_empty());
    }
}

pub(super) async fn o2_a_revocation_that_failed_says_so(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let (id, _) = world.record().await;
    for fault in [DOWN, Fault::Hang] {
        world.spy.always(Operation::Delete, fault);
        let manager = world.manager();
        let one = manager.revoke(&id).await.unwrap_err();
        let all = manager.revoke_owner(&owner("ada"), None).await.unwrap_err();
        assert_eq!(one.kind(), ErrorKind::Unavailable);
        assert_eq!(all.kind(), ErrorKind::Unavailable);
        world.spy.heal();
    }
    assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
    world.spy.reset();
    world.spy.once(Operation::Delete, Fault::LoseAnswer);
    assert!(world.manager().revoke(&id).await.unwrap(), "seen to be gone");
    world.assert_calls(Counts {
        deletes: 1,
        loads: 1,
        ..NONE
    });
}

pub(super) async fn o2_a_damaged_record_is_ended_only_by_its_owner(harness: &dyn HttpHarness) {
    for (kind, told) in [
        (StoreErrorKind::Corrupt, ErrorKind::Corrupt),
        (StoreErrorKind::NewerFormat, ErrorKind::NewerFormat),
    ] {
        let world = World::new(harness).await;
        let _member = world.member("ada").await;
        let (id, _) = world.record().await;
        world.spy.always(Operation::Load, Fault::Refuse(kind));
        let manager = world.manager();
        let refused = manager.revoke_of(&owner("bob"), &id).await;
        assert_eq!(refused.unwrap_err().kind(), told);
        assert_eq!(world.records().await.len(), 1);
        assert!(manager.revoke_of(&owner("ada"), &id).await.unwrap());
        assert!(world.records().await.is_empty());
    }
}

pub(super) async fn o2_what_cannot_be_ended_keeps_no_other_alive(harness: &dyn HttpHarness) {
    let ada = owner("ada");
    for (operation, kind) in [
        (Operation::Load, StoreErrorKind::Unavailable),
        (Operation::Delete, StoreErrorKind::Unavailable),
        (Operation::Delete, StoreErrorKind::NewerFormat),
    ] {
        let world = World::new(harness).await;
        for _ in 0..3 {
            world.member("ada").await;
        }
        world.spy.once(operation, Fault::Refuse(kind));
        let refused = world.manager().revoke_owner(&ada, None).await;
        assert!(refused.is_err(), "{operation:?} {kind:?}");
        assert!(world.records().await.len() <= 1, "the others are ended");
        world.manager().revoke_owner(&ada, None).await.unwrap();
        assert!(world.records().await.is_empty());
    }
}
