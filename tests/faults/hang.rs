//! The server hangs for longer than a store may take, and goes on (`SIGSTOP`, `SIGCONT`).

use std::sync::Arc;

use crate::bed::{Bed, for_each};
use crate::counter::Counter;
use crate::load::Load;

for_each!(f1_a_server_that_hangs_is_an_outage_until_it_goes_on: hangs(Bed)
    on redis, redis_pool, cluster, sentinel, postgres, mariadb);

async fn hangs(bed: Bed) {
    let app = &bed.app;
    let mut visitor = Counter::new(app).await;
    visitor.goes_on().await;
    let leaving = Counter::new(app).await;
    let ended = Counter::new(app).await;
    ended.ends().await;

    bed.server.freeze();
    app.answers_where_no_session_is().await;
    assert!(!visitor.add().await);
    assert_eq!(visitor.read().await, None);
    assert!(!leaving.log_out().await);
    assert!(app.send("POST", "/add", None).await.is_outage());
    bed.server.thaw();

    visitor.goes_on().await;
    ended.is_ended().await;
    leaving.ends().await;
}

for_each!(f1_a_server_that_hangs_in_the_midst_of_a_request_is_an_outage: hangs_midway(Bed)
    on redis, redis_pool, cluster, sentinel, postgres, mariadb);

async fn hangs_midway(bed: Bed) {
    let Bed { app, server } = bed;
    let server = Arc::new(server);
    let mut visitor = Counter::new(&app).await;
    visitor.goes_on().await;
    let mut leaving = Counter::new(&app).await;
    leaving.goes_on().await;
    let load = Load::start(&app, false).await;

    // The write reaches the server, which carries it out when nobody waits any more.
    // One of the visitors meets it.
    let hanging = Arc::clone(&server);
    visitor.add_when(move || hanging.freeze()).await;
    assert_eq!(visitor.read().await, None);
    server.thaw();
    load.finish().await;
    visitor.goes_on().await;

    let hanging = Arc::clone(&server);
    let acknowledged = leaving.log_out_when(move || hanging.freeze()).await;
    assert!(!acknowledged, "the session may live");
    server.thaw();
    leaving.ends().await;
}
