//! A session saved inside a transaction of the application's own.

use std::net::IpAddr;

use session_core::http::{Exchange, RequestHead};
use session_core::{PendingSave, Session, SessionConfig, SessionManager, Store, Written};
use session_sql::{SqlStore, sqlx};

use crate::Database;
use crate::database::Kind;

struct NoHead;

impl RequestHead for NoHead {
    fn each_header<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// A session that is stored with one item in its basket.
async fn session(store: &SqlStore) -> Session {
    let config = SessionConfig::builder().build().unwrap();
    let manager = SessionManager::new(store.clone(), config);
    let session = Exchange::begin(&manager, "POST")
        .session(&NoHead)
        .await
        .unwrap();
    session.insert("basket", 1).unwrap();
    session.save().await.unwrap();
    session
}

async fn prepared(session: &Session, basket: u32) -> PendingSave {
    session.insert("basket", basket).unwrap();
    session.prepare_save().await.unwrap().unwrap()
}

async fn basket(store: &SqlStore, session: &Session) -> String {
    let stored = store.load(&session.id().unwrap()).await.unwrap().unwrap();
    stored.data.raw("basket").unwrap().to_owned()
}

macro_rules! in_a_transaction {
    ($module:ident, $kind:expr, $pool:ty, |$database:ident| $open:expr) => {
        mod $module {
            use super::*;

            async fn shop() -> (Database, $pool, SqlStore, String) {
                let $database = Database::new($kind);
                let store = $database.open().await;
                let orders = format!("Orders_{}", $database.table);
                let make = format!("CREATE TABLE {orders} (item INTEGER NOT NULL)");
                let pool: $pool = $open;
                sqlx::raw_sql(sqlx::AssertSqlSafe(make))
                    .execute(&pool)
                    .await
                    .unwrap();
                ($database, pool, store, orders)
            }

            async fn count(pool: &$pool, orders: &str) -> i64 {
                let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {orders}"));
                sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
            }

            fn insert(orders: &str) -> sqlx::AssertSqlSafe<String> {
                sqlx::AssertSqlSafe(format!("INSERT INTO {orders} (item) VALUES (7)"))
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_commit_stores_the_order_and_the_session() {
                let (_database, pool, store, orders) = shop().await;
                let session = session(&store).await;
                let pending = prepared(&session, 2).await;
                let mut transaction = pool.begin().await.unwrap();
                sqlx::raw_sql(insert(&orders))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                let written = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(written, Written::Done);
                transaction.commit().await.unwrap();
                pending.confirm().unwrap();
                assert_eq!(count(&pool, &orders).await, 1);
                assert_eq!(basket(&store, &session).await, "2");
                session.insert("basket", 3).unwrap();
                session.save().await.unwrap();
                assert_eq!(basket(&store, &session).await, "3");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_new_session_is_created_by_the_commit() {
                let (_database, pool, store, orders) = shop().await;
                let config = SessionConfig::builder().build().unwrap();
                let manager = SessionManager::new(store.clone(), config);
                let session = Exchange::begin(&manager, "POST")
                    .session(&NoHead)
                    .await
                    .unwrap();
                let pending = prepared(&session, 1).await;
                assert_eq!(pending.expected(), None);
                let mut transaction = pool.begin().await.unwrap();
                sqlx::raw_sql(insert(&orders))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                let written = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(written, Written::Done);
                // A taken id: the transaction goes on.
                let again = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(again, Written::Conflict);
                transaction.commit().await.unwrap();
                pending.confirm().unwrap();
                assert_eq!(count(&pool, &orders).await, 1);
                assert_eq!(basket(&store, &session).await, "1");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_rollback_stores_neither() {
                let (_database, pool, store, orders) = shop().await;
                let session = session(&store).await;
                let pending = prepared(&session, 2).await;
                let mut transaction = pool.begin().await.unwrap();
                sqlx::raw_sql(insert(&orders))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                let written = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(written, Written::Done);
                transaction.rollback().await.unwrap();
                pending.abort();
                assert_eq!(count(&pool, &orders).await, 0);
                assert_eq!(basket(&store, &session).await, "1");
                // The change is still the session's to save.
                session.save().await.unwrap();
                assert_eq!(basket(&store, &session).await, "2");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_conflict_is_told_and_the_transaction_can_be_rolled_back() {
                let (_database, pool, store, orders) = shop().await;
                let session = session(&store).await;
                let pending = prepared(&session, 2).await;
                let id = session.id().unwrap();
                let stored = store.load(&id).await.unwrap().unwrap();
                let other = crate::next(&stored, r#"{"basket":9}"#);
                let _ = store.update(&id, &other, stored.version).await.unwrap();

                let mut transaction = pool.begin().await.unwrap();
                sqlx::raw_sql(insert(&orders))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                let written = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(written, Written::Conflict);
                transaction.rollback().await.unwrap();
                pending.abort();
                assert_eq!(count(&pool, &orders).await, 0);
                assert_eq!(basket(&store, &session).await, "9");

                session.reload().await.unwrap();
                let pending = prepared(&session, 10).await;
                let mut transaction = pool.begin().await.unwrap();
                let written = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(written, Written::Done);
                transaction.commit().await.unwrap();
                pending.confirm().unwrap();
                assert_eq!(basket(&store, &session).await, "10");

                let pending = prepared(&session, 11).await;
                let _ = store.delete(&id, session_core::Only::Any).await.unwrap();
                let mut transaction = pool.begin().await.unwrap();
                let written = store.save_in(&mut *transaction, &pending).await.unwrap();
                assert_eq!(written, Written::Gone);
                pending.abort();
            }
        }
    };
}

in_a_transaction!(sqlite, Kind::Sqlite, sqlx::SqlitePool, |database| {
    database.raw().await
});
in_a_transaction!(postgres, Kind::Postgres, sqlx::PgPool, |database| {
    sqlx::PgPool::connect(&database.url).await.unwrap()
});
in_a_transaction!(mariadb, Kind::MariaDb, sqlx::MySqlPool, |database| {
    sqlx::MySqlPool::connect(&database.url).await.unwrap()
});

/// Its transaction looks at the database as it was before another saved the session.
macro_rules! with_a_snapshot {
    ($name:ident, $kind:expr, $connection:ty, $begin:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let database = Database::new($kind);
            let store = database.open().await;
            let session = session(&store).await;
            let pending = prepared(&session, 2).await;
            let mut connection = <$connection as sqlx::Connection>::connect(&database.url)
                .await
                .unwrap();
            let look = "SELECT COUNT(*) FROM session_kit_schema";
            for statement in $begin.iter().copied().chain([look]) {
                let statement = sqlx::AssertSqlSafe(statement);
                sqlx::raw_sql(statement)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            let id = session.id().unwrap();
            let stored = store.load(&id).await.unwrap().unwrap();
            let other = crate::next(&stored, r#"{"basket":9}"#);
            let _ = store.update(&id, &other, stored.version).await.unwrap();
            let written = store.save_in(&mut connection, &pending).await.unwrap();
            assert_eq!(written, Written::Conflict);
            sqlx::raw_sql("ROLLBACK")
                .execute(&mut connection)
                .await
                .unwrap();
            pending.abort();
            assert_eq!(basket(&store, &session).await, "9");
        }
    };
}

with_a_snapshot!(
    postgres_s_serialization_failure_is_a_conflict,
    Kind::Postgres,
    sqlx::PgConnection,
    ["BEGIN ISOLATION LEVEL REPEATABLE READ"]
);
with_a_snapshot!(
    mariadb_s_changed_record_is_a_conflict,
    Kind::MariaDb,
    sqlx::MySqlConnection,
    [
        "SET SESSION innodb_snapshot_isolation = ON",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    ]
);

#[tokio::test]
async fn a_transaction_in_another_kind_of_database_is_refused() {
    let database = Database::new(Kind::Sqlite);
    let store = database.open().await;
    let session = session(&store).await;
    let pending = prepared(&session, 2).await;
    let url = Database::new(Kind::Postgres).url;
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    let error = store.save_in(&mut connection, &pending).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "saving the session failed: the sessions are in SQLite, the transaction is in PostgreSQL"
    );
    pending.abort();
    assert_eq!(basket(&store, &session).await, "1");
}
