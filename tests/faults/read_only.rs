//! The server may be read only: a replica, a standby, or by order. Later it may be written.

use std::sync::Arc;

use session_kit::Store;
use session_test_servers::{MariaDbServer, PostgresServer, RedisServer};

use crate::app::App;
use crate::bed::{redis, redis_pool, sql};
use crate::counter::{Counter, eventually};

/// A visitor and one who wants to leave, with sessions in the data.
struct Visitors {
    visitor: Counter,
    leaving: Counter,
    ended: Counter,
}

impl Visitors {
    async fn of(app: &App) -> Self {
        let mut visitor = Counter::new(app).await;
        visitor.goes_on().await;
        let leaving = Counter::new(app).await;
        let ended = Counter::new(app).await;
        ended.ends().await;
        Self {
            visitor,
            leaving,
            ended,
        }
    }

    /// They come to `app`, whose server may only be read until `promote` is called.
    async fn meet(self, app: &App, promote: impl FnOnce()) {
        let mut visitor = self.visitor.at(app);
        let leaving = self.leaving.at(app);
        app.answers_where_no_session_is().await;
        // Reading is no problem.
        eventually(async || visitor.read().await).await;
        self.ended.at(app).is_ended().await;
        for _ in 0..3 {
            assert!(!visitor.add().await);
            assert!(!leaving.log_out().await);
            assert!(app.send("POST", "/add", None).await.is_outage());
        }
        promote();
        visitor.goes_on().await;
        self.ended.at(app).is_ended().await;
        leaving.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_replica_of_redis_is_an_outage_for_those_who_write_until_it_is_promoted() {
    let (primary, replica, visitors) = replicated().await;
    let app = App::over(redis(&replica.url()).await);
    visitors.meet(&app, || promote(&replica)).await;
    drop(primary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_replica_behind_a_pool_is_an_outage_for_those_who_write_until_it_is_promoted() {
    let (primary, replica, visitors) = replicated().await;
    let app = App::over(redis_pool(&replica.url()).await);
    visitors.meet(&app, || promote(&replica)).await;
    drop(primary);
}

async fn replicated() -> (RedisServer, RedisServer, Visitors) {
    let primary = RedisServer::start().unwrap();
    let replica = RedisServer::builder()
        .replica_of(primary.port())
        .start()
        .unwrap();
    let visitors = Visitors::of(&App::over(redis(&primary.url()).await)).await;
    primary.wait_for_replicas().unwrap();
    (primary, replica, visitors)
}

fn promote(replica: &RedisServer) {
    replica.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_standby_of_postgres_is_an_outage_for_those_who_write_until_it_is_promoted() {
    let primary = PostgresServer::start().unwrap();
    let visitors = Visitors::of(&App::over(sql(&primary.url()).await)).await;
    let standby = primary.standby().unwrap();
    let written = primary.sql("SELECT pg_current_wal_flush_lsn()").unwrap();
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    eventually(async || (standby.sql(&replayed).unwrap() == "t").then_some(())).await;

    // The table is there: a standby cannot be migrated.
    let store = session_sql::SqlStore::connect(&standby.url())
        .await
        .unwrap();
    let app = App::over(Arc::new(store) as Arc<dyn Store>);
    visitors
        .meet(&app, || {
            standby.sql("SELECT pg_promote()").unwrap();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_mariadb_that_may_not_be_written_is_an_outage_for_those_who_write() {
    let server = MariaDbServer::start().unwrap();
    let app = App::over(sql(&server.url()).await);
    let visitors = Visitors::of(&app).await;
    server.sql("SET GLOBAL read_only = 1").unwrap();
    visitors
        .meet(&app, || {
            server.sql("SET GLOBAL read_only = 0").unwrap();
        })
        .await;
}
