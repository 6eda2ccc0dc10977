//! Connections to SQLite, treated as those to a server are; and to a server that fails.

use tokio::runtime::Runtime as Tokio;

use super::*;
use crate::database::{Database, Kind};

#[path = "at_hand/cluster_tests.rs"]
mod cluster;
#[path = "at_hand/opening_tests.rs"]
mod opening;

/// At most two.
fn two(folder: &tempfile::TempDir) -> Arc<AtHand<sqlx::Sqlite>> {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("sessions.db"))
        .create_if_missing(true);
    let opener = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(2)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(10));
    let opener = opener.connect_lazy_with(options);
    Arc::new(AtHand::new(opener, Some(Suspicion::new())))
}

fn runtime() -> Tokio {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

type Held<DB = sqlx::Sqlite> = (Taken<DB>, Turn<DB>);

async fn take<DB: sqlx::Database>(at_hand: &Arc<AtHand<DB>>) -> Held<DB> {
    let taken = at_hand.take().await;
    taken.unwrap_or_else(|error| panic!("{error}"))
}

fn put<DB: sqlx::Database>((taken, turn): Held<DB>) {
    turn.put(taken);
}

/// Each connection has a table of its own, by which it is known again.
async fn mark((taken, _): &mut Held, name: &'static str) {
    let text = sqlx::AssertSqlSafe(format!("CREATE TEMPORARY TABLE {name} (a)"));
    sqlx::query(text)
        .execute(&mut taken.connection)
        .await
        .unwrap();
}

async fn put_marked(at_hand: &Arc<AtHand<sqlx::Sqlite>>, name: &'static str) {
    let mut held = take(at_hand).await;
    mark(&mut held, name).await;
    put(held);
}

async fn marks((taken, _): &mut Held) -> Vec<String> {
    let names = sqlx::query_scalar("SELECT name FROM sqlite_temp_master ORDER BY name");
    names.fetch_all(&mut taken.connection).await.unwrap()
}

impl<DB: sqlx::Database> AtHand<DB> {
    fn rest(&self) -> usize {
        self.resting().connections.len()
    }

    /// How many rest that this runtime has opened.
    fn of(&self, runtime: &Tokio) -> usize {
        let id = Some(runtime.handle().id());
        let resting = self.resting();
        let of = resting
            .connections
            .iter()
            .filter(|taken| taken.runtime == id);
        of.count()
    }

    async fn has_turns(&self, turns: u32) {
        let all = self.turns.acquire_many(turns);
        drop(
            tokio::time::timeout(Duration::from_secs(60), all)
                .await
                .unwrap(),
        );
    }
}

#[tokio::test]
async fn a_connection_at_rest_is_the_next_ones() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    put_marked(&at_hand, "first").await;
    for _ in 0..10 {
        let mut held = take(&at_hand).await;
        assert_eq!(marks(&mut held).await, ["first"]);
        put(held);
        assert_eq!(at_hand.rest(), 1);
    }
    // Also one that is asked for a sign of life before, which it gives.
    at_hand.resting().connections[0].used_at -= IDLE_MAX / 2;
    let mut held = take(&at_hand).await;
    assert_eq!(marks(&mut held).await, ["first"]);
    assert!(held.0.used_at.elapsed() < IDLE_MAX / 2);
}

#[tokio::test]
async fn who_waits_gets_what_comes_to_hand_first_and_there_are_no_more_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let first = take(&at_hand).await;
    let mut second = take(&at_hand).await;
    mark(&mut second, "second").await;
    let soon = Instant::now() + Duration::from_millis(50);
    let error = at_hand.turn(soon).await.err().unwrap();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    let (mut got, ()) = tokio::join!(take(&at_hand), async { put(second) });
    assert_eq!(marks(&mut got).await, ["second"]);
    put(got);
    put(first);
    assert_eq!(at_hand.rest(), 2);
}

/// What the rest of an answer may be in is asked before it is used; who has lost a connection
/// gives its place to another.
#[tokio::test]
async fn a_turn_ends_however_its_connection_does() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let (taken, turn) = take(&at_hand).await;
    turn.put_after_ping(taken);
    at_hand.has_turns(2).await;
    assert_eq!(at_hand.rest(), 1);
    drop(take(&at_hand).await);
    at_hand.has_turns(2).await;
    assert_eq!(at_hand.rest(), 0);
    let (mut taken, turn) = take(&at_hand).await;
    taken.opened_at -= LIFE_MAX;
    turn.put(taken);
    at_hand.has_turns(2).await;
    assert_eq!(at_hand.rest(), 0, "it has lived for long enough");
}

