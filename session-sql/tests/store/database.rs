//! A table of its own in one of the databases, and the database as its administrator sees it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use session_sql::{SqlConfig, SqlStore, sqlx};
use session_test_servers::{MariaDbServer, PostgresServer, Proxy};
use sqlx::Row;
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// One table; the servers are started once for all tests of a binary, and end with it.
pub(crate) struct Database {
    pub(crate) kind: Kind,
    pub(crate) table: String,
    pub(crate) url: String,
    /// In front of the server, for outages.
    proxy: Option<Proxy>,
    folder: TempDir,
}

pub(crate) fn postgres() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let builder = PostgresServer::builder().setting("max_connections", "500");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

pub(crate) fn mariadb() -> &'static MariaDbServer {
    static SERVER: OnceLock<MariaDbServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let builder = MariaDbServer::builder().setting("max_connections", "500");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

impl Database {
    pub(crate) fn new(kind: Kind) -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        let (url, proxy) = match kind {
            Kind::Sqlite => {
                // What a URL would take apart is part of the path.
                let path = folder.path().join("sessions 1?#%20.db");
                (format!("sqlite:{}", path.display()), None)
            }
            Kind::Postgres => {
                let proxy = Proxy::to(postgres().addr()).unwrap();
                (postgres().url_at(proxy.addr(), "postgres"), Some(proxy))
            }
            Kind::MariaDb => {
                let proxy = Proxy::to(mariadb().addr()).unwrap();
                (mariadb().url_at(proxy.addr(), "sessions"), Some(proxy))
            }
        };
        Self {
            kind,
            table: format!("Sessions_{number}"),
            url,
            proxy,
            folder,
        }
    }

    pub(crate) fn config(&self) -> SqlConfig {
        SqlConfig::new().table(&self.table)
    }

    /// A store with connections of its own, as another process has.
    pub(crate) async fn open(&self) -> SqlStore {
        let store = self.open_with(self.config()).await;
        store.migrate().await.unwrap();
        store
    }

    pub(crate) async fn open_with(&self, config: SqlConfig) -> SqlStore {
        SqlStore::connect_with(&self.url, config).await.unwrap()
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("SQLite is no server")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Runs a statement; `{table}` is replaced. Rows are lines, their fields joined by `|`.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        let quote = if self.kind == Kind::MariaDb { '`' } else { '"' };
        let table = format!("{quote}{}{quote}", self.table);
        let sql = sql.replace("{table}", &table);
        match self.kind {
            Kind::Sqlite => self.sqlite(sql).await,
            Kind::Postgres => postgres().sql(&sql).unwrap(),
            Kind::MariaDb => mariadb().sql_in("sessions", &sql).unwrap(),
        }
    }

    async fn sqlite(&self, sql: String) -> String {
        let path = self.url.strip_prefix("sqlite:").unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .fetch_all(&pool)
            .await
            .unwrap();
        let line = |row: &sqlx::sqlite::SqliteRow| {
            let fields = (0..row.len()).map(|at| {
                let field: Option<String> = row.try_get_unchecked(at).unwrap();
                field.unwrap_or_default()
            });
            fields.collect::<Vec<_>>().join("|")
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        pool.close().await;
        lines.join("\n")
    }

    /// The backend fails every operation until [`mend`](Self::mend).
    pub(crate) async fn fail(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.refuse();
            proxy.cut();
        } else {
            self.sql("ALTER TABLE {table} RENAME TO away").await;
        }
    }

    pub(crate) async fn mend(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.accept().unwrap();
        } else {
            let table = &self.table;
            self.sql(&format!("ALTER TABLE away RENAME TO \"{table}\""))
                .await;
        }
    }
}

/// The same tests for each database.
macro_rules! in_every_database {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident: Database) $body:block)*) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Database::new(crate::database::Kind::Sqlite)).await; }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Database::new(crate::database::Kind::Postgres)).await; }
        )* }
        mod mariadb { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Database::new(crate::database::Kind::MariaDb)).await; }
        )* }
        $($(#[$attribute])* async fn $name($database: crate::database::Database) $body)*
    };
}

#[allow(unused_imports, reason = "the conformance tests have their own")]
pub(crate) use in_every_database;
