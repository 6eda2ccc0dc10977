//! Connections that take long to open, and callers that give up before.

use session_test_servers::PostgresServer;

use super::*;
use crate::at_hand::opening::UNWANTED_MAX;

/// At most two, each of which takes so many seconds to open.
fn slow(database: &Database, seconds: u32, wait: Duration) -> Arc<AtHand<sqlx::Postgres>> {
    let options: sqlx::postgres::PgConnectOptions = database.url.parse().unwrap();
    let options = options.options([("post_auth_delay", seconds.to_string())]);
    let opener = sqlx::postgres::PgPoolOptions::new()
        .max_connections(2)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(wait);
    let opener = opener.connect_lazy_with(options);
    Arc::new(AtHand::new(opener, Some(Suspicion::new())))
}

const LONG: Duration = Duration::from_secs(60);

/// Asks for a connection, and does not wait until there is one.
async fn give_up<DB: sqlx::Database>(at_hand: &Arc<AtHand<DB>>) {
    let soon = tokio::time::timeout(Duration::from_millis(50), at_hand.take());
    assert!(soon.await.is_err());
}

#[tokio::test]
async fn one_opening_goes_on_that_nobody_waits_for_and_is_at_hand_for_who_comes_next() {
    let database = Database::new(Kind::Postgres);
    let at_hand = slow(&database, 2, LONG);
    for _ in 0..3 {
        give_up(&at_hand).await;
        assert_eq!(at_hand.turns.available_permits(), 1, "one goes on");
    }
    at_hand.has_turns(2).await;
    assert_eq!(at_hand.rest(), 1);
    // Once it has come to its end, the next one may go on.
    let held = take(&at_hand).await;
    give_up(&at_hand).await;
    at_hand.has_turns(1).await;
    assert_eq!(at_hand.rest(), 1);
    put(held);
    assert_eq!(at_hand.rest(), 2);
}

/// What nobody waits for any more waits for a host that is gone.
#[tokio::test]
async fn a_host_that_went_silent_holds_nobody_up_once_its_name_leads_elsewhere() {
    let silent = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    let database = Database::new(Kind::Postgres);
    let elsewhere = database.url.parse().unwrap();
    let at_hand = slow(&database, 0, 60 * LONG);
    at_hand
        .opener
        .set_connect_options(silent.url().parse().unwrap());
    silent.freeze();
    for _ in 0..2 {
        give_up(&at_hand).await;
    }
    assert_eq!(at_hand.turns.available_permits(), 1, "one goes on");
    at_hand.opener.set_connect_options(elsewhere);
    let held = take(&at_hand).await;
    assert_eq!(at_hand.turns.available_permits(), 0, "it still goes on");
    put(held);
    assert_eq!(at_hand.rest(), 1);
}

/// It may never be driven again.
#[test]
fn a_runtime_that_is_not_driven_keeps_one_turn_at_most() {
    let database = Database::new(Kind::Postgres);
    let at_hand = slow(&database, 2, LONG);
    let (one, other) = (runtime(), runtime());
    one.block_on(async {
        let both = async { tokio::join!(at_hand.take(), at_hand.take()) };
        let soon = tokio::time::timeout(Duration::from_millis(50), both);
        assert!(soon.await.is_err());
    });
    assert_eq!(at_hand.turns.available_permits(), 1);
    put(other.block_on(take(&at_hand)));
    assert_eq!([at_hand.of(&one), at_hand.of(&other)], [0, 1]);
}

#[tokio::test]
async fn who_waits_is_told_why_there_is_no_connection() {
    let mut database = Database::new(Kind::Postgres);
    database.url.push_str("_that_is_not_there");
    let at_hand = slow(&database, 0, LONG);
    let error = at_hand.take().await.err().unwrap().to_string();
    assert!(error.contains("does not exist"), "{error}");
    assert_eq!(at_hand.turns.available_permits(), 2);
}

#[test]
fn a_turn_ends_with_the_runtime_that_was_opening_its_connection() {
    let database = Database::new(Kind::Postgres);
    let at_hand = slow(&database, 2, LONG);
    let one = runtime();
    one.block_on(give_up(&at_hand));
    let entered = one.enter();
    drop(Opening::begin(at_hand.try_turn().unwrap()).unwrap());
    drop(entered);
    assert_eq!(at_hand.turns.available_permits(), 1, "one goes on");
    let entered = one.enter();
    let opening = Opening::begin(at_hand.try_turn().unwrap()).unwrap();
    drop(entered);
    drop(one);
    assert_eq!(at_hand.turns.available_permits(), 1, "it is in no runtime");
    drop(opening);
    assert_eq!(at_hand.turns.available_permits(), 2);
}

#[test]
fn another_runtimes_is_used_while_ones_own_takes_long_to_open() {
    let database = Database::new(Kind::Postgres);
    let at_hand = slow(&database, 2, LONG);
    // It has a thread of its own, so its connections give signs of life at any time.
    let one = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let other = runtime();
    one.block_on(async { put(take(&at_hand).await) });
    let held = other.block_on(take(&at_hand));
    assert_eq!(held.0.runtime, Some(one.handle().id()));
    assert!(at_hand.resting().refused_at.is_some());
    put(held);
    other.block_on(at_hand.has_turns(2));
    assert_eq!([at_hand.of(&one), at_hand.of(&other)], [1, 1]);
    assert_eq!(at_hand.resting().refused_at, None, "there are more");
}

#[tokio::test]
async fn an_opening_that_hangs_and_that_nobody_waits_for_gives_its_turn_up() {
    let database = Database::behind_proxy(Kind::Postgres);
    let at_hand = slow(&database, 0, 60 * LONG);
    put(take(&at_hand).await);
    let rest = std::mem::take(&mut at_hand.resting().connections);
    drop(rest);
    database.proxy().stall();
    give_up(&at_hand).await;
    assert_eq!(at_hand.turns.available_permits(), 1);
    tokio::time::pause();
    let given_up = Instant::now();
    at_hand.has_turns(2).await;
    assert!(given_up.elapsed() > UNWANTED_MAX - Duration::from_secs(1));
    assert_eq!(at_hand.rest(), 0);
}
