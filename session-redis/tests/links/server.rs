//! One server, and what can happen to it.

use std::time::Duration;

use session_core::conformance::samples;
use session_core::{Created, Cursor, Store, StoreErrorKind};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{Proxy, RedisServer};

use crate::probes::{
    MovableName, PATIENCE, all_ids, carries_out_everything, comes_back, connections_accepted,
    create_some, is_unreachable, keeps_replies_apart, scripts_run, until, updated,
};

#[tokio::test]
async fn a_server_is_connected_to_by_url_and_by_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let server = RedisServer::start().unwrap();
    for rest in ["", "/", "/2", "?connections=3"] {
        let url = format!("{}{rest}", server.url());
        carries_out_everything(&RedisStore::connect(&url).await.unwrap()).await;
    }
    // The system's own relay would do as well; a symbolic link shows that the path is used.
    let name = server.command(&["CONFIG", "GET", "unixsocket"]).unwrap();
    let path = name.lines().last().unwrap();
    std::os::unix::fs::symlink(path, &socket).unwrap();
    let url = format!("redis+unix://{}?database=3", socket.display());
    carries_out_everything(&RedisStore::connect(&url).await.unwrap()).await;
}

#[tokio::test]
async fn without_a_server_connecting_ends_with_an_error() {
    let mut server = RedisServer::start().unwrap();
    let url = server.url();
    server.freeze();
    is_unreachable(&url).await;
    server.kill();
    is_unreachable(&url).await;
}

#[tokio::test]
async fn a_restarted_server_is_used_again_and_has_kept_what_it_acknowledged() {
    let mut server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let kept = create_some(&store, 3).await;
    server.kill();
    let error = store.load(&kept[0].0).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    server.restart().unwrap();
    comes_back(&store).await;
    for (id, record) in kept {
        assert_eq!(store.load(&id).await.unwrap(), Some(record));
    }
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_costs_no_request() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::to(server.addr()).unwrap();
    let store = RedisStore::connect(&server.url_at(proxy.addr()))
        .await
        .unwrap();
    for _ in 0..5 {
        create_some(&store, 1).await;
        proxy.cut();
        // The end of the connection is in the kernel's hands. On a busy machine it is seen together
        // with a late timer; it is read before the next.
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

#[test]
fn a_runtime_takes_its_connection_along_and_leaves_those_of_others() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start().unwrap();
    // One of the clients is who asks.
    let connected = |count: usize| {
        let clients = server.command(&["CLIENT", "LIST"]).unwrap();
        clients.lines().filter(|line| !line.is_empty()).count() == count + 1
    };
    let (one, other) = (runtime(), runtime());
    let store = one.block_on(RedisStore::connect(&server.url())).unwrap();
    one.block_on(until("there is one connection", || connected(1)));
    let kept = other.block_on(create_some(&store, 2));
    other.block_on(until("there are two", || connected(2)));
    drop(one);
    other.block_on(async {
        until("the first runtime's has ended", || connected(1)).await;
        for (id, record) in kept {
            assert_eq!(store.load(&id).await.unwrap(), Some(record));
        }
    });
}

#[tokio::test]
async fn a_network_that_stalls_costs_only_the_requests_of_that_time() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::to(server.addr()).unwrap();
    let store = RedisStore::connect(&server.url_at(proxy.addr()))
        .await
        .unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    proxy.stall();
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    proxy.flow();
    comes_back(&store).await;
    assert_eq!(store.load(&id).await.unwrap(), Some(record));
}

