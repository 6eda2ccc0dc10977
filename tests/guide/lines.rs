//! Each line of code that the guide shows, so that it compiles; none of it runs.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use session_kit::axum::LazySession;
use session_kit::conformance::{Breakable, Harness};
use session_kit::fs::{Durability, FsConfig, FsStore};
use session_kit::http::{CsrfGuard, Lifetime, SameSite, Transport};
use session_kit::redis::{RedisConfig, RedisStore};
use session_kit::shelf::ShelfStore;
use session_kit::sql::{SqlConfig, SqlPool, SqlStore};
use session_kit::wrap::{Cached, Encrypted, Traced};
use session_kit::{
    Clock, Cursor, ErrorKind, Expiry, Flash, Key, KeyRing, ManualClock, MemoryLimits, MemoryStore,
    OnCorrupt, OnExpired, OnOutage, OnTooMany, Only, Owner, Record, Session, SessionConfig,
    SessionConfigBuilder, SessionId, SessionInfo, SessionManager, Store, StoreError,
    StoreErrorKind, Timestamp, Token, Touch, Version, connect,
};

use super::own_store::MapStore;

type Outcome<T = ()> = Result<T, Box<dyn StdError>>;

fn show<T>(_: T) {}

fn started() -> u64 {
    1
}

/// Every option that a table names; those that exclude each other stand here side by side.
fn options(
    key: &[u8],
    text: &str,
    config: Vec<(String, String)>,
    variables: Vec<(String, String)>,
) -> Outcome<SessionConfigBuilder> {
    show(SessionConfigBuilder::SETTINGS);
    let hands = ManualClock::at_unix_ms(0);
    Ok(SessionConfig::builder()
        .settings("session.", config)?
        .settings("APP_SESSION_", variables)?
        .initializer(|s| s.insert("n", 0))
        .initializer(|s| s.insert("began", started()))
        .cookie_name("__Host-shop")
        .cookie_name("shop")
        .cookie_domain("example.org")
        .cookie_name("shop")
        .cookie_path("/shop")
        .same_site(SameSite::Strict)
        .same_site(SameSite::Lax)
        .http_only(true)
        .secure(false)
        .secure(true)
        .partitioned(true)
        .timeout(Duration::from_secs(86_400))
        .timeout(Duration::from_secs(3_600))
        .lifetime(Lifetime::Persistent(Duration::from_secs(3_600)))
        .timeout(Duration::from_secs(1_800))
        .timeout(Duration::from_secs(12 * 3_600))
        .absolute_timeout(Duration::from_secs(12 * 3_600))
        .remembered_absolute_timeout(Duration::from_secs(90 * 86_400))
        .touch_interval(Duration::from_secs(600))
        .touch_interval(Duration::from_secs(60))
        .renew_every(Duration::from_secs(3_600))
        .clock_skew(Duration::from_secs(30))
        .ignore_expiry(true)
        .on_expired(OnExpired::Fresh)
        .on_expired(OnExpired::Unauthorized)
        .expired_message("Session expired")
        .ignore_change_ip(false)
        .trusted_proxies(["10.0.0.0/8".parse()?])
        .trust_unix_socket(true)
        .secret_key(KeyRing::new(key)?)
        .secret_key(KeyRing::from_base64(text)?)
        .lifetime(Lifetime::BrowserSession)
        .timeout(Lifetime::MAX)
        .lifetime(Lifetime::Persistent(Lifetime::MAX))
        .lifetime(Lifetime::Persistent(Duration::from_secs(300)))
        .timeout(Duration::from_secs(86_400))
        .lifetime(Lifetime::Persistent(Duration::from_secs(86_400)))
        .transport(Transport::Bearer("x-session".into()))
        .on_corrupt(OnCorrupt::Fresh)
        .on_corrupt(OnCorrupt::Fail)
        .on_load_outage(OnOutage::Continue)
        .save_on_server_error(true)
        .clear_site_data(true)
        .max_size(65_536)
        .creation_cap(20, Duration::from_secs(60))
        .owner_sessions_max(5, OnTooMany::EndOldest)
        .on_event(|event| show(event.kind))
        .clock(Clock::manual(&hands)))
}

fn keys(key: &[u8], older: &[u8], text: &str) -> Outcome<KeyRing> {
    show(KeyRing::generate()?);
    show(KeyRing::from_base64(text)?);
    Ok(KeyRing::new(key)?.and_older(older)?)
}

/// A row of a shop's database.
struct Cart {
    id: u64,
}

const COUNT: Key<u64> = Key::new("count");

