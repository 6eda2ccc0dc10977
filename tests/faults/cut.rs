//! The connection ends: while it is idle, in a command, and before its answer.

use std::sync::Arc;

use crate::bed::{Proxied, for_each};
use crate::counter::{Counter, eventually};
use crate::load::Load;

for_each!(f1_connections_that_end_cost_no_acknowledged_addition: ends_often(Proxied)
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

for_each!(c5_half_a_command_is_not_carried_out_or_is_carried_out_whole: is_cut(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn is_cut(bed: Proxied) {
    let mut visitor = Counter::new(&bed.app).await;
    for bytes in [0, 1, 7, 40, 150, 400] {
        visitor.goes_on().await;
        let proxy = Arc::clone(&bed.proxy);
        visitor
            .add_when(move || proxy.cut_request_after(bytes))
            .await;
        bed.proxy.flow();
    }
    visitor.goes_on().await;
}

for_each!(c5_an_addition_whose_answer_was_lost_counts_once: one_reply_is_lost(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn one_reply_is_lost(bed: Proxied) {
    let mut visitor = Counter::new(&bed.app).await;
    let mut rounds = 0;
    while rounds < 5 {
        let before = visitor.goes_on().await;
        let lost = bed.proxy.replies_lost();
        // Of all that the application sends, only the write holds the counter.
        bed.proxy.lose_reply_to("\"n\":");
        // Acknowledged, if the store could find out, or 503.
        visitor.add().await;
        if bed.proxy.replies_lost() > lost {
            let n = eventually(async || visitor.read().await).await;
            assert_eq!(n, before + 1);
            rounds += 1;
        }
        bed.proxy.flow();
    }
    visitor.goes_on().await;
}

for_each!(c5_while_no_answer_arrives_nothing_is_acknowledged: all_replies_are_lost(Proxied)
    on redis, redis_pool, postgres, mariadb);

async fn all_replies_are_lost(bed: Proxied) {
    let mut visitor = Counter::new(&bed.app).await;
    let leaving = Counter::new(&bed.app).await;
    for _ in 0..3 {
        visitor.goes_on().await;
        let proxy = Arc::clone(&bed.proxy);
        let acknowledged = visitor.add_when(move || proxy.lose_replies()).await;
        assert!(!acknowledged, "nobody can know that it is there");
        assert_eq!(visitor.read().await, None);
        bed.proxy.flow();
    }
    visitor.goes_on().await;

    let proxy = Arc::clone(&bed.proxy);
    let acknowledged = leaving.log_out_when(move || proxy.lose_replies()).await;
    assert!(!acknowledged, "nobody can know that it has ended");
    bed.proxy.flow();
    leaving.ends().await;
}
