//! Rows that the real libraries wrote, read with SQL of the application's own.

use std::path::Path;

use session_import::{Imported, beaker, web_py};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// A database of `vectors/make.py`, copied: the tests remove from it.
async fn database(name: &str) -> (tempfile::TempDir, SqlitePool) {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("old.sqlite");
    std::fs::copy(made.join(name).join("database/old.sqlite"), &copy).unwrap();
    let options = SqliteConnectOptions::new().filename(copy);
    (dir, SqlitePool::connect_with(options).await.unwrap())
}

/// Of web.py's `DBStore`; gives a session to one caller only.
async fn take_web_py(pool: &SqlitePool, id: &str) -> Option<Imported> {
    let row: Option<(String,)> = sqlx::query_as("SELECT data FROM sessions WHERE session_id = ?")
        .bind(id)
        .fetch_optional(pool)
        .await
        .unwrap();
    let old = web_py::decode(row?.0.as_bytes()).unwrap();
    let deleted = sqlx::query("DELETE FROM sessions WHERE session_id = ?")
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    (deleted.rows_affected() == 1).then_some(old)
}

#[tokio::test]
async fn a_row_of_web_py_comes_over_once() {
    let (_dir, pool) = database("web_py").await;
    let id = "0123456789abcdef0123456789abcdef01234567";
    let old = take_web_py(&pool, id).await.unwrap();
    assert_eq!(old.get::<&str>("user").unwrap(), Some("ada"));
    assert_eq!(old.data.len(), 10);
    assert_eq!(old.skipped, []);
    assert!(take_web_py(&pool, id).await.is_none());
}

#[tokio::test]
async fn a_row_of_beaker_comes_over() {
    let (_dir, pool) = database("beaker").await;
    let (data,): (Vec<u8>,) = sqlx::query_as("SELECT data FROM beaker_cache WHERE namespace = ?")
        .bind("0123456789abcdef0123456789abcdef")
        .fetch_one(&pool)
        .await
        .unwrap();
    let old = beaker::decode_container(&data).unwrap();
    assert_eq!(old.get::<&str>("user").unwrap(), Some("ada"));
    assert_eq!(old.data.len(), 10);
    assert_eq!(old.skipped, []);
    assert!(old.created_at.is_some());
}
