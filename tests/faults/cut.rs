//! The connection ends: while it is idle, in a command, and before its answer.

use std::sync::Arc;

use crate::bed::{Proxied, for_each};
use crate::counter::Counter;
use crate::load::Load;

for_each!(connections_that_end_cost_no_acknowledged_addition: ends_often(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn ends_often(bed: Proxied) {
    let load = Load::start(&bed.app, false).await;
    let mut visitor = Counter::new(&bed.app).await;
    for _ in 0..20 {
        visitor.add().await;
        bed.proxy.cut();
    }
    bed.proxy.refuse();
    bed.proxy.cut();
    bed.app.answers_where_no_session_is().await;
    assert!(!visitor.add().await);
    assert!(!visitor.log_out().await);
    bed.proxy.accept().unwrap();
    visitor.goes_on().await;
    load.finish().await;
}

for_each!(half_a_command_is_not_carried_out_or_is_carried_out_whole: is_cut(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn is_cut(bed: Proxied) {
    let mut visitor = Counter::new(&bed.app).await;
    for bytes in [0, 1, 7, 40, 150, 400] {
        visitor.goes_on().await;
        let proxy = Arc::clone(&bed.proxy);
        bed.app.midway(move || proxy.cut_request_after(bytes));
        visitor.add().await;
        bed.proxy.flow();
    }
    visitor.goes_on().await;
}

for_each!(an_addition_whose_answer_was_lost_counts_once: one_reply_is_lost(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn one_reply_is_lost(bed: Proxied) {
    let mut visitor = Counter::new(&bed.app).await;
    for _ in 0..5 {
        visitor.goes_on().await;
        let proxy = Arc::clone(&bed.proxy);
        bed.app.midway(move || proxy.lose_next_reply());
        // Acknowledged if the store could find out, else 503: `goes_on` checks that it is
        // there once in the first case, and once or not at all in the second.
        visitor.add().await;
    }
    visitor.goes_on().await;
}

for_each!(while_no_answer_arrives_nothing_is_acknowledged: all_replies_are_lost(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn all_replies_are_lost(bed: Proxied) {
    let mut visitor = Counter::new(&bed.app).await;
    let leaving = Counter::new(&bed.app).await;
    for _ in 0..3 {
        visitor.goes_on().await;
        let proxy = Arc::clone(&bed.proxy);
        bed.app.midway(move || proxy.lose_replies());
        assert!(!visitor.add().await, "nobody can know that it is there");
        assert_eq!(visitor.read().await, None);
        bed.proxy.flow();
    }
    visitor.goes_on().await;

    let proxy = Arc::clone(&bed.proxy);
    bed.app.midway(move || proxy.lose_replies());
    assert!(
        !leaving.log_out().await,
        "nobody can know that it has ended"
    );
    bed.proxy.flow();
    leaving.ends().await;
}
