//! A table of its own in one of the databases, and the database as its administrator sees it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session_sql::{SqlConfig, SqlStore, sqlx};
use session_test_servers::{MariaDbServer, PostgresServer, Proxy};
use sqlx::Row;
use tempfile::TempDir;

/// How long anything may take on a machine that is slow and shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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
        let builder = PostgresServer::builder()
            .setting("max_connections", "500")
            .setting("fsync", "off");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

pub(crate) fn mariadb() -> &'static MariaDbServer {
    static SERVER: OnceLock<MariaDbServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let builder = MariaDbServer::builder()
            .setting("max_connections", "500")
            .setting("innodb_flush_log_at_trx_commit", "0");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

impl Database {
    /// A table in a database that is always there.
    pub(crate) fn new(kind: Kind) -> Self {
        Self::at(kind, None)
    }

    /// A table whose server can be cut off.
    pub(crate) fn behind_proxy(kind: Kind) -> Self {
        let server = match kind {
            Kind::Sqlite => return Self::at(kind, None),
            Kind::Postgres => postgres().addr(),
            Kind::MariaDb => mariadb().addr(),
        };
        Self::at(kind, Some(Proxy::to(server).unwrap()))
    }

    fn at(kind: Kind, proxy: Option<Proxy>) -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        let in_front = proxy.as_ref().map(Proxy::addr);
        let url = match kind {
            Kind::Sqlite => {
                // What a URL would take apart is part of the path.
                let path = folder.path().join("sessions 1?#%20.db");
                format!("sqlite:{}", path.display())
            }
            Kind::Postgres => {
                let server = postgres();
                server.url_at(in_front.unwrap_or(server.addr()), "postgres")
            }
            Kind::MariaDb => {
                let server = mariadb();
                server.url_at(in_front.unwrap_or(server.addr()), "sessions")
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
        SqlConfig::new()
            .table(&self.table)
            // So few that tasks wait for them, also while nothing is wrong.
            .connections(4)
            .acquire_timeout(PATIENCE)
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
        let sql = sql.replace("{table}", &self.quoted(&self.table));
        match self.kind {
            Kind::Sqlite => self.sqlite(sql).await,
            Kind::Postgres => postgres().sql(&sql).unwrap(),
            Kind::MariaDb => mariadb().sql_in("sessions", &sql).unwrap(),
        }
    }

    /// SQLite's file with a pool of the test's own.
    pub(crate) async fn raw(&self) -> sqlx::SqlitePool {
        let path = self.url.strip_prefix("sqlite:").unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(PATIENCE);
        sqlx::SqlitePool::connect_with(options).await.unwrap()
    }

    async fn sqlite(&self, sql: String) -> String {
        let pool = self.raw().await;
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

    /// The backend fails every operation until [`mend`](Self::mend): its server is away, or the
    /// table is.
    pub(crate) async fn fail(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.refuse();
            proxy.cut();
        } else {
            let away = self.quoted(&self.away());
            self.sql(&format!("ALTER TABLE {{table}} RENAME TO {away}"))
                .await;
        }
    }

    pub(crate) async fn mend(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.accept().unwrap();
        } else {
            let (away, table) = (self.quoted(&self.away()), self.quoted(&self.table));
            self.sql(&format!("ALTER TABLE {away} RENAME TO {table}"))
                .await;
        }
    }

    fn away(&self) -> String {
        format!("{}_away", self.table)
    }

    fn quoted(&self, name: &str) -> String {
        let quote = if self.kind == Kind::MariaDb { '`' } else { '"' };
        format!("{quote}{name}{quote}")
    }
}
