//! tower-sessions under axum, over memory, Redis, PostgreSQL or SQLite, with signed cookies.

use std::process::ExitCode;

use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::routing::{get, post};
use contract::axum::{Failed, Seen, ok, to_page};
use contract::{CONNECTIONS, Login, Options, Refused, Slow, Store};
use serde_json::Map;
use time::Duration;
use tower_sessions::cookie::Key;
use tower_sessions::session_store::ExpiredDeletion;
use tower_sessions::{Expiry, MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool, ReconnectPolicy};
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore};

fn main() -> ExitCode {
    contract::axum::main(open)
}

async fn open(options: &'static Options) -> Result<Router, Refused> {
    match options.store() {
        Store::Memory => Ok(router(MemoryStore::default())),
        Store::Redis(url) => {
            // As many connections as its README has, and, unlike there, again when they break.
            let again = Some(ReconnectPolicy::new_constant(0, 100));
            let pool = Pool::new(Config::from_url(url)?, None, None, again, 6)?;
            pool.init().await?;
            Ok(router(RedisStore::new(pool)))
        }
        Store::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
            let store = PostgresStore::new(pool.connect(url).await?);
            store.migrate().await?;
            sweep(store.clone());
            Ok(router(store))
        }
        Store::Sqlite(file) => {
            let options = SqliteConnectOptions::new()
                .filename(file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
            let store = SqliteStore::new(pool.connect_with(options).await?);
            store.migrate().await?;
            sweep(store.clone());
            Ok(router(store))
        }
        _ => Err(options.no_such_store()),
    }
}

fn sweep(store: impl ExpiredDeletion + 'static) {
    let each = std::time::Duration::from_secs(60);
    tokio::spawn(store.continuously_delete_expired(each));
}

fn router(store: impl SessionStore + Clone) -> Router {
    let timeout = Duration::seconds(contract::TIMEOUT.as_secs().cast_signed());
    let sessions = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(timeout))
        .with_signed(Key::generate());
    Router::new()
        .route("/plain", get(ok))
        .route("/peek", get(peek))
        .route("/count", get(count))
        .route("/slow", get(slow))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(me))
        .route("/healthz", get(ok))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/fill/{size}", get(fill))
        .layer(sessions)
}

async fn peek(session: Session) -> Result<String, Failed> {
    let count: u64 = session.get("count").await?.unwrap_or_default();
    Ok(count.to_string())
}

async fn count(session: Session) -> Result<String, Failed> {
    let count: u64 = session.get("count").await?.unwrap_or_default();
    session.insert("count", count + 1).await?;
    Ok((count + 1).to_string())
}

async fn slow(session: Session, Query(slow): Query<Slow>) -> Result<&'static str, Failed> {
    session.load().await?;
    tokio::time::sleep(slow.nap()).await;
    session.insert(&slow.key, slow.value).await?;
    Ok("ok")
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<Seen, Failed> {
    session.cycle_id().await?;
    session.insert("user", login.user).await?;
    Ok(to_page().await)
}

async fn logout(session: Session) -> Result<Seen, Failed> {
    session.flush().await?;
    Ok(to_page().await)
}

async fn me(session: Session) -> Result<String, Failed> {
    let mut values = Map::new();
    for key in ["count", "x"] {
        if let Some(value) = session.get_value(key).await? {
            values.insert(key.to_owned(), value);
        }
    }
    Ok(contract::me(session.get("user").await?, values))
}

async fn read(session: Session) -> Result<&'static str, Failed> {
    let value: Option<String> = session.get("key01").await?;
    Ok(if value.is_some() { "ok" } else { "none" })
}

async fn write(session: Session) -> Result<&'static str, Failed> {
    session.insert("key01", contract::another_value()).await?;
    Ok("ok")
}

async fn fill(session: Session, Path(size): Path<String>) -> Result<&'static str, Failed> {
    for (key, value) in contract::entries(&size) {
        session.insert(&key, value).await?;
    }
    Ok("ok")
}
