//! Servers whose settings are not the usual ones.

use session_core::{Created, Only, Store, Written};
use session_sql::{SqlConfig, SqlStore};
use session_test_servers::MariaDbServer;

use crate::{id, next, record};

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
