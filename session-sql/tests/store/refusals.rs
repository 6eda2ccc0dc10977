//! What is refused, and that no message tells a password.

use session_core::{ErrorKind, Store, StoreErrorKind};
use session_sql::{SqlConfig, SqlStore};
use std::error::Error;
use std::time::Duration;

use crate::database::Kind;
use crate::{Database, id, record};

in_every_database! {
    async fn a_missing_table_says_what_to_call(database: Database) {
        let store = database.open_with(database.config()).await;
        let table = &database.table;
        for error in [
            store.load(&id(1)).await.unwrap_err(),
            store.create(&id(1), &record()).await.unwrap_err(),
            store.ping().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            let why = format!(" failed: the table `{table}` is missing: call `migrate()`");
            assert!(error.to_string().contains(&why), "{error}");
            assert!(error.source().is_some());
        }
    }

    async fn debug_shows_database_and_table(database: Database) {
        let store = database.open().await;
        let shown = format!("{store:?}");
        assert!(shown.contains(&database.table) && !shown.contains("127.0.0.1"), "{shown}");
    }
}

/// Everything an error says, and what its sources say.
fn all_of(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(" {source} {source:?}"));
        next = source.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_cannot_be_used_is_refused_and_its_password_stays_unsaid() {
    let mariadb = Database::new(Kind::MariaDb)
        .url
        .replace("sessions@", "sessions:hunter2@");
    let urls = [
        ("", ErrorKind::Invalid),
        ("hunter2", ErrorKind::Invalid),
        ("oracle://u:hunter2@h/d", ErrorKind::Invalid),
        ("sqlite:", ErrorKind::Invalid),
        ("sqlite::memory:", ErrorKind::Invalid),
        ("postgres://u:hunter2@h:port/d", ErrorKind::Invalid),
        ("postgres://u:hunter2@[::1/d", ErrorKind::Invalid),
        (
            "postgres://u:hunter2@h/d?sslmode=hunter2&port=x",
            ErrorKind::Invalid,
        ),
        ("mysql://u:hunter2@h:99999/d", ErrorKind::Invalid),
        ("postgres://u:hunter2@127.0.0.1:1/d", ErrorKind::Unavailable),
        ("mysql://u:hunter2@127.0.0.1:1/d", ErrorKind::Unavailable),
        ("sqlite:/nonexistent/folder/hunter", ErrorKind::Unavailable),
        (&*mariadb, ErrorKind::Unavailable),
    ];
    for (url, kind) in urls {
        let config = SqlConfig::new().acquire_timeout(Duration::from_millis(300));
        let error = SqlStore::connect_with(url, config).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
        let said = all_of(&error);
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_table_s_name_is_checked_before_anything_is_opened() {
    let config = SqlConfig::new().table("sessions; DROP TABLE users");
    let error = SqlStore::connect_with("sqlite:/nonexistent/folder/x", config)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("cannot be used"), "{error}");
}
