//! The store keeps the contract in every database.

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::sync::Arc;

    use async_trait::async_trait;
    use session_core::conformance::{Harness, Planted, samples};
    use session_core::{SessionId, Store};
    use session_sql::{SqlStore, sqlx};
    use sqlx::{Executor, SqlitePool};
    use tempfile::TempDir;

    /// A file of its own for each store.
    struct File(TempDir);

    impl File {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> String {
            let path = self.0.path().join("sessions 1?#%20.db");
            path.display().to_string()
        }

        async fn open(&self) -> Arc<dyn Store> {
            let url = format!("sqlite:{}", self.path());
            let store = SqlStore::connect(&url).await.unwrap();
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        /// The file as an administrator opens it.
        async fn raw(&self) -> SqlitePool {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path());
            SqlitePool::connect_with(options).await.unwrap()
        }

        async fn run(&self, sql: &'static str) {
            self.raw().await.execute(sql).await.unwrap();
        }
    }

    #[async_trait]
    impl Harness for File {
        async fn empty_store(&self) -> Arc<dyn Store> {
            self.open().await
        }

        async fn small_store(&self) -> Arc<dyn Store> {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(self.path())
                .create_if_missing(true)
                // A deleted record gives whole pages back only if it was longer than one.
                .page_size(512)
                .pragma("max_page_count", "300");
            let pool = sqlx::sqlite::SqlitePoolOptions::new()
                .max_connections(1)
                .connect_with(options)
                .await
                .unwrap();
            let store = SqlStore::from_pool(pool);
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn reopen(&self) -> Arc<dyn Store> {
            self.open().await
        }

        async fn plant(&self, id: &SessionId, what: Planted) {
            let newer = samples::newer_format();
            let (format, meta) = match what {
                Planted::Undecodable => (1, samples::UNDECODABLE),
                Planted::NewerFormat => (2, newer.as_bytes()),
            };
            sqlx::query(
                "INSERT INTO sessions \
                 (session_id, atime, format, generation, version, meta, data) \
                 VALUES (?, 0, ?, 0, '', ?, '{}')",
            )
            .bind(id.to_string())
            .bind(format)
            .bind(std::str::from_utf8(meta).unwrap())
            .execute(&self.raw().await)
            .await
            .unwrap();
        }

        async fn break_backend(&self) {
            self.run("ALTER TABLE sessions RENAME TO away").await;
        }

        async fn mend_backend(&self) {
            self.run("ALTER TABLE away RENAME TO sessions").await;
        }
    }

    session_core::store_conformance!(File::new());
}
