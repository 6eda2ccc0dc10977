//! axum_session under axum, over memory, Redis, PostgreSQL or SQLite, with signed cookies.

use std::fmt::Debug;
use std::process::ExitCode;

use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::routing::{get, post};
use axum_session::{
    DatabasePool, Key, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::{SessionPgPool, SessionSqlitePool};
use contract::axum::{Seen, ok, to_page};
use contract::{CONNECTIONS, Login, Options, Refused, Slow, Store};
use redis_pool::RedisPool;
use serde_json::{Map, Value};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

fn main() -> ExitCode {
    contract::axum::main(open)
}

async fn open(options: &'static Options) -> Result<Router, Refused> {
    match options.store() {
        Store::Memory => router::<SessionNullPool>(None).await,
        Store::Redis(url) => {
            let pool = RedisPool::from(redis::Client::open(url)?);
            router(Some(SessionRedisPool::from(pool))).await
        }
        Store::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
            router(Some(SessionPgPool::from(pool.connect(url).await?))).await
        }
        Store::Sqlite(file) => {
            let options = SqliteConnectOptions::new()
                .filename(file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
            let pool = pool.connect_with(options).await?;
            router(Some(SessionSqlitePool::from(pool))).await
        }
        _ => Err(options.no_such_store()),
    }
}

/// What sessions can be kept in.
trait Pool: DatabasePool + Clone + Debug + Send + Sync + 'static {}

impl<T: DatabasePool + Clone + Debug + Send + Sync + 'static> Pool for T {}

async fn router<T: Pool>(pool: Option<T>) -> Result<Router, Refused> {
    let config = SessionConfig::default()
        .with_table_name("sessions_table")
        .with_key(Key::generate());
    let store = SessionStore::<T>::new(pool, config).await?;
    Ok(Router::new()
        .route("/plain", get(ok))
        .route("/peek", get(peek::<T>))
        .route("/count", get(count::<T>))
        .route("/slow", get(slow::<T>))
        .route("/login", post(login::<T>))
        .route("/logout", post(logout::<T>))
        .route("/me", get(me::<T>))
        .route("/healthz", get(ok))
        .route("/read", get(read::<T>))
        .route("/write", get(write::<T>))
        .route("/fill/{size}", get(fill::<T>))
        .layer(SessionLayer::new(store)))
}

async fn peek<T: Pool>(session: Session<T>) -> String {
    let count: u64 = session.get("count").unwrap_or_default();
    count.to_string()
}

async fn count<T: Pool>(session: Session<T>) -> String {
    let count: u64 = session.get("count").unwrap_or_default();
    session.set("count", count + 1);
    (count + 1).to_string()
}

async fn slow<T: Pool>(session: Session<T>, Query(slow): Query<Slow>) -> &'static str {
    tokio::time::sleep(slow.nap()).await;
    session.set(&slow.key, slow.value);
    "ok"
}

async fn login<T: Pool>(session: Session<T>, Form(login): Form<Login>) -> Seen {
    session.renew();
    session.set("user", login.user);
    to_page().await
}

async fn logout<T: Pool>(session: Session<T>) -> Seen {
    session.destroy();
    to_page().await
}

async fn me<T: Pool>(session: Session<T>) -> String {
    let mut values = Map::new();
    for key in ["count", "x"] {
        if let Some(value) = session.get::<Value>(key) {
            values.insert(key.to_owned(), value);
        }
    }
    contract::me(session.get("user"), values)
}

async fn read<T: Pool>(session: Session<T>) -> &'static str {
    let value: Option<String> = session.get("key01");
    if value.is_some() { "ok" } else { "none" }
}

async fn write<T: Pool>(session: Session<T>) -> &'static str {
    session.set("key01", contract::another_value());
    "ok"
}

async fn fill<T: Pool>(session: Session<T>, Path(size): Path<String>) -> &'static str {
    for (key, value) in contract::entries(&size) {
        session.set(&key, value);
    }
    "ok"
}
