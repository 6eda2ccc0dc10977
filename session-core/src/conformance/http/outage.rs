//! F1 to F3: an outage is never a success, and what is damaged is kept.

use std::time::Duration;

use super::HttpHarness;
use super::message::Response;
use super::script::Step;
use super::world::{NONE, World, add, attempt, get, insert, login, owner};
use crate::config::{OnCorrupt, OnOutage};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);

#[track_caller]
fn assert_unavailable(response: &Response) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), Some("1"));
    let text = "text/plain; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(text));
    let body = "sessions are unavailable at the moment, please try again";
    assert_eq!(response.body, body);
    assert_eq!(response.set_cookie(), None);
}

pub(super) async fn f1_a_store_that_is_down_or_hangs_is_503(harness: &dyn HttpHarness) {
    for fault in [DOWN, Fault::Hang] {
        for (operation, steps) in [
            (Operation::Load, vec![get("seen")]),
            (Operation::Load, vec![]),
            (Operation::Update, vec![insert("a", 1)]),
            (Operation::Update, vec![add("a")]),
            (Operation::Update, vec![insert("a", 1), Step::Save]),
            (Operation::Update, vec![login("ada")]),
            (Operation::Update, vec![Step::Renew]),
            (Operation::Update, vec![Step::CsrfToken]),
            (Operation::Touch, vec![get("seen")]),
            (Operation::Delete, vec![Step::Logout]),
            (Operation::Delete, vec![Step::Destroy, insert("a", 1)]),
        ] {
            let world = World::new(harness).await;
            let mut visitor = world.visitor().await;
            let before = world.records().await;
            world.advance(3_600);
            for method in ["GET", "POST"] {
                world.spy.always(operation, fault.clone());
                let response = visitor.call(method, "/eager", steps.clone()).await;
                assert_unavailable(&response);
                assert_eq!(world.records().await, before, "{operation:?} {steps:?}");
                world.spy.heal();
            }
            let response = visitor.post(steps).await;
            assert_eq!(response.status, 200, "it works again: {operation:?}");
        }
    }
}

pub(super) async fn f1_a_session_that_cannot_begin_is_503(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let full = Fault::Refuse(StoreErrorKind::Full);
    for fault in [DOWN, Fault::Hang, full] {
        for steps in [vec![insert("a", 1)], vec![add("n")], vec![login("ada")]] {
            world.spy.always(Operation::Create, fault.clone());
            let mut browser = world.stranger();
            assert_unavailable(&browser.post(steps.clone()).await);
            assert!(world.records().await.is_empty());
            world.spy.heal();
            assert_eq!(browser.post([login("ada"), Step::Logout]).await.status, 200);
            world.manager().revoke_owner(&owner("ada"), None).await.unwrap();
        }
    }
}

pub(super) async fn f1_a_logout_that_failed_keeps_the_cookie(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.clear_site_data(true)).await;
    let mut member = world.member("ada").await;
    world.spy.always(Operation::Delete, DOWN);
    let response = member.post([Step::Logout]).await;
    assert_unavailable(&response);
    assert_eq!(response.header("clear-site-data"), None);
    assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
    world.spy.heal();
    assert_eq!(member.post([Step::Logout]).await.status, 200);
    assert!(world.records().await.is_empty());
}

pub(super) async fn f1_reading_as_empty_in_an_outage_is_a_choice(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.on_load_outage(OnOutage::Continue)).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    for fault in [DOWN, Fault::Hang] {
        world.spy.always(Operation::Load, fault);
        let response = visitor.get([Step::Keys, Step::Id]).await;
        assert_eq!((response.status, &*response.body), (200, "[[],null]"));
        assert_eq!(response.set_cookie(), None);
        for change in [
            insert("a", 1),
            add("n"),
            login("ada"),
            Step::Logout,
            Step::Destroy,
            Step::CsrfToken,
            Step::SetTimeout(60),
            Step::Remember(60),
        ] {
            let response = visitor.post([change.clone()]).await;
            assert_eq!(response.status, 503, "{change:?}: {response:?}");
            assert_eq!(response.set_cookie(), None);
        }
        world.spy.heal();
        assert_eq!(world.records().await, before);
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    }
}

pub(super) async fn f1_a_touch_that_failed_may_be_passed_over(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.on_touch_outage(OnOutage::Continue)).await;
    let mut visitor = world.visitor().await;
    world.advance(3_600);
    world.spy.always(Operation::Touch, DOWN);
    assert_eq!(visitor.get([get("seen")]).await.body, "[1]");
    world.assert_calls(Counts {
        loads: 1,
        touches: 1,
        ..NONE
    });
}

