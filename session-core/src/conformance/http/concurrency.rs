//! C1 and C2: no update is lost.

use std::collections::BTreeSet;
use std::slice::from_ref;
use std::time::Duration;

use super::HttpHarness;
use super::script::Step;
use super::world::{World, add, attempt, get, insert, wait};
use crate::config::SessionConfigBuilder;
use serde_json::{Value, json};

/// Starts `first`, which waits at its gate with its changes made, lets `second` run to its end,
/// and lets `first` save on top of it. Returns the data then stored.
async fn overtaken(world: &World<'_>, first: &[Step], second: &[Step]) -> String {
    let mut visitor = world.visitor().await;
    let slow = visitor.start_post([first, &[wait("go")]].concat());
    world.reached("go").await;
    assert_eq!(visitor.post(second).await.status, 200);
    world.release("go", 1).await;
    let slow = slow.answer().await;
    assert_eq!((slow.status, slow.set_cookie()), (200, None));
    world.data().await
}

pub(super) async fn c1_a_save_carries_operations_and_no_snapshot(harness: &dyn HttpHarness) {
    let update = || Step::UpdateAdd("n".into());
    let append = |item: u64| Step::Append("list".into(), item.into());
    for (first, second, stored) in [
        (insert("a", 1), insert("b", 2), json!({"seen":1,"b":2,"a":1})),
        (insert("k", 1), insert("k", 2), json!({"seen":1,"k":1})),
        (update(), update(), json!({"seen":1,"n":2})),
        (append(1), append(2), json!({"seen":1,"list":[2,1]})),
        (Step::Clear, insert("b", 2), json!({})),
        (Step::Remove("seen".into()), insert("b", 2), json!({"b":2})),
        (insert("a", 1), Step::Clear, json!({"a":1})),
        (Step::Remove("seen".into()), insert("seen", 2), json!({})),
    ] {
        let world = World::new(harness).await;
        let data = overtaken(&world, from_ref(&first), from_ref(&second)).await;
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data, stored, "{first:?} after {second:?}");
    }
}

pub(super) async fn c1_what_was_only_read_does_not_come_back(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let first = [get("seen"), insert("a", 1)];
    let data = overtaken(&world, &first, &[Step::Remove("seen".into())]).await;
    assert_eq!(data, r#"{"a":1}"#);
}

pub(super) async fn c1_of_two_defaults_the_first_that_is_stored_stands(harness: &dyn HttpHarness) {
    let mut first = Vec::new();
    for value in ["slow", "quick"] {
        first.push(Step::InsertIfAbsent("k".into(), value.into()));
    }
    let world = World::new(harness).await;
    let data = overtaken(&world, &first[..1], &first[1..]).await;
    assert_eq!(data, r#"{"seen":1,"k":"quick"}"#);
}

pub(super) async fn c1_one_of_many_finds_a_key_absent(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let visitor = world.visitor().await;
    world.spy.interleave();
    let askers: Vec<_> = (0..16)
        .map(|n| {
            let app = if n % 2 == 0 { &world.app } else { &node.app };
            let step = Step::TransactInsertIfAbsent("k".into(), n.into());
            visitor.at(app.clone()).start_post([get("seen"), step])
        })
        .collect();
    let mut first = Vec::new();
    for (n, asker) in askers.into_iter().enumerate() {
        let answer = asker.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.outcome(1) == true {
            first.push(n);
        }
    }
    assert_eq!(first.len(), 1, "{first:?}");
    let stored = format!(r#"{{"seen":1,"k":{}}}"#, first[0]);
    assert_eq!(world.data().await, stored);
}

pub(super) async fn c1_reload_keeps_the_changes_of_this_request(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let steps = [
        insert("a", 1),
        wait("go"),
        get("b"),
        Step::Reload,
        get("b"),
        get("a"),
    ];
    let slow = visitor.start_post(steps);
    world.reached("go").await;
    visitor.post([insert("b", 2), insert("a", 9)]).await;
    world.release("go", 1).await;
    let slow = slow.answer().await;
    assert_eq!(slow.body, "[null,null,null,null,2,1]");
    assert_eq!(visitor.get([get("a")]).await.outcome(0), 1);
}

fn patient(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config.store_timeout(Duration::from_secs(600))
}

pub(super) async fn c2_sixty_four_clients_add_to_exactly_6_400(harness: &dyn HttpHarness) {
    let world = World::with(harness, patient).await;
    let node = world.node(patient).await;
    let visitor = world.visitor().await;
    world.spy.interleave();
    let mut answers = BTreeSet::new();
    for _ in 0..100 {
        let clients: Vec<_> = (0..64)
            .map(|n| {
                let app = if n % 2 == 0 { &world.app } else { &node.app };
                visitor.at(app.clone()).start_post([add("n")])
            })
            .collect();
        for client in clients {
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answers.insert(answer.outcome(0).as_u64());
        }
    }
    assert_eq!(answers.len(), 6_400, "all answers differ");
    assert_eq!(answers.last(), Some(&Some(6_400)));
    assert_eq!(world.data().await, r#"{"seen":1,"n":6400}"#);
}

pub(super) async fn c2_two_hundred_writers_of_different_keys_all_survive(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, patient).await;
    let node = world.node(patient).await;
    let mut visitor = world.visitor().await;
    world.spy.interleave();
    let writers: Vec<_> = (0..200)
        .map(|n| {
            let app = if n % 2 == 0 { &world.app } else { &node.app };
            let steps = [insert(&format!("key{n}"), n)];
            visitor.at(app.clone()).start_post(steps)
        })
        .collect();
    for writer in writers {
        assert_eq!(writer.answer().await.status, 200);
    }
    let keys = visitor.get([Step::Keys]).await.outcome(0);
    assert_eq!(keys.as_array().map(Vec::len), Some(201));
}

pub(super) async fn c2_a_transaction_that_fails_writes_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    let fail = Step::TransactFail("a".into(), 1.into());
    let response = visitor.post([attempt(fail.clone()), get("a")]).await;
    assert_eq!(response.outcome(0)["error"], "Application");
    assert_eq!(response.outcome(0)["message"], "the transaction changed its mind");
    assert_eq!(response.outcome(1), Value::Null);
    assert_eq!(world.records().await, before);

    let response = visitor.post([insert("b", 1), attempt(fail)]).await;
    assert_eq!(response.status, 200);
    assert_eq!(world.data().await, r#"{"seen":1,"b":1}"#, "what came before stays");
}