fn values(session: &Session, cart: &Cart) -> Outcome {
    let n: Option<u64> = session.get("n")?;
    show(n);
    let n: u64 = session.get("n")?.unwrap_or(0);
    show(n);
    show(session.get(COUNT)?);
    show(session.get::<serde_json::Value>("n")?);
    session.insert("n", 1)?;
    session.insert("n", json!(1))?;
    session.insert("lang", "de")?;
    session.insert("cart", cart.id)?;
    session.append("cart", "book")?;
    session.insert_if_absent("n", 1)?;
    session.insert_all(json!({"a": 1, "b": 2}))?;
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    session.update("n", |n: Option<u64>| n.map_or(1, |n| n + 1))?;
    show(session.remove("n"));
    show(session.take::<u64>("n")?);
    show(session.take::<serde_json::Value>("n")?);
    show(match session.keys().first() {
        Some(key) => session.take::<u64>(key.as_str())?,
        None => None,
    });
    show(session.contains_key("n"));
    show((session.keys(), session.len(), session.is_empty()));
    show(session.data()?);
    show(session.data()?.entries().count());
    session.clear();
    Ok(())
}

async fn changes(session: &Session, every: Duration) -> Outcome {
    show(session.is_modified());
    session.save().await?;
    session.reload().await?;
    session.revert();
    session.transact(|s| s.insert("n", 1)).await?;
    session.transact(|s| s.insert("seen", true)).await?;
    session.touch().await?;
    session.ended(every).await?;
    Ok(())
}

fn lives(session: &Session, now: Timestamp, until: Timestamp) -> Outcome {
    show((session.id(), session.owner()));
    show((session.is_new(), session.why_new()));
    show((session.created_at(), session.accessed_at()));
    show(session.expires_at());
    show(session.expires_at().map(|end| end.since(now)));
    session.set_timeout(Duration::from_secs(3_600))?;
    session.remember(Duration::from_secs(30 * 86_400))?;
    session.remember(until.since(now))?;
    session.keep_expiry();
    session.renew();
    session.login(Owner::new("ada")?);
    session.logout();
    session.destroy();
    Err::<(), _>(session_kit::Error::new(ErrorKind::Expired, "sign in again"))?;
    Ok(())
}

async fn messages(session: &Session, flash: Flash) -> Outcome {
    session.flash("message", "saved")?;
    session.flash("notice", "saved")?;
    session.flash("error", "no such page")?;
    session.flash_once("notice", "saved")?;
    session.flash_queue("other").flash("notice", "saved")?;
    show(session.take_flashes().await?);
    show(session.take_flashes_of(&["error"]).await?);
    show(session.take_flashes_of(&["a", "b"]).await?);
    show(flash.category);
    show(flash.text);
    Ok(())
}

fn forms(session: &Session, token: String) -> Outcome {
    show(
        CsrfGuard::builder()
            .trusted_origins(["https://shop.example.org"])
            .build()?,
    );
    show(session.csrf_token()?);
    show(session.expose_token()?);
    show(format!(
        "<input type=hidden name=csrf_token value={}>",
        session.csrf_token()?
    ));
    session.verify_csrf(&token)?;
    Ok(())
}

fn errors(error: &session_kit::Error) {
    show(error.kind() == ErrorKind::Unavailable);
    show(error.kind() == ErrorKind::TooLarge);
    show(error.kind() == ErrorKind::WrongType);
    show(StoreError::new(
        StoreErrorKind::Unavailable,
        "the store is away",
    ));
}

async fn managers(
    sessions: SessionManager,
    owner: Owner,
    id: SessionId,
    except: SessionId,
) -> Outcome {
    show(sessions.open(&id).await?);
    show(sessions.find(&id).await?);
    show(sessions.begin(None, None)?);
    for device in sessions.sessions_of(&owner).await? {
        let SessionInfo { id, .. } = device;
        show(device.address);
        show(sessions.revoke(&id).await?);
    }
    show(sessions.revoke_owner(&owner, Some(&except)).await?);
    show(sessions.scan(Cursor::start(), 100).await?);
    show(sessions.revoke_all().await?);
    show(sessions.sweep().await?);
    sessions.start_sweeper(Duration::from_secs(60)).stop().await;
    Ok(())
}

async fn a_programs_life(sessions: SessionManager) -> Outcome {
    tracing_subscriber::fmt::init();
    sessions.ping().await?;
    let sweeper = sessions.start_sweeper(Duration::from_secs(60));
    sweeper.stop().await;
    let sweeper = sessions.start_sweeper(Duration::from_secs(3_600));
    sweeper.stop().await;
    Ok(())
}

