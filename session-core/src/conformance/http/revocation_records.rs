//! What is remembered of sealed sessions that ended: records in a store, which may fail, be damaged, be
//! read by others, and must not grow.

use super::HttpHarness;
use super::revocations::{DAY, DOWN, NOBODY, id_of, who};
use super::script::Step;
use super::world::{NONE, World, get, insert, login, owner, wait};
use crate::config::OnOutage;
use crate::conformance::{Counts, Fault, Operation};
use crate::data::Data;
use crate::error::{ErrorKind, StoreErrorKind};
use crate::id::SessionId;
use crate::keys::KeyRing;
use crate::record::Record;
use crate::store::Written;

pub(super) async fn f1_what_is_revoked_cannot_be_read(harness: &dyn HttpHarness) {
    for fault in [DOWN, Fault::Hang] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        let mut visitor = world.visitor().await;
        world.spy.always(Operation::Load, fault);
        let response = member.get([get("seen")]).await;
        assert_eq!(response.status, 503);
        assert!(response.header("retry-after").is_some());
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
        let empty = world
            .node(|config| config.on_load_outage(OnOutage::Continue))
            .await;
        let mut there = member.at(empty.app.clone());
        assert_eq!(there.get([Step::Keys]).await.body, "[[]]");
        assert_eq!(there.post([insert("n", 1)]).await.status, 503);
        world.spy.heal();
        assert_eq!(who(&mut member).await, "ada");
    }
}

pub(super) async fn f1_an_end_that_could_not_be_written_is_no_success(harness: &dyn HttpHarness) {
    for change in [Step::Logout, Step::Renew, login("ada"), login("bob")] {
        for fault in [DOWN, Fault::Hang, Fault::Refuse(StoreErrorKind::Full)] {
            let world = World::new(harness).await;
            let mut member = world.member("ada").await;
            world.spy.always(Operation::Create, fault.clone());
            let response = member.post([change.clone()]).await;
            assert_eq!(response.status, 503, "{change:?} {fault:?}");
            assert_eq!(response.set_cookie(), None);
            world.spy.heal();
            assert_eq!(who(&mut member).await, "ada", "{change:?} {fault:?}");
        }
    }
}

pub(super) async fn f1_a_login_that_fails_leaves_the_session_before(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let running = member.start_post([wait("go"), login("bob")]);
    world.reached("go").await;
    let first = world.spy.hold(Operation::Load);
    world.release("go", 1).await;
    first.reached_by(1).await;
    world.spy.once(Operation::Load, DOWN);
    first.open();
    let response = running.answer().await;
    assert_eq!(response.status, 503);
    member.keep(&response);
    assert_eq!(who(&mut member).await, "ada");
}

