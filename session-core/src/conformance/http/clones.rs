//! C1 and C5: clones of one handle, and writes that arrive when nobody waits for them.

use super::HttpHarness;
use super::browser::Running;
use super::doubt::in_doubt;
use super::script::Step;
use super::world::{World, add, attempt, get, insert, wait};
use crate::conformance::{Fault, Gate, Operation};
use crate::error::StoreErrorKind;
use crate::store::Written;
use serde_json::json;

const DOWN: Fault = Fault::Refuse(StoreErrorKind::Unavailable);

/// A request whose handler makes `before`, then `meanwhile` while a clone's `commit` waits at
/// the gate returned, then waits at "made".
async fn beside(
    world: &World<'_>,
    before: &[Step],
    commit: Step,
    meanwhile: &[Step],
    then: &[Step],
) -> (Running, Gate) {
    let visitor = world.visitor().await;
    let held = world.spy.hold(Operation::Update);
    let side = Step::After("side".into(), vec![commit]);
    let steps = [before, &[side, wait("go")], meanwhile, &[wait("made")], then].concat();
    let running = visitor.start_post(steps);
    world.release("side", 1).await;
    held.reached_by(1).await;
    world.release("go", 1).await;
    world.reached("made").await;
    (running, held)
}

pub(super) async fn f1_a_logout_beside_a_touch_is_not_forgotten(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let member = world.member("ada").await;
    world.advance(600);
    let held = world.spy.hold(Operation::Touch);
    let running = member.start_post([
        Step::After("ends".into(), vec![Step::Logout]),
        Step::After("saves".into(), vec![Step::Save]),
    ]);
    held.reached_by(1).await;
    world.release("ends", 1).await;
    assert_eq!(world.probe.outcome("ends").await, "[null]");
    held.open();
    assert_eq!(running.answer().await.status, 200);
    world.release("saves", 1).await;
    assert_eq!(world.probe.outcome("saves").await, "[null]");
    assert!(world.records().await.is_empty());
}

pub(super) async fn c1_what_is_done_beside_a_clones_commit_is_kept(harness: &dyn HttpHarness) {
    let update = || Step::UpdateAdd("n".into());
    let append = |item: u64| Step::Append("list".into(), item.into());
    for (before, commit, meanwhile, stored) in [
        (vec![], add("n"), vec![update()], json!({"seen":1,"n":2})),
        (vec![update()], add("n"), vec![update()], json!({"seen":1,"n":3})),
        (vec![append(1)], Step::Save, vec![append(2)], json!({"seen":1,"list":[1,2]})),
        (
            vec![insert("k", 1)],
            Step::Save,
            vec![insert("k", 2), insert("l", 3)],
            json!({"seen":1,"k":2,"l":3}),
        ),
        (
            vec![insert("k", 1)],
            Step::Save,
            vec![Step::Remove("k".into()), Step::Clear],
            json!({}),
        ),
        (vec![insert("k", 1)], Step::Save, vec![Step::Revert], json!({"seen":1,"k":1})),
        (
            vec![insert("k", 1)],
            Step::Save,
            vec![Step::Revert, insert("m", 2)],
            json!({"seen":1,"k":1,"m":2}),
        ),
    ] {
        let world = World::new(harness).await;
        let (running, held) = beside(&world, &before, commit.clone(), &meanwhile, &[]).await;
        held.open();
        world.probe.outcome("side").await;
        world.release("made", 1).await;
        assert_eq!(running.answer().await.status, 200);
        let data: serde_json::Value = serde_json::from_str(&world.data().await).unwrap();
        assert_eq!(data, stored, "{meanwhile:?} beside {commit:?}");
    }
}