pub(super) async fn f1_the_deadline_is_the_configured_one(harness: &dyn HttpHarness) {
    let timeout = Duration::from_secs(7);
    let world = World::with(harness, |config| config.store_timeout(timeout)).await;
    let mut visitor = world.visitor().await;
    world.spy.always(Operation::Load, Fault::Hang);
    // Tokio's clock is paused: this is the deadline and no machine's speed.
    let begun = tokio::time::Instant::now();
    assert_unavailable(&visitor.get([]).await);
    let waited = begun.elapsed();
    assert!((timeout..timeout + Duration::from_millis(10)).contains(&waited));
}

pub(super) async fn f2_a_record_that_cannot_be_decoded_is_kept(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    let corrupt = Fault::Refuse(StoreErrorKind::Corrupt);
    world.spy.always(Operation::Load, corrupt);
    let response = visitor.get([Step::Keys]).await;
    assert_eq!((response.status, &*response.body), (200, "[[]]"));
    assert_eq!(response.set_cookie(), None);
    let old = visitor.token();
    visitor.post([insert("new", 1)]).await;
    assert_ne!(visitor.token()[..22], old[..22], "under a new id");
    let records = world.records().await;
    assert!(records.contains(&before[0]), "the damaged one is kept");
    assert_eq!((records.len(), world.spy.counts().deletes), (2, 0));

    let strict = world.node(|config| config.on_corrupt(OnCorrupt::Fail)).await;
    let response = visitor.at(strict.app.clone()).get([Step::Keys]).await;
    assert_eq!((response.status, response.set_cookie()), (500, None));
}

pub(super) async fn f2_a_newer_format_is_503_and_stays(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    let newer = Fault::Refuse(StoreErrorKind::NewerFormat);
    world.spy.always(Operation::Load, newer);
    for steps in [vec![Step::Keys], vec![insert("a", 1)], vec![Step::Logout]] {
        assert_unavailable(&visitor.post(steps).await);
    }
    assert_eq!(world.records().await, before);
}

pub(super) async fn f2_a_damaged_record_can_be_revoked(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let _member = world.member("ada").await;
    let corrupt = Fault::Refuse(StoreErrorKind::Corrupt);
    world.spy.always(Operation::Load, corrupt);
    let ada = owner("ada");
    assert_eq!(world.manager().sessions_of(&ada).await.unwrap(), []);
    assert_eq!(world.manager().revoke_owner(&ada, None).await.unwrap(), 1);
    assert!(world.records().await.is_empty());
}

pub(super) async fn f3_a_session_that_is_too_large_is_refused(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.max_size(1_000)).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    let large = Step::InsertBytes("big".into(), 2_000);
    let response = visitor.post([large.clone()]).await;
    assert_eq!(response.status, 413);
    assert_eq!(response.body, "the session has become too large");
    assert_eq!(response.set_cookie(), None);
    let response = visitor
        .post([large.clone(), attempt(Step::Save), Step::Revert])
        .await;
    let message = response.outcome(1)["message"].to_string();
    assert!(message.contains("2021 bytes"), "{message}");
    assert!(message.contains("1000"), "{message}");
    assert_eq!(world.records().await, before, "it stays as it was");
    let mut stranger = world.stranger();
    assert_eq!(stranger.post([large]).await.status, 413);
    assert!(stranger.jar.is_empty());
    assert_eq!(visitor.post([add("n")]).await.outcome(0), 1);

    let refused = Fault::Refuse(StoreErrorKind::TooLarge);
    world.spy.always(Operation::Update, refused);
    assert_eq!(visitor.post([add("n")]).await.status, 413, "the store's limit");
}

pub(super) async fn f3_a_lower_limit_breaks_no_larger_session(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::InsertBytes("big".into(), 2_000)]).await;
    let hour = Duration::from_secs(3_600);
    let lower = world
        .node(|config| config.max_size(1_000).renew_every(hour))
        .await;
    let mut visitor = visitor.at(lower.app.clone());
    for steps in [
        vec![],
        vec![Step::Renew],
        vec![login("ada")],
        vec![Step::SetTimeout(86_400)],
        vec![Step::Save],
    ] {
        let response = visitor.post([vec![get("seen")], steps.clone()].concat()).await;
        assert_eq!(response.status, 200, "{steps:?}: {response:?}");
        assert_eq!(response.outcome(0), 1);
    }
    world.advance(3_600);
    let response = visitor.get([get("seen")]).await;
    assert!(response.set_cookie().is_some(), "it is renewed by time");
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    assert_eq!(visitor.post([insert("a", 1)]).await.status, 413);
    let response = visitor.post([Step::Remove("big".into()), insert("a", 1)]).await;
    assert_eq!(response.status, 200);
}
