//! Ten thousand requests at a server that hangs.

use std::time::Duration;

use session_core::Store;
use session_core::conformance::samples;
use session_redis::RedisStore;
use session_test_servers::RedisServer;
use tokio::runtime::Handle;

use crate::probes::{comes_back, create_some, until};

const REQUESTS: usize = 10_000;

#[tokio::test]
async fn dropped_requests_at_a_hung_server_leave_nothing_behind() {
    let server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    server.freeze();
    let requests: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let deadline = Duration::from_secs(2);
                match tokio::time::timeout(deadline, store.load(&id)).await {
                    Ok(Ok(loaded)) => panic!("a hung server answered {loaded:?}"),
                    Ok(Err(_)) | Err(_) => {}
                }
            })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    // What is left is the connection's own task, and while one is made, the task that makes it.
    until("the requests' end", || tasks() <= before + 2).await;
    server.thaw();
    comes_back(&store).await;
    until("the end of the old connection", || tasks() <= before).await;
    assert_eq!(store.load(&id).await.unwrap(), Some(record));
    // What the server still did of them harmed nothing.
    let update = samples::next_of(&store.load(&id).await.unwrap().unwrap());
    store.create(&id, &update).await.map(drop).unwrap();
}

#[tokio::test]
async fn while_a_server_refuses_connections_requests_fail_and_leave_no_task() {
    let mut server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    server.kill();
    for _ in 0..REQUESTS {
        store.ping().await.unwrap_err();
    }
    until("the end of the connection", || tasks() <= 1).await;
    server.restart().unwrap();
    comes_back(&store).await;
}
