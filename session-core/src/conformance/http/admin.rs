//! C3 and O2 from outside of a request: sessions that an administrator opens, finds and ends.

use super::HttpHarness;
use super::script::Step;
use super::world::{NONE, World, add, get, insert, login, owner};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::{ErrorKind, StoreErrorKind};
use crate::id::SessionId;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);
const DAY: u64 = 24 * 60 * 60;

pub(super) async fn c1_an_administrator_and_the_client_lose_nothing_to_each_other(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let (id, _) = world.record().await;
    let session = world.manager().open(&id).await.unwrap().unwrap();
    world.assert_calls(Counts { loads: 1, ..NONE });
    assert_eq!(session.id(), Some(id));
    assert_eq!(session.owner(), Some(owner("ada")));
    assert_eq!(session.get::<u64>("seen").unwrap(), Some(1));
    member.post([insert("a", 1), add("n")]).await;
    let add = session.transact(|draft| {
        let n = draft.get::<u64>("n")?.unwrap_or(0) + 10;
        draft.insert("n", n)?;
        Ok(n)
    });
    assert_eq!(add.await.unwrap(), 11);
    session.insert("b", 2).unwrap();
    session.flash("note", "hello").unwrap();
    session.save().await.unwrap();
    let steps = [get("a"), get("b"), get("n"), Step::Owner, Step::TakeFlashes];
    assert_eq!(member.get(steps).await.body, r#"[1,2,11,"ada",["hello"]]"#);
    session.reload().await.unwrap();
    assert_eq!(session.get::<u64>("a").unwrap(), Some(1));
}

pub(super) async fn t4_an_administrators_handle_is_no_access(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let (id, before) = world.record().await;
    world.advance(DAY - 1);
    let session = world.manager().open(&id).await.unwrap().unwrap();
    session.insert("a", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(world.record().await.1.accessed_at, before.accessed_at);
    session.touch().await.unwrap();
    assert_eq!(world.record().await.1.accessed_at, world.manager().now());
    world.advance(DAY - 1);
    assert_eq!(visitor.get([get("a")]).await.body, "[1]");
}

pub(super) async fn c3_an_administrators_handle_brings_nothing_back(harness: &dyn HttpHarness) {
    for change in [Step::Logout, Step::Renew, login("bob")] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let (id, _) = world.record().await;
        let session = world.manager().open(&id).await.unwrap().unwrap();
        member.post([change.clone()]).await;
        let before = world.records().await;
        session.insert("late", 1).unwrap();
        assert_eq!(session.save().await.unwrap_err().kind(), ErrorKind::Gone, "{change:?}");
        assert_eq!(session.reload().await.unwrap_err().kind(), ErrorKind::Gone);
        session.ended(std::time::Duration::from_secs(1)).await.unwrap();
        assert_eq!(world.records().await, before);
        // Whoever opens it now acts on it as it is now.
        if let Some(session) = world.manager().open(&id).await.unwrap() {
            session.insert("late", 2).unwrap();
            session.save().await.unwrap();
            assert_eq!(world.record().await.1.data.raw("late"), Some("2"));
        } else {
            assert_eq!(change, Step::Logout);
        }
    }
}

pub(super) async fn t7_no_cookie_comes_of_an_administrators_handle(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let (id, before) = world.record().await;
    for renews in [true, false] {
        let session = world.manager().open(&id).await.unwrap().unwrap();
        match renews {
            true => session.renew(),
            false => session.login(owner("bob")),
        }
        let refused = [
            session.save().await.unwrap_err().kind(),
            session.transact(|draft| draft.insert("a", 1)).await.unwrap_err().kind(),
        ];
        assert_eq!(refused, [ErrorKind::HeadSent; 2], "{renews}");
    }
    assert_eq!(world.record().await, (id, before));
    // Two handles make no seed that could be guessed, and none that the client does not share.
    let session = world.manager().open(&id).await.unwrap().unwrap();
    let token = session.csrf_token().unwrap();
    session.save().await.unwrap();
    assert_eq!(member.post([Step::VerifyCsrf(token)]).await.status, 200);
    // An end needs no cookie.
    session.destroy();
    session.save().await.unwrap();
    assert!(world.records().await.is_empty());
}

pub(super) async fn e2_what_is_absent_or_expired_is_not_opened(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let manager = world.manager();
    let absent = SessionId::from_bytes([7; 16]);
    assert!(manager.open(&absent).await.unwrap().is_none());
    assert_eq!(manager.find(&absent).await.unwrap(), None);
    let _member = world.member("ada").await;
    let (id, record) = world.record().await;
    let found = manager.find(&id).await.unwrap().unwrap();
    let listed = manager.sessions_of(&owner("ada")).await.unwrap();
    assert_eq!(listed.first(), Some(&found));
    assert_eq!((found.id, found.owner), (id, Some(owner("ada"))));
    assert_eq!((found.address, found.agent), (record.address, record.agent));
    for (kind, told) in [
        (StoreErrorKind::Unavailable, ErrorKind::Unavailable),
        (StoreErrorKind::Corrupt, ErrorKind::Corrupt),
        (StoreErrorKind::NewerFormat, ErrorKind::NewerFormat),
    ] {
        world.spy.always(Operation::Load, Fault::Refuse(kind));
        assert_eq!(manager.open(&id).await.unwrap_err().kind(), told);
        assert_eq!(manager.find(&id).await.unwrap_err().kind(), told);
        world.spy.heal();
    }
    world.advance(DAY);
    assert!(manager.open(&id).await.unwrap().is_none());
    assert_eq!(manager.find(&id).await.unwrap(), None);
}

pub(super) async fn a1_a_session_that_is_bound_to_an_address_can_be_administered(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, |config| config.ignore_change_ip(false)).await;
    let mut visitor = world.visitor().await;
    let (id, _) = world.record().await;
    let session = world.manager().open(&id).await.unwrap().unwrap();
    visitor.post([insert("a", 1)]).await;
    session.insert("b", 2).unwrap();
    session.save().await.unwrap();
    assert_eq!(visitor.get([get("a"), get("b")]).await.body, "[1,2]");
}

