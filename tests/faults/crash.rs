//! The server is killed (`SIGKILL`) under load and started again.

use crate::bed::{Bed, for_each};
use crate::counter::{Counter, eventually};
use crate::load::Load;

for_each!(f1_f4_a_server_that_crashes_has_kept_what_it_acknowledged: crashes(Bed)
    on redis, redis_pool, cluster, sentinel, postgres, mariadb);

async fn crashes(bed: Bed) {
    let Bed { app, mut server } = bed;
    let mut visitor = Counter::new(&app).await;
    visitor.goes_on().await;
    let leaving = Counter::new(&app).await;
    let ended = Counter::new(&app).await;
    ended.ends().await;
    let load = Load::start(&app, false).await;
    // Some of the load has been acknowledged when it ends.
    for _ in 0..10 {
        eventually(async || visitor.add().await.then_some(())).await;
    }

    server.kill();
    app.answers_where_no_session_is().await;
    for _ in 0..3 {
        assert!(!visitor.add().await);
        assert_eq!(visitor.read().await, None);
        assert!(!leaving.log_out().await);
        assert!(app.send("POST", "/add", None).await.is_outage());
    }
    server.restart();

    visitor.goes_on().await;
    ended.is_ended().await;
    leaving.ends().await;
    load.finish().await;
}