/// Its question went out before the other broke, its answer came after.
#[tokio::test]
async fn a_connection_is_judged_by_when_it_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    put(take(&at_hand).await);
    let (taken, turn) = take(&at_hand).await;
    assert!(!at_hand.suspects(&taken, Instant::now()));
    at_hand.broke();
    tokio::time::sleep(Duration::from_millis(5)).await;
    turn.put(taken);
    let is_suspect = || at_hand.suspects(&at_hand.resting().connections[0], Instant::now());
    assert!(is_suspect());
    put(take(&at_hand).await);
    assert!(!is_suspect());
}

#[test]
fn a_runtime_has_connections_of_its_own_as_long_as_there_may_be_more() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let (one, other) = (runtime(), runtime());
    one.block_on(put_marked(&at_hand, "of_one"));
    let mut held = other.block_on(take(&at_hand));
    assert!(other.block_on(marks(&mut held)).is_empty());
    other.block_on(async { mark(&mut held, "of_other").await });
    // Now there are two, and it needs both.
    let mut second = other.block_on(take(&at_hand));
    assert_eq!(other.block_on(marks(&mut second)), ["of_one"]);
    put(held);
    put(second);
    for (runtime, expected) in [(&one, "of_one"), (&other, "of_other")] {
        runtime.block_on(async {
            let mut held = take(&at_hand).await;
            assert_eq!(marks(&mut held).await, [expected]);
            put(held);
        });
    }
    // Once in a while one changes its runtime: the one that is least missed.
    let third = runtime();
    at_hand.resting().exchanged_at -= EXCHANGE_EVERY;
    let mut held = third.block_on(take(&at_hand));
    assert!(third.block_on(marks(&mut held)).is_empty());
    put(held);
    let of_each = || [&one, &other, &third].map(|runtime| at_hand.of(runtime));
    assert_eq!(of_each(), [0, 1, 1]);
    // And not at once again.
    let mut first = one.block_on(take(&at_hand));
    let its = one.block_on(marks(&mut first));
    assert!(its.is_empty(), "the third's is used last");
    put(first);
    assert_eq!(of_each(), [0, 1, 1]);
    // Nor is the only one at rest given up for one that may not be had.
    at_hand.resting().exchanged_at -= EXCHANGE_EVERY;
    let held = third.block_on(take(&at_hand));
    let mut first = one.block_on(take(&at_hand));
    assert_eq!(one.block_on(marks(&mut first)), ["of_other"]);
    put(held);
    put(first);
}

/// A server has fewer for us than we would like.
#[test]
fn where_no_more_can_be_opened_another_runtimes_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let (one, other) = (runtime(), runtime());
    one.block_on(put_marked(&at_hand, "of_one"));
    let file = folder.path().join("sessions.db");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let mut refused = Vec::new();
    for _ in 0..2 {
        let mut held = other.block_on(take(&at_hand));
        assert_eq!(other.block_on(marks(&mut held)), ["of_one"]);
        put(held);
        refused.push(at_hand.resting().refused_at);
    }
    assert!(refused[0].is_some());
    assert_eq!(refused[0], refused[1], "it is not tried at once again");
    let held = other.block_on(take(&at_hand));
    assert!(other.block_on(at_hand.take()).is_err(), "there is no other");
    std::fs::remove_dir(&file).unwrap();
    let second = other.block_on(take(&at_hand));
    assert_eq!(second.0.runtime, Some(other.handle().id()));
    assert_eq!(at_hand.resting().refused_at, None, "there are more again");
    put(held);
    put(second);
    assert_eq!(at_hand.rest(), 2);
}

#[test]
fn what_rests_ends_with_its_runtime_and_what_is_used_is_not_kept_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let (one, other) = (runtime(), runtime());
    one.block_on(async { put(take(&at_hand).await) });
    other.block_on(async { put(take(&at_hand).await) });
    assert_eq!(at_hand.rest(), 2);
    drop(one);
    assert_eq!(at_hand.rest(), 1, "the other's stays");
    let late = other.block_on(take(&at_hand));
    let handle = other.handle().clone();
    drop(other);
    put(late);
    assert_eq!(at_hand.rest(), 0);
    // A runtime that has ended drops what is spawned in it at once.
    let entered = handle.enter();
    at_hand.watch(handle.id());
    drop(entered);
    assert!(at_hand.resting().runtimes.is_empty());
    let third = runtime();
    let (taken, turn) = third.block_on(take(&at_hand));
    turn.put_after_ping(taken);
    assert_eq!(at_hand.rest(), 0, "without a runtime nobody asks it");
    assert_eq!(at_hand.turns.available_permits(), 2);
    assert!(matches!(at_hand.runtime(), Err(sqlx::Error::Io(_))));
}

