//! A primary is killed under load, and its replica takes over.
//!
//! Redis answers before its replicas have what it acknowledges. So the last additions before the
//! end may be lost: the tests hold the store to what was replicated before, and to the truth of
//! what it answers after.

use session_test_servers::{RedisCluster, RedisSentinel, RedisServer};

use crate::app::App;
use crate::bed::redis;
use crate::counter::{Counter, eventually};
use crate::load::Load;

/// Sessions that have all been replicated.
struct Before {
    load: Vec<Counter>,
    ended: Vec<Counter>,
}

impl Before {
    async fn at(app: &App, primaries: impl Iterator<Item = &RedisServer>) -> Self {
        let (mut load, mut ended) = (Vec::new(), Vec::new());
        // Enough that each primary of a cluster has some.
        for _ in 0..12 {
            let mut counter = Counter::new(app).await;
            counter.goes_on().await;
            load.push(counter);
            let counter = Counter::new(app).await;
            counter.ends().await;
            ended.push(counter);
        }
        // The last one's session is shared, and its checks want a single addition in it.
        load.push(Counter::new(app).await);
        for primary in primaries {
            primary.wait_for_replicas().unwrap();
        }
        Self { load, ended }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_replica_of_a_cluster_takes_over_under_load() {
    let mut cluster = RedisCluster::builder().replicas(1).start().unwrap();
    let app = App::over(redis(&cluster.url()).await);
    let before = Before::at(&app, cluster.nodes()[..3].iter()).await;
    let mut witness = Counter::new(&app).await;
    let load = Load::of(&app, before.load, true).await;
    eventually(async || witness.add().await.then_some(())).await;

    let killed = cluster.primary_of(b"any");
    cluster.nodes_mut()[killed].kill();
    app.answers_where_no_session_is().await;
    let now = cluster.primary_of(b"any");
    assert_ne!(now, killed);
    load.finish().await;
    for counter in &before.ended {
        counter.is_ended().await;
    }

    // The old primary comes back as a replica: nothing of it returns.
    cluster.nodes_mut()[killed].restart().unwrap();
    cluster.wait_until_ok().unwrap();
    for counter in &before.ended {
        counter.is_ended().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_the_replica_that_sentinel_promotes_takes_over_under_load() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let app = App::over(redis(&sentinel.url()).await);
    let before = Before::at(&app, sentinel.servers().take(1)).await;
    let load = Load::of(&app, before.load, true).await;
    let first = sentinel.primary_now();

    sentinel.primary().kill();
    app.answers_where_no_session_is().await;
    eventually(async || (sentinel.primary_now() != first).then_some(())).await;
    load.finish().await;
    for counter in &before.ended {
        counter.is_ended().await;
    }

    // The old primary comes back and is demoted. Whatever the application is led to meanwhile,
    // it goes on.
    let mut visitor = Counter::new(&app).await;
    sentinel.primary().restart().unwrap();
    let old = sentinel.primary();
    eventually(async || {
        let role = old.command(&["ROLE"]).unwrap_or_default();
        role.starts_with("slave").then_some(())
    })
    .await;
    visitor.goes_on().await;
    for counter in &before.ended {
        counter.is_ended().await;
    }
}
