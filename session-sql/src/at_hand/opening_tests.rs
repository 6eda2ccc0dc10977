//! Connections that take long to open, and callers that give up before.

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
async fn what_nobody_waits_for_any_more_is_at_hand_for_who_comes_next() {
    let database = Database::new(Kind::Postgres);
    let at_hand = slow(&database, 2, LONG);
    for left in [1, 0, 0] {
        give_up(&at_hand).await;
        assert_eq!(at_hand.turns.available_permits(), left);
    }
    put(take(&at_hand).await);
    at_hand.has_turns(2).await;
    assert_eq!(at_hand.rest(), 2, "those that were begun, and no other");
}

#[tokio::test]
async fn what_was_handed_over_at_the_last_moment_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let opening = Opening::begin(at_hand.try_turn().unwrap()).unwrap();
    let metrics = Handle::current().metrics();
    let started = Instant::now();
    // The watch stays.
    while at_hand.resting().runtimes.is_empty() || metrics.num_alive_tasks() > 1 {
        assert!(started.elapsed() < LONG);
        tokio::task::yield_now().await;
    }
    assert_eq!(at_hand.rest(), 0);
    drop(opening);
    assert_eq!(at_hand.rest(), 1);
    assert_eq!(at_hand.turns.available_permits(), 2);
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
    let (one, other) = (runtime(), runtime());
    one.block_on(give_up(&at_hand));
    let entered = one.enter();
    let mut opening = Opening::begin(at_hand.try_turn().unwrap()).unwrap();
    drop(entered);
    assert_eq!(at_hand.turns.available_permits(), 0);
    drop(one);
    assert_eq!(at_hand.turns.available_permits(), 2);
    let answer = other.block_on(async { opening.within(Instant::now() + LONG).await });
    let (error, turn) = answer.unwrap().err().unwrap();
    assert!(matches!(error, sqlx::Error::Io(_)), "{error}");
    assert!(turn.is_none());
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
