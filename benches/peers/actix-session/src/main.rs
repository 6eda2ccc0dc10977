//! actix-session under actix-web, over Redis or in the cookie, signed; and over memory, for which
//! it has no store: a map stands in for one.

mod memory;

use std::process::ExitCode;

use actix_session::config::{
    CookieContentSecurity, PersistentSession, SessionLifecycle, TtlExtensionPolicy,
};
use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::web::{Form, Path, Query, ServiceConfig, get, post};
use actix_web::{App, HttpResponse, Result};
use contract::actix::{ok, run, to_page};
use contract::{Login, Slow, Store};
use serde_json::{Map, Value};

use memory::MemoryStore;

fn main() -> ExitCode {
    contract::actix::main(|options| {
        let key = Key::generate();
        match options.store() {
            Store::Memory => {
                let store = MemoryStore::default();
                run(options, async { Ok(store) }, move |store| {
                    App::new()
                        .wrap(sessions(store.clone(), &key))
                        .configure(routes)
                })
            }
            Store::Cookie => run(options, async { Ok(()) }, move |()| {
                App::new()
                    .wrap(sessions(CookieSessionStore::default(), &key))
                    .configure(routes)
            }),
            Store::Redis(url) => {
                let open = async { Ok(RedisSessionStore::new(url).await?) };
                run(options, open, move |store| {
                    App::new()
                        .wrap(sessions(store.clone(), &key))
                        .configure(routes)
                })
            }
            _ => Err(options.no_such_store()),
        }
    })
}

fn sessions<S: SessionStore>(store: S, key: &Key) -> SessionMiddleware<S> {
    let timeout = Duration::seconds(contract::TIMEOUT.as_secs().cast_signed());
    SessionMiddleware::builder(store, key.clone())
        .cookie_secure(false)
        .cookie_content_security(CookieContentSecurity::Signed)
        .session_lifecycle(SessionLifecycle::PersistentSession(
            PersistentSession::default()
                .session_ttl(timeout)
                .session_ttl_extension_policy(TtlExtensionPolicy::OnStateChanges),
        ))
        .build()
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/plain", get().to(ok))
        .route("/peek", get().to(peek))
        .route("/count", get().to(count))
        .route("/slow", get().to(slow))
        .route("/login", post().to(login))
        .route("/logout", post().to(logout))
        .route("/me", get().to(me))
        .route("/healthz", get().to(ok))
        .route("/read", get().to(read))
        .route("/write", get().to(write))
        .route("/fill/{size}", get().to(fill));
}

async fn peek(session: Session) -> Result<String> {
    let count: u64 = session.get("count")?.unwrap_or_default();
    Ok(count.to_string())
}

async fn count(session: Session) -> Result<String> {
    let count: u64 = session.get("count")?.unwrap_or_default();
    session.insert("count", count + 1)?;
    Ok((count + 1).to_string())
}

async fn slow(session: Session, slow: Query<Slow>) -> Result<&'static str> {
    actix_web::rt::time::sleep(slow.nap()).await;
    session.insert(slow.key.clone(), &slow.value)?;
    Ok("ok")
}

async fn login(session: Session, login: Form<Login>) -> Result<HttpResponse> {
    session.renew();
    session.insert("user", &login.user)?;
    Ok(to_page())
}

async fn logout(session: Session) -> HttpResponse {
    session.purge();
    to_page()
}

async fn me(session: Session) -> Result<String> {
    let mut values = Map::new();
    for key in ["count", "x"] {
        if let Some(value) = session.get::<Value>(key)? {
            values.insert(key.to_owned(), value);
        }
    }
    Ok(contract::me(session.get("user")?, values))
}

async fn read(session: Session) -> Result<&'static str> {
    let value: Option<String> = session.get("key01")?;
    Ok(if value.is_some() { "ok" } else { "none" })
}

async fn write(session: Session) -> Result<&'static str> {
    session.insert("key01", contract::another_value())?;
    Ok("ok")
}

async fn fill(session: Session, size: Path<String>) -> Result<&'static str> {
    for (key, value) in contract::entries(&size) {
        session.insert(key, value)?;
    }
    Ok("ok")
}