#[tokio::test]
async fn a_scan_that_meets_a_restart_is_refused_and_leaves_nothing_out() {
    let mut server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut stored = create_some(&store, 200).await;
    let first = store.scan(Cursor::start(), 10).await.unwrap();
    server.kill();
    server.restart().unwrap();
    comes_back(&store).await;
    let error = store.scan(first.next.unwrap(), 10).await.unwrap_err();
    assert!(error.to_string().contains("has to begin again"), "{error}");
    let all = all_ids(&store).await;
    stored.retain(|(id, _)| !all.contains(id));
    assert_eq!(stored, []);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_heard_is_replaced() {
    let server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let before = connections_accepted(&server);
    server.freeze();
    store.ping().await.unwrap_err();
    server.thaw();
    comes_back(&store).await;
    // The one that asks is counted too.
    assert!(connections_accepted(&server) > before + 1);
}

#[tokio::test]
async fn a_command_whose_answer_was_lost_is_not_sent_again() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::to(server.addr()).unwrap();
    let store = RedisStore::connect(&server.url_at(proxy.addr()))
        .await
        .unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    let next = updated(&store, &id, &record).await;
    let before = scripts_run(&server);
    proxy.lose_next_reply();
    let last = samples::next_of(&next);
    let error = store.update(&id, &last, next.version).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    comes_back(&store).await;
    assert_eq!(store.load(&id).await.unwrap(), Some(last));
    // The lost one, and what `comes_back` has created.
    assert_eq!(scripts_run(&server), before + 2);
}

#[tokio::test]
async fn a_command_whose_answer_was_late_is_not_sent_again() {
    let server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    let next = updated(&store, &id, &record).await;
    let before = scripts_run(&server);
    server.freeze();
    let last = samples::next_of(&next);
    store.update(&id, &last, next.version).await.unwrap_err();
    server.thaw();
    comes_back(&store).await;
    until("the late update", || scripts_run(&server) >= before + 2).await;
    assert_eq!(store.load(&id).await.unwrap(), Some(last));
    assert_eq!(scripts_run(&server), before + 2);
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_taught_them_again() {
    let server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for _ in 0..3 {
        carries_out_everything(&store).await;
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
    }
}

#[tokio::test]
async fn a_demoted_server_is_noticed_by_its_refusal() {
    let primary = RedisServer::start().unwrap();
    let server = RedisServer::start().unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    create_some(&store, 1).await;
    let port = primary.port().to_string();
    server.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    let error = store
        .create(&samples::id(), &samples::plain_record())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    store.ping().await.unwrap_err();
    server.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    comes_back(&store).await;
}

#[tokio::test]
async fn an_address_that_leads_to_a_new_primary_is_followed_at_the_first_refusal() {
    let old = RedisServer::start().unwrap();
    let new = RedisServer::start().unwrap();
    let name = MovableName::of(old.addr());
    let store = RedisStore::connect(&name.url()).await.unwrap();
    create_some(&store, 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    name.leads_to(new.addr());
    let port = new.port().to_string();
    old.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    let (id, record) = (samples::id(), samples::plain_record());
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
    assert!(
        new.command(&["KEYS", "*"])
            .unwrap()
            .contains(id.encode().as_str())
    );
}

/// Under `replica-serve-stale-data no` a server without its new primary says `MASTERDOWN`, to reads
/// too, and never `READONLY`.
#[tokio::test]
async fn a_demoted_server_that_has_no_primary_is_left_at_the_first_refusal() {
    let pool = cfg!(feature = "pool").then_some("/?pool=2");
    for rest in [Some(""), pool].into_iter().flatten() {
        for reads_first in [true, false] {
            let old = RedisServer::builder()
                .setting("replica-serve-stale-data", "no")
                .start()
                .unwrap();
            let new = RedisServer::start().unwrap();
            let name = MovableName::of(old.addr());
            let url = format!("{}{rest}", name.url());
            let store = RedisStore::connect(&url).await.unwrap();
            create_some(&store, 1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            name.leads_to(new.addr());
            old.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
            let refused = old.command(&["GET", "a"]).unwrap_err().to_string();
            assert!(refused.contains("MASTERDOWN"), "{refused}");
            let (id, record) = (samples::id(), samples::plain_record());
            if reads_first {
                assert_eq!(store.load(&id).await.unwrap(), None);
            }
            assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
            assert_eq!(new.command(&["DBSIZE"]).unwrap().trim(), "1");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_requests_do_not_mix_up_the_replies_of_others() {
    let server = RedisServer::start().unwrap();
    for connections in [1, 3] {
        let config = RedisConfig::new(server.url()).connections(connections);
        let store = RedisStore::with_config(config).await.unwrap();
        tokio::time::timeout(PATIENCE, keeps_replies_apart(&store))
            .await
            .unwrap();
    }
}
