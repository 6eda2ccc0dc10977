//! Making the table.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Created, ErrorKind, Store};
use session_sql::sqlx::postgres::PgConnectOptions;
use session_sql::sqlx::{self, Connection as _};
use session_sql::{SqlConfig, SqlStore};

use crate::PATIENCE;
use crate::database::Kind;
use crate::{Database, id, record};

/// What a table looks like, as far as the database tells.
async fn layout(database: &Database) -> String {
    let (table, of) = (&database.table, database.kind);
    database
        .sql(&match of {
            Kind::Sqlite => format!("SELECT replace(sql, '{table}', '') FROM sqlite_master WHERE tbl_name = '{table}' ORDER BY name"),
            Kind::Postgres => format!(
                "SELECT column_name || data_type || is_nullable || coalesce(collation_name, '') FROM information_schema.columns \
                 WHERE table_name = '{table}' ORDER BY 1; \
                 SELECT replace(indexdef, '{table}', '') FROM pg_indexes WHERE tablename = '{table}' ORDER BY 1"
            ),
            Kind::MariaDb => "SHOW CREATE TABLE {table}".to_owned(),
        })
        .await
        .replace(table.as_str(), "")
}

in_every_database! {
    async fn eight_processes_may_migrate_at_once(database: Database) {
        let mut stores = Vec::new();
        for _ in 0..8 {
            stores.push(database.open_with(database.config().connections(1)).await);
        }
        for round in 0..5 {
            if round > 0 {
                database.sql("DROP TABLE {table}").await;
            }
            let together = Arc::new(tokio::sync::Barrier::new(stores.len()));
            let migrations: Vec<_> = stores
                .iter()
                .map(|store| {
                    let (store, together) = (store.clone(), Arc::clone(&together));
                    tokio::spawn(async move {
                        // Its connection is made, and as soon as all are: go.
                        let _ = store.ping().await;
                        together.wait().await;
                        store.migrate().await
                    })
                })
                .collect();
            for migration in migrations {
                migration.await.unwrap().unwrap();
            }
        }
        let store = database.open().await;
        assert_eq!(store.create(&id(1), &record()).await.unwrap(), Created::Done);
        let table = &database.table;
        let versions = database
            .sql(&format!("SELECT version FROM session_kit_schema WHERE table_name = '{table}'"))
            .await;
        assert_eq!(versions, "1");
    }

    async fn migrating_again_changes_nothing(database: Database) {
        let store = database.open().await;
        let record = record();
        let _ = store.create(&id(1), &record).await.unwrap();
        let before = layout(&database).await;
        store.migrate().await.unwrap();
        assert_eq!(layout(&database).await, before);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(record));
    }

    async fn a_table_of_a_newer_version_is_refused_and_left_alone(database: Database) {
        let store = database.open().await;
        let _ = store.create(&id(1), &record()).await.unwrap();
        let table = &database.table;
        database
            .sql(&format!("UPDATE session_kit_schema SET version = 7 WHERE table_name = '{table}'"))
            .await;
        let error = store.migrate().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.to_string(),
            format!("migrating failed: the table `{table}` has layout 7, this version knows up to 1: use a newer one")
        );
        assert_eq!(database.sql("SELECT COUNT(*) FROM {table}").await, "1");
    }

    async fn a_table_that_is_not_ours_is_refused_and_left_alone(database: Database) {
        database.open_with(database.config()).await;
        database.sql("CREATE TABLE {table} (basket INTEGER)").await;
        let store = database.open_with(database.config()).await;
        let error = store.migrate().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("choose another name"), "{error}");
        assert_eq!(database.sql("SELECT COUNT(basket) FROM {table}").await, "0");
    }

    async fn a_table_that_was_dropped_by_hand_is_made_again(database: Database) {
        let store = database.open().await;
        let before = layout(&database).await;
        database.sql("DROP TABLE {table}").await;
        store.migrate().await.unwrap();
        assert_eq!(layout(&database).await, before);
        assert_eq!(store.create(&id(1), &record()).await.unwrap(), Created::Done);
    }

    async fn the_published_text_makes_the_same_table(database: Database) {
        let migrated = database.open().await;
        let expected = layout(&database).await;
        database.sql("DROP TABLE {table}").await;
        let table = &database.table;
        database
            .sql(&format!("DELETE FROM session_kit_schema WHERE table_name = '{table}'"))
            .await;
        for statement in migrated.schema().split_terminator(";\n") {
            database.sql(statement).await;
        }
        assert_eq!(layout(&database).await, expected);
        migrated.migrate().await.unwrap();
        assert_eq!(migrated.create(&id(1), &record()).await.unwrap(), Created::Done);
    }

    async fn two_tables_live_side_by_side(database: Database) {
        let first = database.open().await;
        let mut second_table = database.table.clone();
        second_table.push_str("_2");
        let second = database.open_with(SqlConfig::new().table(&second_table)).await;
        second.migrate().await.unwrap();
        assert_eq!(first.create(&id(1), &record()).await.unwrap(), Created::Done);
        assert_eq!(second.load(&id(1)).await.unwrap(), None);
        assert_eq!(second.table(), second_table);
    }
}

