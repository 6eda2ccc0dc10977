//! A primary under the eyes of sentinels.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use session_core::{ErrorKind, Store};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{RedisSentinel, RedisServer};
use tokio::runtime::Handle;

use crate::probes::{
    PATIENCE, cannot_connect, carries_out_everything, comes_back, comes_back_to_the_impatient,
    create_some, is_left_alone, is_unreachable, keeps_replies_apart, listed, silent_servers, until,
};

async fn replicated(sentinel: &mut RedisSentinel) {
    let offset = |server: &RedisServer, name: &str| {
        let info = server.command(&["INFO", "replication"]).unwrap_or_default();
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|offset| offset.trim().parse::<u64>().ok())
    };
    until("replication", || {
        let written = offset(sentinel.primary(), "master_repl_offset:");
        written.is_some() && offset(sentinel.replica(), "slave_repl_offset:") >= written
    })
    .await;
}

async fn failed_over(sentinel: &RedisSentinel, from: SocketAddr) {
    until("the failover", || sentinel.primary_now() != from).await;
}

#[tokio::test]
async fn the_primary_is_found_through_any_sentinel() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let url = sentinel.url();
    let store = RedisStore::connect(&url).await.unwrap();
    carries_out_everything(&store).await;
    keeps_replies_apart(&store).await;
    sentinel.sentinels()[0].kill();
    sentinel.sentinels()[1].freeze();
    for _ in 0..3 {
        let store = RedisStore::connect(&url).await.unwrap();
        carries_out_everything(&store).await;
    }
    let wrong = url.replace("/sessions", "/others");
    sentinel.sentinels()[1].thaw();
    let error = cannot_connect(&wrong).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for server in sentinel.sentinels() {
        server.kill();
    }
    is_unreachable(&url).await;
    // A primary that is connected to needs no sentinel.
    carries_out_everything(&store).await;
}

#[tokio::test]
async fn the_primary_is_found_however_many_sentinels_are_silent() {
    let silent = silent_servers(5);
    let mut sentinel = RedisSentinel::start().unwrap();
    let answering = sentinel.sentinels()[0].addr();
    let url = format!("redis+sentinel://{},{answering}/sessions", listed(&silent));
    let config = RedisConfig::new(url).connect_timeout(Duration::from_secs(15));
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let store = RedisStore::with_config(config).await.unwrap();
    // The connection's own, and the one that watches for the end of the runtime.
    until("the questions' end", || tasks() <= 2).await;
    carries_out_everything(&store).await;
    for server in &silent {
        server.thaw();
        is_left_alone(server).await;
    }
}

#[tokio::test]
async fn of_healthy_sentinels_one_is_asked() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let asked = sentinel.sentinels()[0].addr();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let addr = other.local_addr().unwrap();
    let url = format!("redis+sentinel://{asked},{addr}/sessions");
    let config = RedisConfig::new(url).connect_timeout(PATIENCE);
    RedisStore::with_config(config).await.unwrap();
    let connected = other.accept();
    assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_killed_primary_is_followed_to_its_replica() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let store = RedisStore::connect(&sentinel.url()).await.unwrap();
    let created = create_some(&store, 5).await;
    replicated(&mut sentinel).await;
    let old = sentinel.primary_now();
    sentinel.primary().kill();
    comes_back(&store).await;
    failed_over(&sentinel, old).await;
    for (id, record) in created {
        assert_eq!(store.load(&id).await.unwrap(), Some(record));
    }
}

#[tokio::test]
async fn a_hung_primary_is_left_and_not_returned_to_when_it_wakes() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let store = RedisStore::connect(&sentinel.url()).await.unwrap();
    create_some(&store, 1).await;
    replicated(&mut sentinel).await;
    let old = sentinel.primary_now();
    sentinel.primary().freeze();
    failed_over(&sentinel, old).await;
    comes_back(&store).await;
    sentinel.primary().thaw();
    until("the old primary's demotion", || {
        let role = sentinel.primary().command(&["ROLE"]).unwrap_or_default();
        role.starts_with("slave")
    })
    .await;
    for _ in 0..20 {
        create_some(&store, 1).await;
    }
}

/// As under a `store_timeout` or a layer that gives requests up sooner than the connection.
#[tokio::test]
async fn a_hung_primary_is_left_also_if_nobody_waits_for_the_whole_time_out() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let store = RedisStore::connect(&sentinel.url()).await.unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    replicated(&mut sentinel).await;
    let old = sentinel.primary_now();
    sentinel.primary().freeze();
    failed_over(&sentinel, old).await;
    assert_eq!(comes_back_to_the_impatient(&store, &id).await, record);
}

#[tokio::test]
async fn a_primary_that_was_replaced_in_good_order_is_left_at_its_refusal() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let store = RedisStore::connect(&sentinel.url()).await.unwrap();
    create_some(&store, 1).await;
    replicated(&mut sentinel).await;
    let old = sentinel.primary_now();
    let failover = ["SENTINEL", "FAILOVER", "sessions"];
    until("the order to be taken", || {
        sentinel.sentinels()[0].command(&failover).is_ok()
    })
    .await;
    failed_over(&sentinel, old).await;
    comes_back(&store).await;
    store.ping().await.unwrap();
}

/// What a sentinel says that does not know of the failover yet.
fn sentinel_that_names(server: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "redis+sentinel://{}/sessions",
        listener.local_addr().unwrap()
    );
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut answers = client.try_clone().unwrap();
            for line in BufReader::new(client).lines().map_while(Result::ok) {
                let port = server.port().to_string();
                let answer = match line.as_str() {
                    "HELLO" => "%1\r\n+proto\r\n:3\r\n".to_owned(),
                    "SETINFO" => "+OK\r\n".to_owned(),
                    "sessions" => format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len()),
                    _ => continue,
                };
                if answers.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_no_primary_is_not_taken_for_one() {
    let primary = RedisServer::start().unwrap();
    let server = RedisServer::builder().replica_of(primary.port());
    let server = server.start().unwrap();
    let url = sentinel_that_names(server.addr());
    let error = cannot_connect(&url).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is not a primary"), "{error}");
    server.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    carries_out_everything(&RedisStore::connect(&url).await.unwrap()).await;
}