pub(super) async fn f1_signing_out_everywhere_that_failed_says_so(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    let mut member = world.member("ada").await;
    for operation in [Operation::Load, Operation::Create] {
        for fault in [DOWN, Fault::Hang] {
            world.spy.always(operation, fault);
            let error = world.manager().revoke_owner(&ada, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let id = SessionId::from_bytes([1; 16]);
            let error = world.manager().revoke_of(&ada, &id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            world.spy.heal();
        }
    }
    assert_eq!(who(&mut member).await, "ada");
}

pub(super) async fn c5_an_end_whose_answer_is_lost_is_looked_up(harness: &dyn HttpHarness) {
    for fault in [Fault::LoseAnswer, Fault::BreakAnswer] {
        for (operation, before) in [(Operation::Create, 0), (Operation::Update, 1)] {
            for change in [Step::Logout, Step::Renew, login("ada"), login("bob")] {
                let world = World::new(harness).await;
                for _ in 0..before {
                    world.member("ada").await.post([Step::Logout]).await;
                }
                let mut member = world.member("ada").await;
                let mut copy = member.clone();
                world.spy.once(operation, fault.clone());
                let response = member.post([change.clone()]).await;
                assert_eq!(response.status, 200, "{change:?} {fault:?}: {response:?}");
                assert!(response.set_cookie().is_some());
                let alive = change != Step::Logout;
                assert_eq!(who(&mut member).await != NOBODY, alive, "{change:?}");
                assert_eq!(who(&mut copy).await, NOBODY, "{change:?}");
                assert_eq!(world.record().await.1.version.counter(), before + 1);
            }
        }
    }
}

pub(super) async fn c5_an_end_that_arrives_late_is_merged_once(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let mut copy = member.clone();
    world.spy.once(Operation::Create, Fault::ArriveLate);
    assert_eq!(member.post([Step::Renew]).await.status, 200);
    assert_eq!(who(&mut member).await, "ada");
    assert_eq!(who(&mut copy).await, NOBODY);
    assert_eq!(world.record().await.1.version.counter(), 1);
}

pub(super) async fn c4_ends_at_the_same_time_are_all_remembered(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let mut members = Vec::new();
    for _ in 0..20 {
        members.push(world.member("ada").await);
    }
    world.spy.interleave();
    let apps = [&world.app, &node.app].into_iter().cycle();
    let ends = members.iter().zip(apps).map(|(member, app)| {
        let member = member.at(app.clone());
        member.start_post([Step::Logout])
    });
    for running in ends.collect::<Vec<_>>() {
        assert_eq!(running.answer().await.status, 200);
    }
    for member in &mut members {
        assert_eq!(who(member).await, NOBODY);
    }
}

pub(super) async fn c4_endless_conflicts_over_an_end_are_an_error(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    world.spy.always(Operation::Create, Fault::Conflict);
    assert_eq!(member.post([Step::Logout]).await.status, 503);
    world.spy.heal();
    assert_eq!(who(&mut member).await, "ada");
}

pub(super) async fn e4_what_no_cookie_is_about_is_forgotten_and_swept(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let copy = member.clone();
    // A request that was let in before the end puts it off as late as it can.
    world.advance(DAY - 61);
    let slow = copy.start_get([get("seen"), wait("go")]);
    world.reached("go").await;
    member.post([Step::Logout]).await;
    world.advance(DAY - 1);
    world.release("go", 1).await;
    let mut revived = copy.clone();
    revived.keep(&slow.answer().await);
    for _ in 0..3 {
        assert_eq!(who(&mut revived.clone()).await, NOBODY);
        assert_eq!(world.manager().sweep().await.unwrap(), 0);
        world.advance(DAY / 2);
    }
    world.advance(DAY);
    assert_eq!(world.manager().sweep().await.unwrap(), 1);
    assert!(world.records().await.is_empty());
    assert_eq!(who(&mut revived).await, NOBODY);
}

pub(super) async fn e4_a_record_holds_only_what_must_be_remembered(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for _ in 0..5 {
        world.member("ada").await.post([Step::Logout]).await;
    }
    let data = world.data().await;
    assert_eq!(data.matches("until").count(), 5, "{data}");
    world.advance(3 * DAY);
    world.member("ada").await.post([Step::Logout]).await;
    let data = world.data().await;
    assert_eq!(data.matches("until").count(), 1, "{data}");
    world
        .manager()
        .revoke_owner(&owner("ada"), None)
        .await
        .unwrap();
    let data = world.data().await;
    assert_eq!(data.matches("until").count(), 1, "{data}");
}

pub(super) async fn i2_a_record_of_revocations_names_nobody_and_opens_nothing(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    let mut member = world.member("ada").await;
    let session = id_of(&mut member).await;
    member.post([Step::Logout]).await;
    let (id, record) = world.record().await;
    assert_ne!(id, session);
    assert_eq!(record.owner, None);
    assert_eq!(world.spy.inner().owned_by(&ada).await.unwrap(), []);
    assert!(!record.encode().contains("ada"), "{}", record.encode());
    // Under other keys, or for another cookie, it has another id.
    let node = world
        .node(|config| config.cookie_name("__Host-other"))
        .await;
    node.manager().revoke_owner(&ada, None).await.unwrap();
    assert_eq!(world.records().await.len(), 2);
}

pub(super) async fn i3_what_was_revoked_under_an_older_key_stays_so(harness: &dyn HttpHarness) {
    const OLD: &[u8] = b"an older key of thirty-two bytes";
    const NEW: &[u8] = b"the next key of thirty-two bytes";
    let ring = |first: &[u8], older: &[u8]| {
        let ring = KeyRing::new(first).expect("a key");
        ring.and_older(older).expect("a key")
    };
    let (old_first, new_first) = (ring(OLD, NEW), ring(NEW, OLD));
    let world = World::with(harness, |config| {
        config.secret_key(KeyRing::new(OLD).expect("a key"))
    })
    .await;
    let added = world.node(|config| config.secret_key(old_first)).await;
    let turned = world.node(|config| config.secret_key(new_first)).await;
    let nodes = [&world, &added, &turned];
    for ends in nodes {
        for reads in nodes {
            // A node that knows only the old key does not see what is under the new one.
            if std::ptr::eq(ends, &raw const turned) && std::ptr::eq(reads, &raw const world) {
                continue;
            }
            // Whoever signs in is issued after what is revoked under either key.
            let mut member = ends.member("ada").await;
            let mut copy = member.at(reads.app.clone());
            assert_eq!(who(&mut copy).await, "ada");
            member.post([Step::Logout]).await;
            assert_eq!(who(&mut copy).await, NOBODY);
            let mut copy = ends.member("ada").await.at(reads.app.clone());
            ends.manager()
                .revoke_owner(&owner("ada"), None)
                .await
                .unwrap();
            assert_eq!(who(&mut copy).await, NOBODY);
        }
    }
}

pub(super) async fn f2_a_damaged_record_lets_nobody_in_until_all_are_signed_out(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let ada = owner("ada");
    let mut member = world.member("ada").await;
    let session = id_of(&mut member).await;
    world.member("ada").await.post([Step::Logout]).await;
    let damage = |text: &'static str| {
        let world = &world;
        async move {
            let (id, record) = world.record().await;
            let version = record.version;
            let record = Record {
                version: version.next().unwrap(),
                data: Data::parse(text).unwrap(),
                ..record
            };
            let written = world.spy.inner().update(&id, &record, version).await;
            assert_eq!(written.unwrap(), Written::Done);
        }
    };
    damage("{\"format\":1,\"sessions\":7}").await;
    assert_eq!(who(&mut member.clone()).await, NOBODY);
    assert_eq!(world.stranger().post([login("ada")]).await.status, 500);
    world
        .manager()
        .revoke_owner(&ada, Some(&session))
        .await
        .unwrap();
    assert_eq!(who(&mut member).await, NOBODY);
    let mut again = world.member("ada").await;
    assert_eq!(who(&mut again).await, "ada");
    // What a newer version wrote is left to it.
    damage("{\"format\":2}").await;
    assert_eq!(again.get([Step::Owner]).await.status, 503);
    let error = world.manager().revoke_owner(&ada, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerFormat);
}

pub(super) async fn f1_a_ping_asks_the_store_of_the_revocations(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    world.manager().ping().await.unwrap();
    world.assert_calls(Counts { pings: 1, ..NONE });
    world.spy.always(Operation::Ping, DOWN);
    let error = world.manager().ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
