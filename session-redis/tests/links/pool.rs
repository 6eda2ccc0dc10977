//! Pools of connections, the application's and ours.

use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime};
use session_core::conformance::samples;
use session_core::{Created, Store};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{Proxy, RedisServer};

use crate::probes::{
    MovableName, carries_out_everything, comes_back, create_some, is_unreachable,
    keeps_replies_apart, scripts_run, updated,
};

fn pool(url: &str, size: usize) -> Pool {
    let manager = Manager::new(url).unwrap();
    let pool = Pool::builder(manager).max_size(size);
    let pool = pool.runtime(Runtime::Tokio1);
    pool.wait_timeout(Some(Duration::from_secs(2)))
        .create_timeout(Some(Duration::from_secs(2)))
        .recycle_timeout(Some(Duration::from_secs(2)))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_pool_of_the_applications_own_and_one_of_ours_are_used() {
    let server = RedisServer::start().unwrap();
    let config = RedisConfig::from_pool(pool(&server.url(), 2)).prefix("a:");
    for store in [
        RedisStore::from_pool(pool(&server.url(), 4)),
        RedisStore::with_config(config).await.unwrap(),
        RedisStore::connect(&format!("{}?pool=4", server.url()))
            .await
            .unwrap(),
    ] {
        carries_out_everything(&store).await;
        keeps_replies_apart(&store).await;
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        carries_out_everything(&store).await;
    }
}

#[tokio::test]
async fn a_pool_survives_a_restart_and_a_stall() {
    let mut server = RedisServer::start().unwrap();
    let proxy = Proxy::to(server.addr()).unwrap();
    let url = format!("{}?pool=4", server.url_at(proxy.addr()));
    let store = RedisStore::connect(&url).await.unwrap();
    carries_out_everything(&store).await;
    server.restart().unwrap();
    comes_back(&store).await;
    proxy.stall();
    store.ping().await.unwrap_err();
    proxy.flow();
    comes_back(&store).await;
    server.kill();
    is_unreachable(&url).await;
}

#[tokio::test]
async fn a_pools_command_whose_answer_was_lost_is_not_sent_again() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::to(server.addr()).unwrap();
    let url = format!("{}?pool=1", server.url_at(proxy.addr()));
    let store = RedisStore::connect(&url).await.unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    let next = updated(&store, &id, &record).await;
    let before = scripts_run(&server);
    let last = samples::next_of(&next);
    // Not that of the PING with which the connection is lent.
    proxy.lose_reply_to(last.version.to_string());
    store.update(&id, &last, next.version).await.unwrap_err();
    comes_back(&store).await;
    assert_eq!(store.load(&id).await.unwrap(), Some(last));
    // The lost one, and what `comes_back` has created.
    assert_eq!(scripts_run(&server), before + 2);
}

#[tokio::test]
async fn a_pool_leaves_a_demoted_server_as_a_whole() {
    let old = RedisServer::start().unwrap();
    let new = RedisServer::start().unwrap();
    let name = MovableName::of(old.addr());
    let store = RedisStore::from_pool(pool(&name.url(), 4));
    // All four connections are made.
    keeps_replies_apart(&store).await;
    name.leads_to(new.addr());
    let port = new.port().to_string();
    old.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    for _ in 0..8 {
        let (id, record) = (samples::id(), samples::plain_record());
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
    }
}

/// Each look has a connection, and may find a record of a megabyte.
#[tokio::test]
async fn a_long_list_is_looked_through_a_part_at_a_time() {
    let server = RedisServer::start().unwrap();
    let pool = pool(&server.url(), 200);
    let store = RedisStore::from_pool(pool.clone());
    for _ in 0..150 {
        let (id, record) = (samples::id(), samples::owned_record("ada"));
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
    }
    let listed = store.owned_by(&samples::owner("ada")).await.unwrap();
    assert_eq!(listed.len(), 150);
    let most = pool.status().size;
    assert!(most <= 64, "{most} connections");
}
