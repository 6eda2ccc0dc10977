//! The sessions of axess-core under axum, over memory, Redis, PostgreSQL or SQLite, with signed
//! cookies. It is made for logins; `count` lives in its bag of custom values.

use std::process::ExitCode;

use axess_core::authn::ids::{TenantId, UserId};
use axess_core::{
    AuthSession, MemorySessionStore, PostgresSessionStore, SessionLayer, SessionStore,
    SqliteSessionStore, ValkeySessionStore,
};
use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::routing::{get, post};
use chrono::Utc;
use contract::axum::{Seen, ok, to_page};
use contract::{CONNECTIONS, Login, Options, Refused, Slow, Store};
use fred::prelude::{Builder, ClientLike, Config, ReconnectPolicy};
use serde_json::{Map, Value};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

fn main() -> ExitCode {
    contract::axum::main(open)
}

async fn open(options: &'static Options) -> Result<Router, Refused> {
    match options.store() {
        Store::Memory => Ok(router(MemorySessionStore::new())),
        // In plain text, as the others keep it: it can encrypt.
        Store::Redis(url) => {
            let mut builder = Builder::from_config(Config::from_url(url)?);
            // Without this the client never connects again.
            builder.set_policy(ReconnectPolicy::new_constant(0, 100));
            let client = builder.build()?;
            client.init().await?;
            Ok(router(ValkeySessionStore::plaintext(client)))
        }
        Store::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
            let store = PostgresSessionStore::plaintext(pool.connect(url).await?);
            store.init_schema().await?;
            Ok(router(store))
        }
        Store::Sqlite(file) => {
            let options = SqliteConnectOptions::new()
                .filename(file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
            let store = SqliteSessionStore::plaintext(pool.connect_with(options).await?);
            store.init_schema().await?;
            Ok(router(store))
        }
        _ => Err(options.no_such_store()),
    }
}

/// It refuses a key of one repeated byte.
const KEY: [u8; 32] = *b"not a secret: a bench has no one";

fn router<S: SessionStore>(store: S) -> Router {
    let sessions = SessionLayer::new(store, KEY)
        .with_ttl(contract::TIMEOUT)
        .with_secure(false);
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

async fn counted(session: &AuthSession) -> u64 {
    let count = session.get_custom("count").await;
    count.and_then(|count| count.as_u64()).unwrap_or_default()
}

async fn peek(session: AuthSession) -> String {
    counted(&session).await.to_string()
}

async fn count(session: AuthSession) -> String {
    let count = counted(&session).await + 1;
    session.set_custom("count", count.into()).await;
    count.to_string()
}

async fn slow(session: AuthSession, Query(slow): Query<Slow>) -> &'static str {
    tokio::time::sleep(slow.nap()).await;
    session.set_custom(slow.key, slow.value.into()).await;
    "ok"
}

async fn login(session: AuthSession, Form(login): Form<Login>) -> Seen {
    let user = UserId::from_random_bytes([7; 16]);
    let tenant = TenantId::from_random_bytes([8; 16]);
    session.set_authenticated(user, tenant, Utc::now()).await;
    session.set_custom("user", login.user.into()).await;
    to_page().await
}

async fn logout(session: AuthSession) -> Seen {
    session.clear().await;
    to_page().await
}

async fn me(session: AuthSession) -> String {
    let mut values = Map::new();
    for key in ["count", "x"] {
        if let Some(value) = session.get_custom(key).await {
            values.insert(key.to_owned(), value);
        }
    }
    let user = match session.is_authenticated().await {
        true => session.get_custom("user").await,
        false => None,
    };
    let user = user.as_ref().and_then(Value::as_str).map(str::to_owned);
    contract::me(user, values)
}

async fn read(session: AuthSession) -> &'static str {
    match session.get_custom("key01").await {
        Some(Value::String(_)) => "ok",
        _ => "none",
    }
}

async fn write(session: AuthSession) -> &'static str {
    let value = contract::another_value();
    session.set_custom("key01", value.into()).await;
    "ok"
}

async fn fill(session: AuthSession, Path(size): Path<String>) -> &'static str {
    for (key, value) in contract::entries(&size) {
        session.set_custom(key, value.into()).await;
    }
    "ok"
}