#[tokio::test]
async fn what_has_rested_for_long_is_closed_and_the_watch_ends_with_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let at_hand = two(&folder);
    let (first, second) = (take(&at_hand).await, take(&at_hand).await);
    put(first);
    put(second);
    at_hand.resting().connections[0].used_at -= IDLE_MAX;
    let id = Handle::current().id();
    at_hand.close_rested(id);
    assert_eq!(at_hand.rest(), 1);
    at_hand.has_turns(2).await;
    // While all are taken, somebody is about to take it.
    at_hand.resting().connections[0].used_at -= IDLE_MAX;
    let turns = [at_hand.try_turn().unwrap(), at_hand.try_turn().unwrap()];
    at_hand.close_rested(id);
    assert_eq!(at_hand.rest(), 1);
    drop(turns);
    let metrics = Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 1, "one watch");
    drop(at_hand);
    let started = Instant::now();
    while metrics.num_alive_tasks() > 0 {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
}

/// At most four, to a server behind a proxy.
async fn four(database: &Database, wait: Duration) -> Arc<AtHand<sqlx::Postgres>> {
    let opener = sqlx::postgres::PgPoolOptions::new()
        .max_connections(4)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(wait);
    let opener = opener.connect_lazy(&database.url).unwrap();
    let at_hand = Arc::new(AtHand::new(opener, Some(Suspicion::new())));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(take(&at_hand).await);
    }
    held.into_iter().for_each(put);
    at_hand
}

fn rest_for(at_hand: &AtHand<sqlx::Postgres>, span: Duration) {
    let mut resting = at_hand.resting();
    resting
        .connections
        .iter_mut()
        .for_each(|taken| taken.used_at -= span);
}

/// What was used later may be alive: the next one finds it.
#[test]
fn a_server_that_is_silent_for_too_long_costs_what_has_rested_as_long() {
    let database = Database::behind_proxy(Kind::Postgres);
    let (one, other) = (runtime(), runtime());
    let at_hand = one.block_on(four(&database, Duration::from_secs(2)));
    rest_for(&at_hand, Duration::from_secs(2));
    at_hand.resting().connections[0].used_at += Duration::from_secs(1);
    database.proxy().stall();
    let error = other.block_on(at_hand.take()).err().unwrap();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    assert_eq!(at_hand.rest(), 1);
    other.block_on(at_hand.has_turns(4));
    database.proxy().flow();
    assert!(other.block_on(at_hand.take()).is_ok());
}

/// A manager's default, and `acquire_timeout` is the store's.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// What rests leads nowhere any more, without a word from anybody, and what is opened does.
async fn forgotten_by_a_firewall(database: &Database) -> Arc<AtHand<sqlx::Postgres>> {
    let at_hand = four(database, Duration::from_secs(5)).await;
    rest_for(&at_hand, Duration::from_secs(2));
    database.proxy().stall();
    let direct = Database::new(Kind::Postgres).url;
    at_hand.opener.set_connect_options(direct.parse().unwrap());
    at_hand
}

