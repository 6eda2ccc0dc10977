//! The store keeps the contract in every database.

#[path = "store/database.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod database;

use std::sync::Arc;

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted, samples};
use session_core::{SessionId, Store};
use session_sql::{SqlConfig, SqlStore, sqlx};

use self::database::{Database, Kind};

/// A table of its own for each store.
struct Table(Database);

impl Table {
    fn of(kind: Kind) -> Self {
        Self(Database::new(kind))
    }
}

#[async_trait]
impl Harness for Table {
    async fn empty_store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.open().await)
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.0.folder().join("small.db"))
            .create_if_missing(true)
            // A deleted record gives whole pages back only if it was longer than one.
            .page_size(512)
            .pragma("max_page_count", "300");
        let pool = sqlx::sqlite::SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .unwrap();
        let store = SqlStore::from_pool_with(pool, SqlConfig::new()).unwrap();
        store.migrate().await.unwrap();
        Arc::new(store)
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        Arc::new(self.0.open().await)
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        let newer = samples::newer_format();
        let (format, meta) = match what {
            Planted::Undecodable => (1, std::str::from_utf8(samples::UNDECODABLE).unwrap()),
            Planted::NewerFormat => (2, newer.as_str()),
        };
        let insert = format!(
            "INSERT INTO {{table}} \
             (session_id, atime, format, generation, version, meta, data) \
             VALUES ('{id}', 0, {format}, 0, '', '{meta}', '{{}}')"
        );
        self.0.sql(&insert).await;
    }

    async fn break_backend(&self) {
        self.0.fail().await;
    }

    async fn mend_backend(&self) {
        self.0.mend().await;
    }
}

mod sqlite {
    use super::{Kind, Table};

    session_core::store_conformance!(Table::of(Kind::Sqlite));
}

mod postgres {
    use super::{Kind, Table};

    // A small disk of its own for a server is more than a test should ask of a machine.
    session_core::store_conformance!(Table::of(Kind::Postgres), without: [small_store]);
}

mod mariadb {
    use super::{Kind, Table};

    session_core::store_conformance!(Table::of(Kind::MariaDb), without: [small_store]);
}