pub(super) async fn o2_revoke_all_ends_every_session(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browsers = vec![world.visitor().await, world.member("ada").await];
    browsers.push(world.member("bob").await);
    assert_eq!(world.manager().revoke_all().await.unwrap(), 3);
    for browser in &mut browsers {
        assert_eq!(browser.get([Step::Keys, Step::Owner]).await.body, "[[],null]");
    }
    assert!(world.records().await.is_empty());
    assert_eq!(world.manager().revoke_all().await.unwrap(), 0);
}

pub(super) async fn o2_revoke_all_spares_what_begins_after_it_and_comes_to_an_end(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let _before = world.member("ada").await;
    let store = world.spy.hold_answer(Operation::Delete);
    let manager = world.manager().clone();
    let revoking = tokio::task::spawn_local(async move { manager.revoke_all().await });
    store.reached_by(1).await;
    let mut after = world.visitor().await;
    store.open();
    assert_eq!(revoking.await.unwrap().unwrap(), 1);
    assert_eq!(after.get([get("seen")]).await.outcome(0), 1);
}

pub(super) async fn o2_a_revoke_all_that_failed_says_so(harness: &dyn HttpHarness) {
    for operation in [Operation::Scan, Operation::Delete] {
        let world = World::new(harness).await;
        for _ in 0..30 {
            world.visitor().await;
        }
        world.spy.always(operation, DOWN);
        world.spy.reset();
        let refused = world.manager().revoke_all().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{operation:?}");
        assert!(world.spy.counts().deletes <= 10, "it knows when to give up");
        assert_eq!(world.records().await.len(), 30);
        world.spy.heal();
        // One that cannot be ended keeps no other alive.
        world.spy.once(Operation::Delete, DOWN);
        assert!(world.manager().revoke_all().await.is_err());
        assert_eq!(world.records().await.len(), 1);
        assert_eq!(world.manager().revoke_all().await.unwrap(), 1);
    }
}
