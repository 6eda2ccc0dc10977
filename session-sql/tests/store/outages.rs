//! Servers that stop, start again, go silent, or refuse.

use std::time::Duration;

use session_core::{
    Created, Cursor, Only, Owner, Store, StoreError, StoreErrorKind, Touch, Written,
};
use session_sql::sqlx::mysql::MySqlPoolOptions;
use session_sql::sqlx::postgres::PgPoolOptions;
use session_sql::{SqlConfig, SqlStore};
use session_test_servers::{MariaDbServer, PostgresServer};

use crate::database::{Kind, postgres};
use crate::{Database, PATIENCE, START, TIMEOUT, id, next, record};

const SERVERS: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

fn unavailable<T>(operation: &str, answer: Result<T, StoreError>) {
    let Err(error) = answer else {
        panic!("{operation} was answered in an outage");
    };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{operation}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_no_operation_is_answered_while_the_server_is_away_and_all_are_when_it_is_back() {
    for kind in SERVERS {
        let database = Database::behind_proxy(kind);
        database.open().await;
        let config = database.config().acquire_timeout(Duration::from_secs(1));
        let store = database.open_with(config).await;
        let stored = record();
        let _ = store.create(&id(1), &stored).await.unwrap();
        database.fail().await;
        let update = next(&stored, r#"{"count":2}"#);
        let touch = Touch {
            generation: stored.generation,
            accessed_at: START.after(TIMEOUT),
        };
        let owner = Owner::new("ada").unwrap();
        unavailable("load", store.load(&id(1)).await);
        unavailable("create", store.create(&id(2), &stored).await);
        unavailable(
            "update",
            store.update(&id(1), &update, stored.version).await,
        );
        unavailable("touch", store.touch(&id(1), &touch).await);
        unavailable("delete", store.delete(&id(1), Only::Any).await);
        unavailable("owned_by", store.owned_by(&owner).await);
        unavailable("scan", store.scan(Cursor::start(), 10).await);
        unavailable("sweep", store.sweep(START.after(2 * TIMEOUT), 10).await);
        unavailable("ping", store.ping().await);
        database.mend().await;
        let patient = database.open_with(database.config()).await;
        assert_eq!(patient.load(&id(1)).await.unwrap(), Some(stored.clone()));
        until("the store is back", || async { store.ping().await.is_ok() }).await;
        let written = store.update(&id(1), &update, stored.version).await;
        assert_eq!(written.unwrap(), Written::Done);
        assert_eq!(store.load(&id(2)).await.unwrap(), None);
    }
}

/// By a slow directory, name server or TLS: all connections are gone, and each takes a second.
#[tokio::test(flavor = "multi_thread")]
async fn f1_a_connection_may_take_longer_to_open_than_callers_wait() {
    let database = Database::behind_proxy(Kind::Postgres);
    let stored = record();
    let _ = database.open().await.create(&id(1), &stored).await.unwrap();
    let url = format!("{}?options[post_auth_delay]=1", database.url);
    let store = SqlStore::connect_with(&url, database.config()).await;
    let store = store.unwrap();
    database.proxy().cut();
    let load = async || tokio::time::timeout(Duration::from_millis(300), store.load(&id(1))).await;
    assert!(load().await.is_err(), "it is opened sooner than that");
    until("a load is answered", || async {
        load().await.is_ok_and(|loaded| loaded.unwrap().is_some())
    })
    .await;
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = std::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waiting until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All connections are idle and dead, as after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_while_idle_cost_no_read_and_after_a_second_no_write() {
    for kind in SERVERS {
        let database = Database::behind_proxy(kind);
        let store = database.open().await;
        let mut stored = record();
        let _ = store.create(&id(1), &stored).await.unwrap();
        for _ in 0..3 {
            fill_the_pool(&store).await;
            database.proxy().cut();
            assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&stored));
        }
        for _ in 0..2 {
            fill_the_pool(&store).await;
            database.proxy().cut();
            // For so long a connection is trusted.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            let update = next(&stored, "{}");
            let written = store.update(&id(1), &update, stored.version).await;
            assert_eq!(written.unwrap(), Written::Done);
            stored = update;
        }
    }
}

/// Makes as many connections as the pool may have.
async fn fill_the_pool(store: &SqlStore) {
    let mut reading = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        reading.spawn(async move { store.load(&id(1)).await });
    }
    for read in reading.join_all().await {
        assert!(read.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_and_restarted_is_used_again() {
    let mut postgres = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    let store = SqlStore::connect(&postgres.url()).await.unwrap();
    restarted(&store, || {
        postgres.kill();
        postgres.restart().unwrap();
    })
    .await;
    let mut mariadb = MariaDbServer::start().unwrap_or_else(|error| panic!("{error}"));
    let store = SqlStore::connect(&mariadb.url()).await.unwrap();
    restarted(&store, || {
        mariadb.kill();
        mariadb.restart().unwrap();
    })
    .await;
}

async fn restarted(store: &SqlStore, restart: impl FnOnce()) {
    store.migrate().await.unwrap();
    let stored = record();
    let _ = store.create(&id(1), &stored).await.unwrap();
    fill_the_pool(store).await;
    tokio::task::block_in_place(restart);
    // For so long a connection is trusted, and a server may be back sooner.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let update = next(&stored, "{}");
    let written = store.update(&id(1), &update, stored.version).await;
    assert_eq!(written.unwrap(), Written::Done);
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(update));
}

/// Made again, the second could meet another's write and the caller would count twice (rule C5).
#[tokio::test(flavor = "multi_thread")]
async fn c5_a_write_whose_answer_is_lost_is_not_made_again() {
    let database = Database::behind_proxy(Kind::Postgres);
    database.open().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false);
    let pool = pool.connect(&database.url).await.unwrap();
    let store = SqlStore::from_pool_with(pool.clone(), database.config()).unwrap();
    let stored = record();
    let _ = store.create(&id(1), &stored).await.unwrap();
    let first = next(&stored, r#"{"count":2}"#);
    let _ = store.update(&id(1), &first, stored.version).await.unwrap();
    // The statement is prepared and the connection at rest: the next reply is the write's.
    until("the connection is idle", || async { pool.num_idle() == 1 }).await;
    database.proxy().lose_next_reply();
    let second = next(&first, r#"{"count":3}"#);
    unavailable("update", store.update(&id(1), &second, first.version).await);
    until("the write is there", || async {
        store.load(&id(1)).await.unwrap().as_ref() == Some(&second)
    })
    .await;
}

/// The delete that is made again meets no row: its own first one has removed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_whose_answer_is_lost_is_made_again_and_done() {
    for kind in SERVERS {
        let database = Database::behind_proxy(kind);
        database.open().await;
        let (store, idle) = one_connection(&database).await;
        let stored = record();
        for only in [Only::Any, Only::Generation(stored.generation)] {
            // The statement is prepared and the connection at rest: the next reply is the delete's.
            for number in [1, 2] {
                let _ = store.create(&id(number), &stored).await.unwrap();
            }
            let prepared = store.delete(&id(1), only).await;
            assert_eq!(prepared.unwrap(), Written::Done);
            until("the connection is idle", || async { idle() == 1 }).await;
            database.proxy().lose_next_reply();
            let deleted = store.delete(&id(2), only).await;
            assert_eq!(deleted.unwrap(), Written::Done, "{kind:?}, {only:?}");
            assert_eq!(store.load(&id(2)).await.unwrap(), None);
            // Where no answer was lost, it was not there.
            let again = store.delete(&id(2), only).await;
            assert_eq!(again.unwrap(), Written::Gone, "{kind:?}, {only:?}");
        }
    }
}

/// A store with one connection, used as it is, and how many are idle.
async fn one_connection(database: &Database) -> (SqlStore, Box<dyn Fn() -> usize>) {
    let (url, config) = (&database.url, database.config());
    if database.kind == Kind::Postgres {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false);
        let pool = pool.connect(url).await.unwrap();
        let store = SqlStore::from_pool_with(pool.clone(), config).unwrap();
        (store, Box::new(move || pool.num_idle()))
    } else {
        let pool = MySqlPoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false);
        let pool = pool.connect(url).await.unwrap();
        let store = SqlStore::from_pool_with(pool.clone(), config).unwrap();
        (store, Box::new(move || pool.num_idle()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn futures_dropped_in_the_middle_leave_a_pool_that_works() {
    for (kind, is_own) in SERVERS.map(|kind| [(kind, false), (kind, true)]).concat() {
        let database = Database::behind_proxy(kind);
        database.open().await;
        let (store, idle): (SqlStore, Box<dyn Fn() -> usize>) = if is_own {
            let store = database.open_with(database.config().connections(1)).await;
            // A connection whose question has been answered is at hand at once.
            (store, Box::new(|| 1))
        } else {
            one_connection(&database).await
        };
        let mut stored = record();
        let id = id(1);
        let _ = store.create(&id, &stored).await.unwrap();
        for round in 0..6 {
            // Each round begins with the statements prepared, and the connection at rest.
            let before = next(&stored, "{}");
            let written = store.update(&id, &before, stored.version).await;
            assert_eq!(written.unwrap(), Written::Done);
            assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&before));
            until("the connection is idle", || async { idle() == 1 }).await;
            let update = next(
                &before,
                &format!("{{\"text\":\"{}\"}}", "x".repeat(300_000)),
            );
            let pause = Duration::from_millis(50);
            database.proxy().stall();
            if round % 2 == 0 {
                let load = store.load(&id);
                assert!(tokio::time::timeout(pause, load).await.is_err());
            } else {
                let write = store.update(&id, &update, before.version);
                assert!(tokio::time::timeout(pause, write).await.is_err());
            }
            database.proxy().flow();
            stored = store.load(&id).await.unwrap().unwrap();
            let after = next(&stored, "{}");
            let written = store.update(&id, &after, stored.version).await.unwrap();
            if written == Written::Done {
                stored = after;
            } else {
                // The dropped write has come through after all.
                assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&update));
                stored = update;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_found_by_the_ping() {
    let database = Database::new(Kind::Postgres);
    let store = database.open().await;
    let stored = record();
    let _ = store.create(&id(1), &stored).await.unwrap();
    let standby = postgres()
        .standby()
        .unwrap_or_else(|error| panic!("{error}"));
    let read_only = SqlStore::connect_with(&standby.url(), database.config())
        .await
        .unwrap();
    until("the standby has the session", || async {
        read_only
            .load(&id(1))
            .await
            .is_ok_and(|found| found.is_some())
    })
    .await;
    let error = read_only.ping().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("read-only"), "{error}");
    unavailable("create", read_only.create(&id(2), &stored).await);

    let mariadb = MariaDbServer::builder()
        .setting("max_allowed_packet", "1M")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let store = SqlStore::connect_with(&mariadb.url(), SqlConfig::new())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let large = next(
        &record(),
        &format!("{{\"text\":\"{}\"}}", "x".repeat(2_000_000)),
    );
    let error = store.create(&id(1), &large).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
    assert_eq!(store.load(&id(1)).await.unwrap(), None);
    assert_eq!(
        store.create(&id(1), &record()).await.unwrap(),
        Created::Done
    );

    mariadb.sql("SET GLOBAL read_only = 1").unwrap();
    let error = store.ping().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(store.load(&id(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_pool_loses_its_connections_to_a_standby_one_by_one() {
    let database = Database::new(Kind::Postgres);
    database.open().await;
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&database.url).await.unwrap();
    let store = SqlStore::from_pool_with(pool.clone(), database.config()).unwrap();
    let read_only = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
    let demote = async || {
        let done = session_sql::sqlx::raw_sql(read_only).execute(&pool).await;
        done.unwrap();
    };
    demote().await;
    unavailable("ping", store.ping().await);
    store.ping().await.unwrap();
    // Where new ones lead to the same server, each refused write would cost a connection.
    demote().await;
    unavailable("ping", store.ping().await);
    unavailable("ping", store.ping().await);
}
