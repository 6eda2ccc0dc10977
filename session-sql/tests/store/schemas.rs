//! A table in a schema that the store names.

use std::time::Duration;

use session_core::{Created, Cursor, Only, Owner, Record, Store, Touch, Written};
use session_sql::{SqlConfig, SqlStore};

use crate::database::Kind;
use crate::{Database, START, TIMEOUT, id, next, record};

/// Every operation on a table of `schema`, over a URL that does not lead there.
async fn every_operation_works_in(schema: &str, database: &Database, url: &str) {
    let name = format!("{schema}.{}", database.table);
    let store = SqlStore::connect_with(url, SqlConfig::new().table(name)).await;
    let store = store.unwrap();
    for _ in 0..2 {
        store.migrate().await.unwrap();
    }
    store.ping().await.unwrap();
    let owner = Owner::new("ada").unwrap();
    let stored = Record {
        owner: Some(owner.clone()),
        ..record()
    };
    for number in [1, 2] {
        let created = store.create(&id(number), &stored).await.unwrap();
        assert_eq!(created, Created::Done);
    }
    let changed = next(&stored, r#"{"count":2}"#);
    let written = store.update(&id(1), &changed, stored.version).await;
    assert_eq!(written.unwrap(), Written::Done);
    let touch = Touch {
        generation: stored.generation,
        accessed_at: START.after(Duration::from_secs(60)),
    };
    assert_eq!(store.touch(&id(1), &touch).await.unwrap(), Written::Done);
    let touched = Record {
        accessed_at: touch.accessed_at,
        ..changed
    };
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(touched));
    let mut owned = store.owned_by(&owner).await.unwrap();
    owned.sort();
    assert_eq!(owned, [id(1), id(2)]);
    let page = store.scan(Cursor::start(), 10).await.unwrap();
    assert_eq!(page.ids, owned);
    // The other has been touched since.
    assert_eq!(store.sweep(START.after(TIMEOUT), 10).await.unwrap(), 1);
    assert_eq!(store.load(&id(2)).await.unwrap(), None);
    let deleted = store.delete(&id(1), Only::Any).await.unwrap();
    assert_eq!(deleted, Written::Done);
    assert_eq!(store.load(&id(1)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_works_in_a_schema_that_is_not_on_postgresql_s_path() {
    let database = Database::new(Kind::Postgres);
    database.sql("CREATE SCHEMA IF NOT EXISTS \"Web\"").await;
    every_operation_works_in("Web", &database, &database.url).await;
    let made_there = format!("SELECT COUNT(*) FROM \"Web\".\"{}\"", database.table);
    assert_eq!(database.sql(&made_there).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_works_over_a_mariadb_url_that_names_no_database() {
    let database = Database::new(Kind::MariaDb);
    let url = database.url.strip_suffix("sessions").unwrap();
    every_operation_works_in("sessions", &database, url).await;
    assert_eq!(database.sql("SELECT COUNT(*) FROM {table}").await, "0");
}
