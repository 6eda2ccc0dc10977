//! What is refused, and that no message tells a password.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use session_core::{Cursor, ErrorKind, Only, Store, StoreErrorKind};
use session_sql::{SqlConfig, SqlStore};

use crate::database::Kind;
use crate::{Database, id, next, record};

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
        ("postgres:u:hunter2@h/d", ErrorKind::Invalid),
        ("mysql:u:hunter2@h/d", ErrorKind::Invalid),
        ("postgres://u:hunter2@[::1/d", ErrorKind::Invalid),
        (
            "postgres://u:hunter2@h/d?sslmode=hunter2&port=x",
            ErrorKind::Invalid,
        ),
        // sqlx would log the value of the first, and pass over the others.
        ("postgres://u@h/d?sslpassword=hunter2", ErrorKind::Invalid),
        ("postgres://u@h/d?optionshunter2=x", ErrorKind::Invalid),
        ("mysql://u@h/d?ssl_mode=hunter2", ErrorKind::Invalid),
        ("mysql://u:pass?hunter2&word@h/d", ErrorKind::Invalid),
        ("mysql://u:hunter2@h:99999/d", ErrorKind::Invalid),
        (
            "postgres://u%3Ahunter2%40127.0.0.1:1/d",
            ErrorKind::Unavailable,
        ),
        (
            "mysql://u%3Ahunter2%40127.0.0.1:1/d",
            ErrorKind::Unavailable,
        ),
        ("postgres://u:hunter2@127.0.0.1:1/d", ErrorKind::Unavailable),
        ("mysql://u:hunter2@127.0.0.1:1/d", ErrorKind::Unavailable),
        ("sqlite:/dev/null/folder/hunter", ErrorKind::Unavailable),
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
async fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("file/sessions.db");
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all ".repeat(1000)).unwrap();
    let (none, text) = (none.to_str().unwrap(), text.to_str().unwrap());
    let config = || SqlConfig::new().acquire_timeout(Duration::from_millis(300));
    for (url, place) in [
        (format!("sqlite:{none}"), none),
        (format!("sqlite:{text}"), text),
        (
            "postgres://u:hunter2@127.0.0.1:1/d".to_owned(),
            "127.0.0.1:1",
        ),
        ("postgres://u@h/d?host=/nowhere".to_owned(), "/nowhere"),
        ("mysql://u:hunter2@127.0.0.1:1/d".to_owned(), "127.0.0.1:1"),
    ] {
        let error = SqlStore::connect_with(&url, config()).await.unwrap_err();
        let why = format!(" failed: {place}: ");
        assert!(error.to_string().contains(&why), "{error}");
    }
    // Host and port are what comes before the slash of a password.
    let url = "postgres://127.0.0.1:1/word@db/shop";
    let error = SqlStore::connect_with(url, config()).await.unwrap_err();
    assert!(!error.to_string().contains(":1"), "{error}");
}

/// The file would be looked for in the root directory.
#[tokio::test]
async fn a_file_s_path_is_not_taken_for_a_host_s_name() {
    for (url, why) in [
        (
            "sqlite://dev/null/sessions.db",
            "`sqlite://` would name a host: write `sqlite:` and the path",
        ),
        ("sqlite:", "a path must follow `sqlite:`"),
    ] {
        let error = SqlStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
        assert_eq!(error.to_string(), why);
    }
    // No host, and an absolute path.
    let database = Database::new(Kind::Sqlite);
    let file = database.folder().join("sessions.db");
    let url = format!("sqlite://{}", file.display());
    SqlStore::connect(&url).await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn a_table_s_name_is_checked_before_anything_is_opened() {
    let config = SqlConfig::new().table("sessions; DROP TABLE users");
    let error = SqlStore::connect_with("sqlite:/nonexistent/folder/x", config)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("cannot be used"), "{error}");
    assert!(!std::path::Path::new("/nonexistent").exists());
}

#[tokio::test]
async fn a_parameter_that_is_known_is_taken_however_it_is_written() {
    let parameters = [
        "",
        "&",
        "sslmode=prefer&application_name=shop",
        "options[search_path]=public",
        "options%5bsearch_path%5D=public#sslpassword=x",
    ];
    for parameters in parameters {
        let url = Database::new(Kind::Postgres).url + "?" + parameters;
        let store = SqlStore::connect(&url).await;
        assert!(store.is_ok(), "{parameters}: {:?}", store.err());
    }
}

/// Behind a proxy one client's statement would be taken for another's, and none would be closed.
#[tokio::test]
async fn the_cache_of_statements_cannot_be_turned_off_on_postgresql() {
    let capacity = async |postgres: &str, capacity: &str| {
        let url = format!("{postgres}?sslmode=prefer&statement-cache-capacity{capacity}");
        SqlStore::connect(&url).await
    };
    for off in [
        "=0",
        "=00",
        "=%30",
        "=%2b0",
        "=0&port=1",
        "=0#x",
        "=100&statement-cache-capacity=0",
        "",
    ] {
        let error = capacity("postgres://u@127.0.0.1:1/d", off)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{off}: {error}");
        assert!(error.to_string().contains("session mode"), "{off}: {error}");
    }
    let postgres = Database::new(Kind::Postgres).url;
    for on in ["=1", "=500", "=500#&statement-cache-capacity=0"] {
        let store = capacity(&postgres, on).await;
        assert!(store.is_ok(), "{on}: {:?}", store.err());
    }
    // There a statement that is not kept is closed.
    let mariadb = Database::new(Kind::MariaDb);
    let url = format!("{}?statement-cache-capacity=0", mariadb.url);
    let store = SqlStore::connect_with(&url, mariadb.config())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.load(&id(1)).await.unwrap(), None);
}

/// What was written into a file without a name would be gone with the next restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_moved_replaced_or_deleted_is_not_written_to() {
    type Deed = fn(&Path, &Path) -> std::io::Result<()>;
    let deeds: [Deed; 3] = [
        |path, away| std::fs::rename(path, away),
        |path, away| {
            std::fs::copy(path, away)?;
            std::fs::rename(away, path)
        },
        |path, _| std::fs::remove_file(path),
    ];
    for deed in deeds {
        let database = Database::new(Kind::Sqlite);
        let store = database.open().await;
        let _ = store.create(&id(1), &record()).await.unwrap();
        let path = Path::new(database.url.strip_prefix("sqlite:").unwrap());
        let away = path.with_extension("away");
        deed(path, &away).unwrap();
        let next = next(&record(), "{}");
        let version = record().version;
        for error in [
            store.update(&id(1), &next, version).await.unwrap_err(),
            store.create(&id(2), &record()).await.unwrap_err(),
            store.delete(&id(1), Only::Any).await.unwrap_err(),
            store.ping().await.unwrap_err(),
            // Nor read: a connection that is opened now would be to another file.
            store.load(&id(1)).await.unwrap_err(),
            store.scan(Cursor::start(), 10).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            let why = " failed: the database's file was moved, replaced or deleted";
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(store.migrate().await.is_err());
        // Whoever moved it may think better of it.
        if away.exists() {
            std::fs::rename(&away, path).unwrap();
            store.ping().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_strange_parameter_is_named_if_it_looks_like_one() {
    for (parameters, named) in [
        (
            "sslmode=require&channel_binding=require",
            "`channel_binding`",
        ),
        ("ssl_mode=require", "`ssl_mode`"),
        ("Pa55word", "a strange name"),
    ] {
        for scheme in ["postgres", "mysql"] {
            let url = format!("{scheme}://u@h/d?{parameters}");
            let error = SqlStore::connect(&url).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