#[tokio::test]
async fn connections_that_went_silent_at_rest_cost_no_request() {
    let database = Database::behind_proxy(Kind::Postgres);
    let at_hand = forgotten_by_a_firewall(&database).await;
    let first = tokio::time::timeout(STORE_TIMEOUT, at_hand.take()).await;
    put(first.unwrap().unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(at_hand.rest(), 1, "the new one");
}

#[tokio::test]
async fn connections_that_went_silent_at_rest_cost_one_request_of_less_patience() {
    let database = Database::behind_proxy(Kind::Postgres);
    let at_hand = forgotten_by_a_firewall(&database).await;
    let soon = tokio::time::timeout(Duration::from_millis(50), at_hand.take());
    assert!(soon.await.is_err());
    assert_eq!(at_hand.rest(), 0);
    put(take(&at_hand).await);
    assert_eq!(at_hand.rest(), 1, "the new one");
}

#[tokio::test]
async fn a_client_that_goes_away_at_once_says_nothing_of_those_at_rest() {
    let database = Database::behind_proxy(Kind::Postgres);
    let at_hand = four(&database, Duration::from_secs(60)).await;
    let now = Instant::now();
    let drop_one_asked = |asked_at| {
        drop(super::Asked {
            at_hand: &at_hand,
            used_at: Some(now),
            asked_at,
        });
    };
    let at_rest = at_hand.rest();
    assert!(at_rest > 1);
    // No time has passed since then, however slow the machine is.
    drop_one_asked(now + Duration::from_secs(3_600));
    assert_eq!(at_hand.rest(), at_rest);
    drop_one_asked(now - SILENCE_MIN);
    assert_eq!(at_hand.rest(), 0);
}

#[tokio::test]
async fn one_that_gives_no_sign_of_life_makes_the_others_suspect() {
    let database = Database::behind_proxy(Kind::Postgres);
    let at_hand = four(&database, Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let suspects = || {
        let resting = at_hand.resting();
        let suspects = resting.connections.iter();
        suspects
            .map(|taken| at_hand.suspects(taken, taken.used_at))
            .collect::<Vec<_>>()
    };
    assert_eq!(suspects(), [false; 3]);
    at_hand.resting().connections[2].used_at -= Duration::from_secs(2);
    database.proxy().cut();
    let new = take(&at_hand).await;
    assert_eq!(suspects(), [true; 2]);
    put(new);
    assert!(!suspects()[2], "it was opened since");
}

/// Each connection that rests is to a server that takes no writes any more.
async fn demote<DB>(at_hand: &AtHand<DB>, statement: &'static str)
where
    DB: sqlx::Database,
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
{
    let mut rest = std::mem::take(&mut at_hand.resting().connections);
    for taken in &mut rest {
        let done = sqlx::raw_sql(statement).execute(&mut taken.connection);
        done.await.unwrap();
    }
    at_hand.resting().connections = rest;
}

/// A primary becomes a standby, and its name leads to another server.
async fn writes_follow_the_name<DB: sqlx::Database>(
    kind: crate::dialect::Database,
    at_hand: Arc<AtHand<DB>>,
    to_demote: &'static str,
) where
    DB::Connection: crate::connection::Ask,
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
{
    use crate::failure::Fate;
    use crate::link::Repeat;
    use crate::pool::{Connections, Pools, Source};

    let source = Source::Own(Arc::clone(&at_hand));
    let pools = Pools {
        database: kind,
        readers: source.clone(),
        writers: source,
        place: None,
    };
    let write = async |text: &str| {
        let repeat = Repeat::OnlyIfUndone;
        pools.count(repeat, &text.into(), &[]).await
    };
    let table = format!("astray_{}", std::process::id());
    write(&format!("CREATE TABLE {table} (a BIGINT)"))
        .await
        .unwrap();
    let insert = format!("INSERT INTO {table} VALUES (1)");
    // More than a statement is made anew, were each of them tried.
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(take(&at_hand).await);
    }
    held.into_iter().for_each(put);
    demote(&at_hand, to_demote).await;
    // They have just been opened: another would lead to the same server.
    assert_eq!(write(&insert).await.unwrap_err().fate, Fate::Astray);
    assert_eq!(at_hand.rest(), 7);
    for taken in &mut at_hand.resting().connections {
        taken.opened_at -= ASTRAY_AFTER;
    }
    let reading = take(&at_hand).await;
    assert_eq!(write(&insert).await.unwrap().rows, 1);
    assert_eq!(at_hand.rest(), 1, "the new one");
    put(reading);
    at_hand.has_turns(8).await;
    assert_eq!(at_hand.rest(), 1, "it led astray too");
    for _ in 0..3 {
        assert_eq!(write(&insert).await.unwrap().rows, 1);
    }
}

#[tokio::test]
async fn connections_to_a_primary_that_takes_no_writes_any_more_give_way_to_new_ones() {
    let (postgres, mariadb) = (Database::new(Kind::Postgres), Database::new(Kind::MariaDb));
    let opener = sqlx::postgres::PgPoolOptions::new().max_connections(8);
    let opener = opener.connect_lazy(&postgres.url).unwrap();
    let at_hand = Arc::new(AtHand::new(opener, Some(Suspicion::new())));
    let read_only = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
    writes_follow_the_name(crate::dialect::Database::Postgres, at_hand, read_only).await;
    let opener = sqlx::mysql::MySqlPoolOptions::new().max_connections(8);
    let opener = opener.connect_lazy(&mariadb.url).unwrap();
    let at_hand = Arc::new(AtHand::new(opener, Some(Suspicion::new())));
    let read_only = "SET SESSION TRANSACTION READ ONLY";
    writes_follow_the_name(crate::dialect::Database::MySql, at_hand, read_only).await;
}
