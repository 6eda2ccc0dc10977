//! Several workers, each with its own thread and its own application, share one manager.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use session_core::conformance::http::{Probe, Step};
use tokio::task::JoinSet;

use crate::probe_app;
use crate::server::{post, serve};
use crate::world::{add_step, n, seen, world};

#[tokio::test]
async fn c2_sixty_four_clients_of_four_workers_add_to_exactly_6_400() {
    let (_, manager) = world();
    let probe = Probe::new(manager);
    let threads = Arc::new(Mutex::new(BTreeSet::new()));
    let server = serve!(
        {
            let threads = Arc::clone(&threads);
            move || {
                let thread = format!("{:?}", std::thread::current().id());
                threads.lock().unwrap().insert(thread);
                probe_app::app(probe.clone())
            }
        },
        workers = 4
    );
    let mut connection = server.connect().await;
    let cookie = connection.call("", &[seen()]).await.cookie();
    let mut clients = JoinSet::new();
    for _ in 0..64 {
        let cookie = cookie.clone();
        let mut connection = server.connect().await;
        clients.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..100 {
                let reply = connection.call(&cookie, &[add_step()]).await;
                assert_eq!(reply.status, 200, "{reply:?}");
                answers.push(reply.body);
            }
            answers
        });
    }
    let all: BTreeSet<_> = clients.join_all().await.concat().into_iter().collect();
    assert_eq!(all.len(), 6_400, "all answers differ");
    assert_eq!(connection.call(&cookie, &[n()]).await.body, "[6400]");
    assert_eq!(threads.lock().unwrap().len(), 4, "each worker has a thread");
}

#[tokio::test]
async fn a_panicking_handler_closes_its_connection_stores_nothing_and_harms_no_other() {
    let (_, manager) = world();
    let probe = Probe::new(manager);
    let server = serve!(move || probe_app::app(probe.clone()));
    let mut other = server.connect().await;
    let cookie = other.call("", &[seen()]).await.cookie();
    for _ in 0..3 {
        let mut connection = server.connect().await;
        let steps = [Step::Insert("late".into(), 1.into()), Step::Panic];
        connection.write(post("/eager", &cookie, &steps)).await;
        assert_eq!(connection.rest().await, b"", "there is no answer");
    }
    // The same worker, on a connection that was open all the time.
    assert_eq!(
        other.call(&cookie, &[Step::Keys]).await.body,
        r#"[["seen"]]"#
    );
    let reply = other.call(&cookie, &[add_step()]).await;
    assert_eq!(reply.short(), (200, "[1]"), "nobody waits for the dead");
}