/// A row of a shop's database.
struct Account {
    id: i64,
}

async fn users(session: &Session, sessions: SessionManager, user: Account) -> Outcome {
    show(Owner::new(user.id.to_string())?);
    session.login(Owner::new(user.id.to_string())?);
    if let Some(owner) = session.owner() {
        let id: i64 = owner.as_str().parse()?;
        show(id);
        show(sessions.revoke_owner(&owner, session.id().as_ref()).await?);
    }
    Ok(())
}

fn making_managers(store: Arc<dyn Store>, ring: KeyRing, hands: ManualClock) -> Outcome {
    show(SessionManager::new(
        Arc::clone(&store),
        SessionConfig::builder().build()?,
    ));
    show(SessionManager::new(
        store,
        SessionConfig::builder().build()?,
    ));
    show(SessionManager::sealed(
        SessionConfig::builder().secret_key(ring).build()?,
    )?);
    show(SessionManager::new(
        MemoryStore::new(),
        SessionConfig::builder()
            .clock(Clock::manual(&hands))
            .build()?,
    ));
    Ok(())
}

fn ending_sealed(config: SessionConfig, store: Arc<dyn Store>) -> Outcome {
    show(SessionManager::sealed_with_revocations(config, store)?);
    Ok(())
}

async fn urls() -> Outcome {
    show(connect("memory:").await?);
    show(connect("file:sessions").await?);
    show(connect("shelf:sessions").await?);
    show(connect("sqlite:sessions.db").await?);
    show(connect("postgres://shop@localhost/shop").await?);
    show(connect("postgres://shop@localhost/shop?sslmode=verify-full").await?);
    show(connect("mysql://shop@localhost/shop?ssl-mode=VERIFY_IDENTITY").await?);
    show(connect("redis://127.0.0.1").await?);
    show(connect("redis://127.0.0.1?clock_skew=60").await?);
    show(connect("redis+cluster://10.0.0.1,10.0.0.2").await?);
    Ok(())
}

async fn stores(pool: deadpool_redis::Pool, ring: KeyRing) -> Outcome {
    show(MemoryStore::new());
    show(MemoryStore::bounded(MemoryLimits {
        sessions: 10_000,
        ..MemoryLimits::default()
    }));
    let shared: Arc<dyn Store> = Arc::new(MemoryStore::new());
    show(shared);
    show(FsStore::open("sessions")?);
    show(FsStore::open("/var/lib/shop/sessions")?);
    show(FsConfig::new("sessions").filename_template("shop_%s.sess"));
    show(FsConfig::new("sessions").durability(Durability::Disk));
    show(ShelfStore::sled("sessions.shelf")?);
    show(ShelfStore::redb("sessions.redb")?);
    show(SqlConfig::new().table("shop_sessions"));
    show(SqlConfig::new().table("shop.sessions"));
    show(SqlConfig::new().connections(8));
    show(RedisConfig::new("redis://127.0.0.1").prefix("shop:"));
    show(RedisConfig::new("redis://127.0.0.1"));
    show(RedisStore::connect("redis://127.0.0.1").await?);
    show(RedisStore::with_config(RedisConfig::new("redis://127.0.0.1")).await?);
    show(RedisStore::with_config(RedisConfig::from_pool(pool)).await?);
    let store = MemoryStore::new();
    show(Traced::new(store));
    let store = MemoryStore::new();
    show(Encrypted::new(store, &ring));
    let store = MemoryStore::new();
    show(Cached::new(store));
    Ok(())
}

fn named_table(pool: SqlPool) -> Outcome<SqlStore> {
    Ok(SqlStore::from_pool_with(
        pool,
        SqlConfig::new().table("sessions"),
    )?)
}

fn own_migrations(store: &SqlStore) {
    show(store.schema());
}

async fn usual_table(pool: SqlPool) -> Outcome {
    SqlStore::from_pool(pool).migrate().await?;
    Ok(())
}

async fn contract(
    store: &dyn Store,
    id: SessionId,
    record: Record,
    expected: Version,
    touch: Touch,
) -> Outcome {
    show(store.create(&id, &record).await?);
    show(store.load(&id).await?);
    show(store.update(&id, &record, expected).await?);
    show(store.touch(&id, &touch).await?);
    show(store.delete(&id, Only::Any).await?);
    Ok(())
}

fn records(record: Record, text: &str) -> Outcome {
    show(record.encode());
    show(Record::decode(text.as_bytes())?);
    show(record.expires_at());
    show(Expiry::new(Some(Duration::from_secs(3_600)), None));
    show("AAAAAAAAAAAAAAAAAAAAAA".parse::<SessionId>()?);
    show(SessionId::random()?);
    show(Token::random()?);
    show(Token::parse(text.as_bytes(), None));
    Ok(())
}

