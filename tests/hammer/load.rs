//! What the store is hammered with.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use session_kit::{Error, Session};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::nodes::Nodes;

pub(crate) async fn sixty_four_tasks_add(nodes: &Arc<Nodes>) {
    let cookie = nodes.visitor().await;
    let answers = add_100_each(nodes, &cookie, 64).await;
    all_are_counted(nodes, &cookie, &answers).await;
}

pub(crate) async fn two_hundred_writers(nodes: &Arc<Nodes>) {
    let cookie = nodes.visitor().await;
    // Every request has read the session before the first one stores something.
    let together = Arc::new(Barrier::new(200));
    write_one_key_each(nodes, &cookie, 0..200, &together).await;
    all_keys_are_there(nodes, &cookie).await;
}

/// Adds 100 to the counter in each of `tasks` tasks, by ones; every answer.
pub(crate) async fn add_100_each(nodes: &Arc<Nodes>, cookie: &str, tasks: usize) -> Vec<u64> {
    let mut adding = JoinSet::new();
    for task in 0..tasks {
        let (nodes, cookie) = (Arc::clone(nodes), cookie.to_owned());
        // Half of the tasks make a request for each addition, half make all of them in one.
        let requests = if task / 2 % 2 == 0 { 100 } else { 1 };
        adding.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..requests {
                let request = nodes.request(task, &cookie).await;
                for _ in 0..100 / requests {
                    answers.push(add(&request.session).await.expect("it is counted"));
                }
                assert_eq!(request.finish().await, None, "the cookie stays");
            }
            answers
        });
    }
    adding.join_all().await.concat()
}

/// Looks whether the 6,400 `answers` differ and the session holds their number.
pub(crate) async fn all_are_counted(nodes: &Nodes, cookie: &str, answers: &[u64]) {
    assert_eq!(answers.len(), 6_400);
    let distinct: BTreeSet<u64> = answers.iter().copied().collect();
    assert!(distinct.into_iter().eq(1..=6_400), "all answers differ");
    for node in 0..2 {
        let session = nodes.request(node, cookie).await.session;
        assert_eq!(session.get::<u64>("n").expect("a number"), Some(6_400));
    }
}

/// Stores each of `keys` by a request of its own; all meet twice between reading and writing.
pub(crate) async fn write_one_key_each(
    nodes: &Arc<Nodes>,
    cookie: &str,
    keys: Range<usize>,
    together: &Arc<Barrier>,
) {
    let mut tasks = JoinSet::new();
    for task in keys {
        let (nodes, cookie) = (Arc::clone(nodes), cookie.to_owned());
        let together = Arc::clone(together);
        tasks.spawn(async move {
            let request = nodes.request(task, &cookie).await;
            let key = format!("key{task}");
            request.session.insert(&*key, task).expect("a number");
            // The first meeting says that all have read, the second that all may write.
            together.wait().await;
            together.wait().await;
            assert_eq!(request.finish().await, None, "the cookie stays");
        });
    }
    tasks.join_all().await;
}

/// Looks whether all 200 keys are there, each with its value.
pub(crate) async fn all_keys_are_there(nodes: &Nodes, cookie: &str) {
    for node in 0..2 {
        let session = nodes.request(node, cookie).await.session;
        assert_eq!(session.len(), 201, "each key and what was there before");
        for task in 0..200 {
            let value = session.get::<usize>(&*format!("key{task}"));
            assert_eq!(value.expect("a number"), Some(task));
        }
    }
}

async fn add(session: &Session) -> Result<u64, Error> {
    session
        .transact(|s| {
            let n = s.get::<u64>("n")?.unwrap_or(0) + 1;
            s.insert("n", n)?;
            Ok(n)
        })
        .await
}
