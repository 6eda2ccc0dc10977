//! The server has no room for another byte.

use std::fs;
use std::path::{Path, PathBuf};

use session_test_servers::{MariaDbServer, PostgresServer, RedisServer, SmallDisk};

use crate::bed::{Bed, Server, for_each, sql};
use crate::counter::Counter;

for_each!(f1_a_redis_without_memory_is_an_outage_for_those_who_write: memory_is_full(Bed)
    on redis, redis_pool, cluster, sentinel);

async fn memory_is_full(bed: Bed) {
    let Bed { app, mut server } = bed;
    let mut visitor = Counter::new(&app).await;
    visitor.goes_on().await;
    let leaving = Counter::new(&app).await;

    set_memory(&mut server, "1");
    app.answers_where_no_session_is().await;
    assert!(!visitor.add().await);
    assert!(app.send("POST", "/add", None).await.is_outage());
    // Reading needs no memory: whoever is answered is told the truth.
    visitor.read().await;
    // Nor does an end: if it is acknowledged, it is one.
    if leaving.log_out().await {
        leaving.is_ended().await;
    }
    set_memory(&mut server, "0");

    visitor.goes_on().await;
    leaving.ends().await;
}

fn set_memory(server: &mut Server, bytes: &str) {
    let set = |server: &RedisServer| {
        server
            .command(&["CONFIG", "SET", "maxmemory", bytes])
            .unwrap();
    };
    match server {
        Server::Redis(server) => set(server),
        Server::Cluster(cluster) => cluster.nodes().iter().for_each(set),
        Server::Sentinel(sentinel) => set(sentinel.primary()),
        Server::Postgres(_) | Server::MariaDb(_) => unreachable!("they are full on disk"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_postgres_without_disk_is_an_outage_for_those_who_write() {
    let disk = SmallDisk::mount(128 << 20).unwrap();
    let server = PostgresServer::builder().data_on(disk.path());
    let server = server.setting("max_wal_size", "32MB").start().unwrap();
    let store = sql(&server.url()).await;
    disk_is_full(Bed::of(Server::Postgres(server), store), disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_mariadb_without_disk_is_an_outage_for_those_who_write() {
    let disk = SmallDisk::mount(128 << 20).unwrap();
    let server = MariaDbServer::builder()
        .data_on(disk.path())
        .start()
        .unwrap();
    let store = sql(&server.url()).await;
    disk_is_full(Bed::of(Server::MariaDb(server), store), disk).await;
}

async fn disk_is_full(bed: Bed, disk: SmallDisk) {
    let Bed { app, mut server } = bed;
    let mut visitor = Counter::new(&app).await;
    visitor.goes_on().await;
    let leaving = Counter::new(&app).await;

    let ballast = ballast(disk.path());
    // What is free inside the server's files is used up first.
    let refused = 'full: {
        for _ in 0..200 {
            let answer = app.send("POST", "/fill", None).await;
            if answer.is_outage() {
                break 'full true;
            }
            assert_eq!((answer.status, &*answer.body), (200, "filled"));
        }
        false
    };
    assert!(refused, "200 sessions of 200 KB found room");
    app.answers_where_no_session_is().await;
    // Little ones may still find room.
    visitor.add().await;
    visitor.read().await;
    if leaving.log_out().await {
        leaving.is_ended().await;
    }

    fs::remove_file(ballast).unwrap();
    // PostgreSQL may have ended for want of room for its log.
    server.restart();
    visitor.goes_on().await;
    leaving.ends().await;
    let answer = crate::counter::eventually(async || {
        let answer = app.send("POST", "/fill", None).await;
        (!answer.is_outage()).then_some(answer)
    });
    assert_eq!(answer.await.status, 200);
    drop(server);
}

/// Takes all but a little of the disk.
fn ballast(disk: &Path) -> PathBuf {
    use std::io::Write;
    let path = disk.join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    // Until the disk is full; then some is given back.
    let mut length = 0;
    while file.write_all(&[0; 64 * 1024]).is_ok() {
        length += 64 * 1024;
    }
    file.set_len(length - LEFT).unwrap();
    path
}

const LEFT: u64 = 4 << 20;
