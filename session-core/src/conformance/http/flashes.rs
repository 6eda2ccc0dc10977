//! C6: what is shown once is shown once.

use serde_json::json;

use super::HttpHarness;
use super::script::Step;
use super::world::{World, wait};
use crate::conformance::{Fault, Operation};
use crate::error::StoreErrorKind;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);

pub(super) async fn c6_each_flash_is_shown_exactly_once(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let mut visitor = world.visitor().await;
    visitor
        .post([Step::Flash("one".into()), Step::Flash("two".into())])
        .await;
    world.spy.interleave();
    let steps = [wait("go"), Step::TakeFlashes];
    let mut taking: Vec<_> = (0..4).map(|_| visitor.start_get(steps.clone())).collect();
    let there = visitor.at(node.app.clone());
    taking.extend((0..4).map(|_| there.start_get(steps.clone())));
    world.probe.gate("go").reached_by(4).await;
    node.release("go", 4).await;
    world.release("go", 4).await;
    let mut shown = Vec::new();
    for running in taking {
        let response = running.answer().await;
        assert_eq!(response.status, 200);
        let texts = response.outcome(1);
        shown.extend(texts.as_array().unwrap().clone());
    }
    assert_eq!(shown, ["one", "two"]);
    assert_eq!(visitor.get([Step::TakeFlashes]).await.body, "[[]]");
}

pub(super) async fn c6_flashes_and_seed_are_beside_the_data(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let steps = [
        Step::Flash("one".into()),
        Step::CsrfToken,
        Step::Keys,
        Step::Clear,
    ];
    let response = visitor.post(steps).await;
    assert_eq!(response.outcome(2), json!(["seen"]));
    let token = response.outcome(1).as_str().unwrap().to_owned();
    let response = visitor
        .post([Step::Keys, Step::TakeFlashes, Step::VerifyCsrf(token)])
        .await;
    assert_eq!(response.body, r#"[[],["one"],null]"#);
}

pub(super) async fn c6_flashes_that_cannot_be_committed_are_not_shown(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::Flash("one".into())]).await;
    world.spy.always(Operation::Update, DOWN);
    let response = visitor.get([Step::TakeFlashes]).await;
    assert_eq!(response.status, 503);
    world.spy.heal();
    let response = visitor.get([Step::TakeFlashes]).await;
    assert_eq!(response.body, r#"[["one"]]"#);
}