async fn lazily(lazy: &LazySession) -> Outcome {
    show(lazy.has_token());
    show(lazy.is_loaded());
    show(lazy.load().await?);
    Ok(())
}

fn old_sessions() -> Outcome {
    show(session_kit::import::web_py::DiskStore::open("sessions")?);
    show(session_kit::import::beaker::FileStore::open(
        "data/container_file",
    )?);
    Ok(())
}

fn own(config: SessionConfig) {
    show(SessionManager::new(MapStore::default(), config));
}

#[derive(Default)]
struct Mine {
    outage: Breakable,
}

#[async_trait::async_trait]
impl Harness for Mine {
    async fn empty_store(&self) -> Arc<dyn Store> {
        Arc::new(self.outage.around(Arc::new(MemoryStore::new())))
    }
}

/// Under axum, and so under everything built on tower.
mod under_axum {
    use std::net::SocketAddr;

    use axum::extract::{FromRequestParts, Request};
    use axum::http::request::Parts;
    use axum::middleware::{Next, from_fn};
    use axum::response::{IntoResponse, Redirect, Response};
    use axum::{Router, routing::get};
    use session_kit::axum::{CsrfLayer, Error, Session, SessionLayer};
    use session_kit::http::CsrfGuard;
    use session_kit::{Owner, SessionManager};

    async fn home(session: Session) -> Result<String, Error> {
        Ok(session.get("name")?.unwrap_or_default())
    }

    fn app(sessions: SessionManager) -> Router {
        Router::new()
            .route("/", get(home))
            .layer(SessionLayer::new(sessions))
    }

    fn around(sessions: SessionManager, shop: Router) -> Router {
        Router::new()
            .nest("/shop", shop)
            .layer(SessionLayer::new(sessions))
    }

    /// Who is signed in.
    struct User(Owner);

    impl<S: Sync> FromRequestParts<S> for User {
        type Rejection = Response;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
            let session = <Session>::from_request_parts(parts, state).await;
            let owner = session.map_err(IntoResponse::into_response)?.owner();
            let sign_in = || Redirect::to("/login").into_response();
            owner.map(Self).ok_or_else(sign_in)
        }
    }

    async fn account(User(user): User) -> String {
        user.to_string()
    }

    async fn only_signed_in(session: Session, request: Request, next: Next) -> Response {
        match session.owner() {
            Some(_) => next.run(request).await,
            None => Redirect::to("/login").into_response(),
        }
    }

    fn by_an_extractor(sessions: SessionManager) -> Router {
        Router::new()
            .route("/account", get(account))
            .layer(SessionLayer::new(sessions))
    }

    fn by_a_middleware(sessions: SessionManager) -> Router {
        Router::new()
            .route("/", get(home))
            .layer(from_fn(only_signed_in))
            .layer(SessionLayer::new(sessions))
    }

    async fn served(
        listener: tokio::net::TcpListener,
        app: Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, app)
            .with_graceful_shutdown(stop)
            .await?;
        Ok(())
    }

    /// Names the sessions of those who administer the shop.
    struct Admin;

    async fn orders(shop: Session, admin: Session<Admin>) -> Result<(), Error> {
        admin.insert("seen", shop.len())?;
        Ok(())
    }

    fn two_kinds(customers: SessionManager, manager: SessionManager) -> Router {
        Router::new()
            .route("/orders", get(orders))
            .layer(CsrfLayer::new(CsrfGuard::default()))
            .layer(SessionLayer::of::<Admin>(manager))
            .layer(SessionLayer::new(customers))
    }
}

/// Under actix-web.
mod under_actix {
    use actix_web::dev::ServiceRequest;
    use actix_web::{App, web};
    use session_kit::SessionManager;
    use session_kit::actix::{Error, LazySession, Session, SessionLayer};

    async fn home(session: Session) -> Result<String, Error> {
        Ok(session.get("name")?.unwrap_or_default())
    }

    async fn counted(session: Session) -> actix_web::Result<String> {
        let n = session.get::<u64>("n").map_err(Error::from)?;
        Ok(n.unwrap_or(0).to_string())
    }

    async fn found(mut req: ServiceRequest) -> Result<bool, Error> {
        Ok(req.extract::<LazySession>().await?.has_token())
    }

    fn app(sessions: &SessionManager) {
        super::show(
            App::new()
                .wrap(SessionLayer::new(sessions.clone()))
                .route("/", web::get().to(home)),
        );
    }
}
