//! ruts under axum, over memory (moka), PostgreSQL, or Redis 7.4 and later, with signed cookies.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::routing::{get, post};
use contract::axum::{Failed, Seen, ok, to_page};
use contract::{CONNECTIONS, Login, Options, Refused, Slow, Store};
use fred::prelude::{Builder, ClientLike, Config, ReconnectPolicy};
use ruts::store::moka::MokaStoreBuilder;
use ruts::store::postgres::PostgresStoreBuilder;
use ruts::store::redis::RedisStore;
use ruts::store::{SessionStore, Ttl};
use ruts::{CookieOptions, Key, Session, SessionLayer};
use serde_json::{Map, Value};
use sqlx::postgres::PgPoolOptions;
use tower_cookies::CookieManagerLayer;

fn main() -> ExitCode {
    contract::axum::main(open)
}

async fn open(options: &'static Options) -> Result<Router, Refused> {
    match options.store() {
        Store::Memory => {
            // Room for whatever is measured: it drops sessions beyond its capacity.
            let store = MokaStoreBuilder::new().max_capacity(10_000_000).build();
            Ok(router(store))
        }
        Store::Redis(url) => {
            let mut builder = Builder::from_config(Config::from_url(url)?);
            // Without this the client never connects again.
            builder.set_policy(ReconnectPolicy::new_constant(0, 100));
            let client = builder.build()?;
            client.init().await?;
            Ok(router(RedisStore::new(Arc::new(client)).await?))
        }
        Store::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
            let builder = PostgresStoreBuilder::new(pool.connect(url).await?);
            Ok(router(builder.create_table(true).build().await?))
        }
        _ => Err(options.no_such_store()),
    }
}

fn router<S: SessionStore + 'static>(store: S) -> Router {
    let cookie = CookieOptions::build()
        .name("session")
        .http_only(true)
        .secure(false)
        .path("/")
        .max_age(contract::TIMEOUT.as_secs())
        .signing_key(Key::generate());
    Router::new()
        .route("/plain", get(ok))
        .route("/peek", get(peek::<S>))
        .route("/count", get(count::<S>))
        .route("/slow", get(slow::<S>))
        .route("/login", post(login::<S>))
        .route("/logout", post(logout::<S>))
        .route("/me", get(me::<S>))
        .route("/healthz", get(ok))
        .route("/read", get(read::<S>))
        .route("/write", get(write::<S>))
        .route("/fill/{size}", get(fill::<S>))
        .layer(SessionLayer::new(Arc::new(store)).with_cookie_options(cookie))
        .layer(CookieManagerLayer::new())
}

fn ttl() -> Ttl {
    let seconds = contract::TIMEOUT.as_secs().cast_signed();
    Ttl::new(seconds).expect("a day is a time to live")
}

async fn peek<S: SessionStore>(session: Session<S>) -> Result<String, Failed> {
    let count: u64 = session.get("count").await?.unwrap_or_default();
    Ok(count.to_string())
}

async fn count<S: SessionStore>(session: Session<S>) -> Result<String, Failed> {
    let count: u64 = session.get("count").await?.unwrap_or_default();
    session.set("count", &(count + 1), ttl(), None).await?;
    Ok((count + 1).to_string())
}

async fn slow<S: SessionStore>(
    session: Session<S>,
    Query(slow): Query<Slow>,
) -> Result<&'static str, Failed> {
    session.get_all().await?;
    tokio::time::sleep(slow.nap()).await;
    session.set(&slow.key, &slow.value, ttl(), None).await?;
    Ok("ok")
}

async fn login<S: SessionStore>(
    session: Session<S>,
    Form(login): Form<Login>,
) -> Result<Seen, Failed> {
    session.prepare_regenerate();
    session.set("user", &login.user, ttl(), None).await?;
    Ok(to_page().await)
}

async fn logout<S: SessionStore>(session: Session<S>) -> Result<Seen, Failed> {
    session.delete().await?;
    Ok(to_page().await)
}

async fn me<S: SessionStore>(session: Session<S>) -> Result<String, Failed> {
    let mut values = Map::new();
    if let Some(count) = session.get::<u64>("count").await? {
        values.insert("count".to_owned(), Value::from(count));
    }
    if let Some(x) = session.get::<String>("x").await? {
        values.insert("x".to_owned(), Value::from(x));
    }
    Ok(contract::me(session.get("user").await?, values))
}

async fn read<S: SessionStore>(session: Session<S>) -> Result<&'static str, Failed> {
    let value: Option<String> = session.get("key01").await?;
    Ok(if value.is_some() { "ok" } else { "none" })
}

async fn write<S: SessionStore>(session: Session<S>) -> Result<&'static str, Failed> {
    let value = contract::another_value();
    session.set("key01", &value, ttl(), None).await?;
    Ok("ok")
}

async fn fill<S: SessionStore>(
    session: Session<S>,
    Path(size): Path<String>,
) -> Result<&'static str, Failed> {
    for (key, value) in contract::entries(&size) {
        session.set(&key, &value, ttl(), None).await?;
    }
    Ok("ok")
}
