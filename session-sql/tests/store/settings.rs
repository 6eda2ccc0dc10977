//! Settings, of servers and of the store's connections, that are not the usual ones.

use std::time::Duration;

use session_core::{Created, ErrorKind, Only, Store, Written};
use session_sql::{SqlConfig, SqlStore};
use session_test_servers::MariaDbServer;

use crate::database::Kind;
use crate::{Database, id, next, record};

/// What was told to be done would end with its connection.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_committed_where_the_server_does_not_commit_by_itself() {
    let no_commit = [
        ("autocommit", "0"),
        ("init-connect", "SET SESSION autocommit = 0"),
    ];
    for (name, value) in no_commit {
        let server = MariaDbServer::builder().setting(name, value).start();
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let open = async || {
            let config = SqlConfig::new().connections(1);
            SqlStore::connect_with(&server.url(), config).await.unwrap()
        };
        let (store, another) = (open().await, open().await);
        store.migrate().await.unwrap();
        let stored = record();
        let created = store.create(&id(1), &stored).await.unwrap();
        assert_eq!(created, Created::Done);
        let seen = another.load(&id(1)).await.unwrap();
        assert_eq!(seen.as_ref(), Some(&stored), "{name}");
        let update = next(&stored, r#"{"count":2}"#);
        let written = store.update(&id(1), &update, stored.version).await.unwrap();
        assert_eq!(written, Written::Done);
        // Nor does a connection that reads stay at what it saw first.
        let seen = another.load(&id(1)).await.unwrap();
        assert_eq!(seen.as_ref(), Some(&update), "{name}");
        let written = store.delete(&id(1), Only::Any).await.unwrap();
        assert_eq!(written, Written::Done);
        drop(store);
        assert_eq!(open().await.load(&id(1)).await.unwrap(), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_may_take_as_long_as_its_server_can_express() {
    let postgres = Database::new(Kind::Postgres);
    // Whatever is too long is an error to this one.
    let strict = MariaDbServer::builder().setting("sql-mode", "STRICT_ALL_TABLES");
    let strict = strict.start().unwrap_or_else(|error| panic!("{error}"));
    let mariadb = Database::new(Kind::MariaDb);
    for url in [&postgres.url, &mariadb.url, &strict.url()] {
        let config = postgres.config().statement_timeout(Duration::MAX);
        let store = SqlStore::connect_with(url, config).await.unwrap();
        store.migrate().await.unwrap();
        let created = store.create(&id(1), &record()).await.unwrap();
        assert_eq!(created, Created::Done);
    }
}

/// To the servers it would be no limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_not_told_to_give_up_statements_after_no_time() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let database = Database::new(kind);
        let config = database.config().statement_timeout(Duration::ZERO);
        let error = SqlStore::connect_with(&database.url, config).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{kind:?}");
        assert!(
            error.to_string().contains("statement timeout is zero"),
            "{error}"
        );
    }
}