pub(super) async fn c1_what_is_done_beside_a_commit_that_met_another_is_kept(
    harness: &dyn HttpHarness,
) {
    let append = |item: u64| Step::Append("list".into(), item.into());
    // While the first write is on its way, or the second, which builds on the other's record.
    for while_first in [true, false] {
        let world = World::new(harness).await;
        let visitor = world.visitor().await;
        let (id, record) = world.record().await;
        let first = world.spy.hold(Operation::Update);
        let running = visitor.start_post([
            append(1),
            Step::After("side".into(), vec![Step::Save]),
            wait("go"),
            append(2),
            wait("made"),
            get("list"),
        ]);
        world.release("side", 1).await;
        first.reached_by(1).await;
        let mut other = record.clone();
        other.data = crate::Data::parse(r#"{"seen":1,"list":[9]}"#).unwrap();
        other.version = record.version.next().unwrap();
        let written = world.spy.inner().update(&id, &other, record.version).await;
        assert_eq!(written.unwrap(), Written::Done);
        let second = world.spy.hold(Operation::Update);
        if while_first {
            world.release("go", 1).await;
            world.reached("made").await;
        }
        first.open();
        second.reached_by(1).await;
        if !while_first {
            world.release("go", 1).await;
            world.reached("made").await;
        }
        second.open();
        assert_eq!(world.probe.outcome("side").await, "[null]");
        world.release("made", 1).await;
        assert_eq!(running.answer().await.status, 200);
        assert_eq!(world.data().await, r#"{"seen":1,"list":[9,1,2]}"#);
    }
}

pub(super) async fn c1_reload_never_puts_an_older_record_over_a_newer(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    let running = visitor.start_post([
        Step::After("side".into(), vec![Step::Reload]),
        wait("go"),
        add("n"),
        wait("made"),
        get("n"),
        add("n"),
    ]);
    world.reached("go").await;
    let held = world.spy.hold_answer(Operation::Load);
    world.release("side", 1).await;
    held.reached_by(1).await;
    world.release("go", 1).await;
    world.reached("made").await;
    held.open();
    assert_eq!(world.probe.outcome("side").await, "[null]");
    world.spy.reset();
    world.release("made", 1).await;
    let response = running.answer().await;
    assert_eq!((response.outcome(4), response.outcome(5)), (json!(1), json!(2)));
    assert_eq!(world.spy.counts().updates, 1, "on the newest there is");
}

pub(super) async fn c5_a_write_that_arrives_late_does_not_count_twice(harness: &dyn HttpHarness) {
    for create in [false, true] {
        for commit in [Step::Save, add("m")] {
            let world = World::new(harness).await;
            let mut browser = if create {
                world.stranger()
            } else {
                world.visitor().await
            };
            let write = if create {
                Operation::Create
            } else {
                Operation::Update
            };
            // Between the two commits it is looked for, and not yet there.
            world.spy.once(write, Fault::ArriveLate);
            let steps = [
                Step::UpdateAdd("n".into()),
                Step::Append("list".into(), 1.into()),
                attempt(commit.clone()),
                Step::UpdateAdd("n".into()),
                Step::Append("list".into(), 2.into()),
                commit.clone(),
            ];
            let response = browser.post(steps).await;
            assert_eq!(response.status, 200, "{commit:?}: {response:?}");
            assert_eq!(response.outcome(2)["error"], "Unavailable");
            let shown = browser.get([get("n"), get("list")]).await;
            assert_eq!(shown.body, "[2,[1,2]]", "{commit:?}, create: {create}");
            assert_eq!(world.records().await.len(), 1, "one session was begun");
        }
    }
}

pub(super) async fn c5_a_doubt_whose_record_is_gone_is_gone(harness: &dyn HttpHarness) {
    for fault in [Fault::BreakAnswer, DOWN] {
        for again in [Step::Save, add("n")] {
            let world = World::new(harness).await;
            let visitor = world.visitor().await;
            let running = visitor.start_post([
                wait("begin"),
                Step::UpdateAdd("n".into()),
                attempt(Step::Save),
                wait("healed"),
                again.clone(),
            ]);
            in_doubt(&world, Operation::Update, fault.clone()).await;
            let (id, _) = world.record().await;
            assert!(world.manager().revoke(&id).await.unwrap());
            world.release("healed", 1).await;
            let response = running.answer().await;
            assert_eq!(response.status, 409, "{fault:?} {again:?}");
            assert!(world.records().await.is_empty());
        }
    }
}