/// Definitions commit by themselves there.
#[tokio::test(flavor = "multi_thread")]
async fn mariadb_s_migration_that_was_killed_half_way_is_completed_by_the_next() {
    let database = Database::new(Kind::MariaDb);
    let store = database.open().await;
    let before = layout(&database).await;
    let table = &database.table;
    let version = format!("FROM session_kit_schema WHERE table_name = '{table}'");
    for begun in ["DO 1", "DROP TABLE {table}"] {
        let set = format!("UPDATE session_kit_schema SET version = 0 WHERE table_name = '{table}'");
        database.sql(&set).await;
        database.sql(begun).await;
        store.migrate().await.unwrap();
        assert_eq!(layout(&database).await, before);
        assert_eq!(
            database.sql(&format!("SELECT version {version}")).await,
            "1"
        );
    }
}

/// What it waited for is what it must then see.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_s_migration_sees_what_another_has_done_where_transactions_are_serializable() {
    let database = Database::new(Kind::Postgres);
    let name = format!("waiter_{}", database.table);
    let options: PgConnectOptions = database.url.parse().unwrap();
    let options = options.application_name(&name);
    let serializable = [("default_transaction_isolation", "serializable")];
    let pool = sqlx::PgPool::connect_with(options.options(serializable))
        .await
        .unwrap();
    let store = SqlStore::from_pool_with(pool, database.config()).unwrap();

    let mut other = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let mut other = other.begin().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(5503867247184301)";
    sqlx::raw_sql(lock).execute(&mut *other).await.unwrap();
    let waiter = store.clone();
    let migration = tokio::spawn(async move { waiter.migrate().await });
    let waiting = format!(
        "SELECT COUNT(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE locktype = 'advisory' AND NOT granted AND application_name = '{name}'"
    );
    let started = std::time::Instant::now();
    while database.sql(&waiting).await != "1" {
        assert!(started.elapsed() < PATIENCE, "waiting for the migration");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let schema = sqlx::AssertSqlSafe(store.schema());
    sqlx::raw_sql(schema).execute(&mut *other).await.unwrap();
    other.commit().await.unwrap();
    migration.await.unwrap().unwrap();
    let created = store.create(&id(1), &record()).await.unwrap();
    assert_eq!(created, Created::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_and_write_rows_can_call_it_when_nothing_is_to_be_done() {
    let database = Database::new(Kind::Postgres);
    database.open().await;
    let table = &database.table;
    database
        .sql(&format!(
            "CREATE ROLE \"clerk_{table}\" LOGIN; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON \"{table}\" TO \"clerk_{table}\"; \
             GRANT SELECT ON session_kit_schema TO \"clerk_{table}\""
        ))
        .await;
    let url = database
        .url
        .replace("postgres@", &format!("clerk_{table}@"));
    let store = session_sql::SqlStore::connect_with(&url, database.config())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(
        store.create(&id(1), &record()).await.unwrap(),
        Created::Done
    );
}
