//! C6: what is shown once is shown once.

use serde_json::json;

use super::HttpHarness;
use super::script::Step;
use super::world::{NONE, World, owner, wait};
use crate::conformance::{Counts, Fault, Operation};
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

pub(super) async fn c6_a_cleared_session_is_still_its_owners(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut member = world.member("ada").await;
    let response = member.post([Step::Clear, Step::Owner]).await;
    assert_eq!(response.body, r#"[null,"ada"]"#);
    assert_eq!(member.get([Step::Keys, Step::Owner]).await.body, r#"[[],"ada"]"#);
    let (_, record) = world.record().await;
    assert_eq!(record.owner, Some(owner("ada")));
    member.post([Step::Clear, Step::Logout]).await;
    assert_eq!(member.get([Step::Owner]).await.body, "[null]");
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

fn flash(category: &str, text: &str) -> Step {
    Step::FlashAs(category.to_owned(), text.to_owned())
}

fn in_queue(name: &str, step: Step) -> Step {
    Step::InQueue(name.to_owned(), Box::new(step))
}

fn take_of(categories: &[&str]) -> Step {
    Step::TakeFlashesOf(categories.iter().map(ToString::to_string).collect())
}

pub(super) async fn c6_queues_of_flashes_are_apart(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let once = || Step::FlashOnce("same".into());
    let steps = [
        once(),
        in_queue("checkout", once()),
        in_queue("checkout", flash("error", "declined")),
        in_queue("", once()),
        Step::Keys,
        Step::Clear,
    ];
    let response = visitor.post(steps).await;
    assert_eq!(response.outcome(4), json!(["seen"]));
    let look = || in_queue("checkout", Step::Flashes);
    let response = visitor
        .get([look(), in_queue("checkout", take_of(&["note"])), look()])
        .await;
    assert_eq!(
        response.body,
        r#"[["same","declined"],["same"],["declined"]]"#
    );
    let steps = [
        in_queue("checkout", Step::TakeFlashes),
        in_queue("", Step::TakeFlashes),
        in_queue("no such", Step::TakeFlashes),
        Step::TakeFlashes,
    ];
    let response = visitor.get(steps).await;
    assert_eq!(response.body, r#"[["declined"],["same"],[],["same"]]"#);
}

pub(super) async fn c6_some_categories_are_taken_and_the_others_keep_their_order(
    harness: &dyn HttpHarness,
) {
    for queue in [false, true] {
        let step = |step| match queue {
            true => in_queue("q", step),
            false => step,
        };
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        for (category, text) in [
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("a", "4"),
            ("b", "5"),
            ("c", "6"),
        ] {
            visitor.post([step(flash(category, text))]).await;
        }
        let response = visitor.get([step(take_of(&["c", "a", "d"]))]).await;
        assert_eq!(response.body, r#"[["1","3","4","6"]]"#);
        let response = visitor.get([step(take_of(&[])), step(Step::Flashes)]).await;
        assert_eq!(response.body, r#"[[],["2","5"]]"#);
        let response = visitor.get([step(Step::TakeFlashes)]).await;
        assert_eq!(response.body, r#"[["2","5"]]"#);
    }
}

pub(super) async fn c6_two_takers_of_two_categories_get_each_flash_once(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let mut visitor = world.visitor().await;
    let add: Vec<Step> = (0..12)
        .map(|n| flash(["a", "b", "c"][n % 3], &format!("{n:02}")))
        .collect();
    visitor.post(add).await;
    world.spy.interleave();
    let there = visitor.at(node.app.clone());
    let mut taking = Vec::new();
    for categories in [["a", "b"], ["b", "c"], ["c", "a"]] {
        let steps = [wait("go"), take_of(&categories)];
        taking.push(visitor.start_get(steps.clone()));
        taking.push(there.start_get(steps));
    }
    world.probe.gate("go").reached_by(3).await;
    node.release("go", 3).await;
    world.release("go", 3).await;
    let mut shown = Vec::new();
    for running in taking {
        let response = running.answer().await;
        assert_eq!(response.status, 200);
        let texts: Vec<String> = serde_json::from_value(response.outcome(1)).unwrap();
        assert!(texts.is_sorted(), "in the order they were added: {texts:?}");
        shown.extend(texts);
    }
    shown.sort();
    let all: Vec<String> = (0..12).map(|n| format!("{n:02}")).collect();
    assert_eq!(shown, all);
}

pub(super) async fn c6_looking_at_flashes_takes_none_and_stores_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor
        .post([
            flash("a", "one"),
            flash("b", "two"),
            in_queue("q", flash("c", "three")),
        ])
        .await;
    world.spy.reset();
    for _ in 0..2 {
        let steps = [
            Step::Flashes,
            in_queue("q", Step::Flashes),
            take_of(&["c"]),
            in_queue("other", Step::TakeFlashes),
        ];
        let response = visitor.get(steps).await;
        assert_eq!(response.body, r#"[["one","two"],["three"],[],[]]"#);
        assert_eq!(response.set_cookie(), None);
        world.assert_calls(Counts { loads: 1, ..NONE });
    }
}

pub(super) async fn c6_the_same_flash_waits_once_whoever_adds_it(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let mut visitor = world.visitor().await;
    visitor.post([flash("error", "same")]).await;
    world.spy.interleave();
    let once = || Step::FlashOnce("same".into());
    // Each has loaded its session when the first one stores it.
    let steps = [once(), once(), in_queue("q", once()), wait("go")];
    let there = visitor.at(node.app.clone());
    let adding: Vec<_> = (0..4)
        .flat_map(|_| {
            [
                visitor.start_post(steps.clone()),
                there.start_post(steps.clone()),
            ]
        })
        .collect();
    world.probe.gate("go").reached_by(4).await;
    node.release("go", 4).await;
    world.release("go", 4).await;
    for running in adding {
        assert_eq!(running.answer().await.status, 200);
    }
    visitor.post([once(), Step::Flash("again".into())]).await;
    visitor.post([once()]).await;
    let steps = [Step::TakeFlashes, in_queue("q", Step::TakeFlashes)];
    let response = visitor.get(steps).await;
    assert_eq!(
        response.body, r#"[["same","same","again"],["same"]]"#,
        "another category is another flash"
    );
    let response = visitor.post([once(), Step::TakeFlashes]).await;
    assert_eq!(response.body, r#"[null,["same"]]"#, "it waits no more");
}

pub(super) async fn c6_what_was_taken_meanwhile_is_added_again(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let once = Step::FlashOnce("same".into());
    visitor.post([once.clone()]).await;
    let slow = visitor.start_post([once, wait("go")]);
    world.reached("go").await;
    assert_eq!(
        visitor.get([Step::TakeFlashes]).await.body,
        r#"[["same"]]"#
    );
    world.release("go", 1).await;
    assert_eq!(slow.answer().await.status, 200);
    assert_eq!(
        visitor.get([Step::TakeFlashes]).await.body,
        r#"[["same"]]"#,
        "the second was not shown with the first"
    );
}
