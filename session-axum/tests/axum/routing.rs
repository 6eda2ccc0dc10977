//! Layers on routers in routers, errors, and one session for each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http_body_util::BodyExt;
use session_axum::{Error, LazySession, Session, SessionLayer};
use session_core::conformance::http::{Probe, Step};
use session_core::conformance::{Counts, Fault, Operation, SpyStore};
use session_core::http::{RequestHead, TokenTransport, Transport};
use session_core::{ErrorKind, MemoryStore, SessionConfig, SessionManager, StoreErrorKind};
use tower::ServiceExt;

use crate::probe_app;
use crate::world::{add, call, seen, world};

#[tokio::test]
async fn h6_a_handlers_error_is_answered_with_its_response() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::TooLarge,
        ErrorKind::Gone,
        ErrorKind::Csrf,
        ErrorKind::Expired,
        ErrorKind::Application,
    ] {
        let error = || session_core::Error::new(kind, "what was being done failed");
        let expected = error().reply();
        let response = Error::from(error()).into_response();
        assert_eq!(response.status().as_u16(), expected.status, "{kind:?}");
        let mut headers = vec![("content-type", expected.content_type.to_owned())];
        let seconds = expected.retry_after.map(|seconds| seconds.to_string());
        headers.extend(seconds.map(|seconds| ("retry-after", seconds)));
        let fields = response.headers().iter();
        let sent: Vec<_> = fields
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap().to_owned()))
            .collect();
        assert_eq!(sent, headers, "{kind:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected.body.as_bytes(), "{kind:?}");
    }
}

#[tokio::test]
async fn h6_a_layer_outside_answers_an_error_in_words_of_its_own() {
    async fn own_words(response: Response) -> Response {
        let kind = response.extensions().get::<ErrorKind>().copied();
        let (head, body) = response.into_parts();
        let body = kind.map_or(body, |kind| Body::from(format!("own: {kind:?}")));
        Response::from_parts(head, body)
    }
    async fn save_then_fail(session: Session) -> Result<(), Error> {
        session.insert("n", 1)?;
        session.save().await?;
        session.insert("large", "x".repeat(2_000_000))?;
        Ok(())
    }
    let (spy, manager) = world();
    let app: Router = Router::new()
        .route("/", any(adding))
        .route("/large", any(save_then_fail))
        .route("/fine", any(async || "fine"))
        .layer(SessionLayer::new(manager))
        .layer(map_response(own_words));
    let (status, cookie, body) = call(&app, "/large", "", &[]).await;
    assert_eq!((status, &*body), (413, "own: TooLarge"));
    assert!(!cookie.is_empty(), "what was saved has its cookie");
    let (status, _, body) = call(&app, "/fine", &cookie, &[]).await;
    assert_eq!((status, &*body), (200, "fine"));
    spy.always(Operation::Load, Fault::Refuse(StoreErrorKind::Unavailable));
    let (status, _, body) = call(&app, "/", &cookie, &[]).await;
    assert_eq!((status, &*body), (503, "own: Unavailable"));
}

/// The token is the path's last part, under `/feed/`.
#[derive(Debug)]
struct InPath;

impl TokenTransport for InPath {
    fn read<'a>(&self, head: &'a dyn RequestHead, found: &mut dyn FnMut(&'a [u8])) {
        let token = head.target().strip_prefix("/feed/");
        token.into_iter().for_each(|token| found(token.as_bytes()));
    }

    fn write(&self, _: &str, _: Option<Duration>) -> Option<(String, String)> {
        None
    }

    fn remove(&self) -> Option<(String, String)> {
        None
    }

    fn vary(&self) -> Option<String> {
        None
    }
}

#[tokio::test]
async fn h5_a_nested_router_sees_the_token_in_the_path_as_it_was_received() {
    let config = SessionConfig::builder().transport(Transport::Custom(Arc::new(InPath)));
    let manager = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let begun = manager.begin(None, None).unwrap();
    begun.insert("n", 7).unwrap();
    let token = begun.issue().await.unwrap().token;
    let n = async |session: Session| session.raw("n").unwrap_or_default();
    let app = Router::new()
        .nest("/feed", Router::new().route("/{token}", any(n)))
        .layer(SessionLayer::new(manager));
    let (_, _, body) = call(&app, &format!("/feed/{token}"), "", &[]).await;
    assert_eq!(body, "7");
}

#[tokio::test]
async fn a1_a_tests_client_has_the_address_that_axum_gives_it() {
    let config = SessionConfig::builder().ignore_change_ip(false);
    let manager = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let app: Router = Router::new()
        .route("/", any(adding))
        .layer(SessionLayer::new(manager));
    let (status, ..) = call(&app, "/", "", &[]).await;
    assert_eq!(status, 500, "it is not known");
    let at = |last| MockConnectInfo(SocketAddr::from(([192, 0, 2, last], 1)));
    let (_, cookie, body) = call(&app.clone().layer(at(7)), "/", "", &[]).await;
    assert_eq!(body, "1");
    for (last, n) in [(7, "2"), (8, "1")] {
        let (_, _, body) = call(&app.clone().layer(at(last)), "/", &cookie, &[]).await;
        assert_eq!(body, n);
    }
}

#[tokio::test]
async fn the_error_of_a_missing_layer_names_the_kind_and_the_cause() {
    struct Admin;
    async fn main(session: Result<Session, Error>) -> String {
        session.map_or_else(|error| error.to_string(), |_| "there".to_owned())
    }
    async fn admin(session: Result<LazySession<Admin>, Error>) -> String {
        session.map_or_else(|error| error.to_string(), |_| "there".to_owned())
    }
    let layer = SessionLayer::new(world().1);
    let app = Router::new()
        .route("/inside", any(main))
        .route("/admin", any(admin))
        .layer(layer)
        .route("/outside", any(main));
    assert_eq!(call(&app, "/inside", "", &[]).await.2, "there");
    let said = call(&app, "/outside", "", &[]).await.2;
    assert!(said.contains("add a SessionLayer to the router"), "{said}");
    assert!(said.contains("after `.layer` are outside"), "{said}");
    let said = call(&app, "/admin", "", &[]).await.2;
    assert!(said.contains("SessionLayer::of::<"), "{said}");
    assert!(said.contains("::Admin> to the router"), "{said}");
}

#[tokio::test]
async fn one_request_has_one_session_however_often_it_is_asked_for() {
    async fn handler(lazy: LazySession, one: Session, two: Option<Session>) -> Result<(), Error> {
        one.insert("from", "handler")?;
        let seen = lazy.load().await?.get::<String>("from")?;
        assert_eq!(seen.as_deref(), Some("handler"));
        assert!(two.unwrap().contains_key("middleware"));
        Ok(())
    }
    async fn middleware(
        lazy: LazySession,
        asked: Option<LazySession>,
        request: Request,
        next: Next,
    ) -> Result<Response, Error> {
        assert!(!lazy.is_loaded());
        let session = lazy.load().await?;
        assert!(asked.unwrap().is_loaded(), "by whomever");
        session.insert("middleware", 1)?;
        let response = next.run(request).await;
        session.insert("after", 1)?;
        Ok(response)
    }
    let (spy, manager) = world();
    let app = Router::new()
        .route("/", any(handler))
        .layer(SessionLayer::new(manager.clone()))
        .layer(from_fn(middleware))
        .layer(SessionLayer::new(manager.clone()))
        .merge(probe_app::router(Probe::new(manager)));
    let (status, cookie, _) = call(&app, "/", "", &[]).await;
    assert_eq!(status, 200);
    let once = Counts {
        creates: 1,
        ..Counts::default()
    };
    assert_eq!(spy.counts(), once);
    let (_, _, keys) = call(&app, "/eager", &cookie, &[Step::Keys]).await;
    assert_eq!(keys, r#"[["middleware","from","after"]]"#);
}

/// `/outer` and `/api/inner` share one layer or more.
async fn adding(State(()): State<()>, session: Session, _: Bytes) -> Result<String, Error> {
    Ok(add(&session).await?.to_string())
}

#[tokio::test]
async fn layers_may_stand_on_routers_sub_routers_and_routes() {
    let inner = || Router::new().route("/inner", any(adding));
    let outer = || Router::new().route("/outer", any(adding));
    let (spy, manager) = world();
    let layer = || SessionLayer::new(manager.clone());
    let everywhere = outer().nest("/api", inner()).layer(layer());
    let below = outer().nest("/api", inner().layer(layer()));
    let both = outer().nest("/api", inner().layer(layer())).layer(layer());
    let route = inner().route("/outer", any(adding).layer(layer()));
    let route = outer().nest("/api", route);
    let thrice = both.clone().layer(layer());
    for (name, app, path, status) in [
        ("everywhere", &everywhere, "/outer", 200),
        ("everywhere", &everywhere, "/api/inner", 200),
        ("below", &below, "/outer", 500),
        ("below", &below, "/api/inner", 200),
        ("both", &both, "/outer", 200),
        ("both", &both, "/api/inner", 200),
        ("route", &route, "/api/inner", 500),
        ("route", &route, "/api/outer", 200),
        ("thrice", &thrice, "/api/inner", 200),
    ] {
        spy.reset();
        let app = app.clone().with_state(());
        let (got, cookie, body) = call(&app, path, "", &[]).await;
        assert_eq!(got, status, "{name} {path} {body}");
        assert_eq!(spy.counts().creates, u64::from(status == 200), "{name}");
        if status == 200 {
            let (_, _, body) = call(&app, path, &cookie, &[]).await;
            assert_eq!(body, "2", "{name} {path}");
            assert_eq!((spy.counts().loads, spy.counts().updates), (1, 1), "{name}");
        }
    }
    let (status, cookie, _) = call(&everywhere.with_state(()), "/nowhere", "x=y", &[]).await;
    assert_eq!((status, &*cookie), (404, ""));
}

#[tokio::test]
async fn two_managers_give_a_request_two_sessions() {
    let (_, app_sessions) = world();
    let config = SessionConfig::builder().cookie_name("__Host-admin");
    let admin = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let app: Router = Router::new()
        .route("/admin", any(adding))
        .layer(SessionLayer::new(admin))
        .route("/app", any(adding))
        .layer(SessionLayer::new(app_sessions))
        .with_state(());
    let (_, cookie, _) = call(&app, "/app", "", &[]).await;
    assert!(cookie.starts_with("__Host-sid="), "{cookie}");
    let (_, admin_cookie, _) = call(&app, "/admin", &cookie, &[]).await;
    assert!(admin_cookie.starts_with("__Host-admin="), "{admin_cookie}");
    let both = format!("{cookie}; {admin_cookie}");
    assert_eq!(call(&app, "/app", &both, &[]).await.2, "2");
    assert_eq!(call(&app, "/admin", &both, &[]).await.2, "2");
}

#[tokio::test]
async fn of_nested_layers_the_inner_manager_counts_and_each_finishes_once() {
    let (a_store, a) = world();
    let b_store = SpyStore::new(MemoryStore::new());
    let config = SessionConfig::builder().cookie_name("__Host-b");
    let b = SessionManager::new(b_store.clone(), config.build().unwrap());
    let layer = |of: &SessionManager| SessionLayer::new(of.clone());
    let writes = |store: &SpyStore| store.counts().creates;
    for (layers, creates, name) in [
        (vec![&a, &b, &a], (1, 0), "__Host-sid"),
        (vec![&b, &a, &b], (0, 1), "__Host-b"),
        (vec![&a, &b, &a, &b, &a], (1, 0), "__Host-sid"),
    ] {
        let mut app: Router = Router::new().route("/", any(adding)).with_state(());
        for of in &layers {
            app = app.layer(layer(of));
        }
        a_store.reset();
        b_store.reset();
        let (status, cookie, _) = call(&app, "/", "", &[]).await;
        assert_eq!(status, 200);
        assert!(cookie.starts_with(name), "{cookie}");
        assert_eq!((writes(&a_store), writes(&b_store)), creates);
        let (_, _, body) = call(&app, "/", &cookie, &[]).await;
        assert_eq!(body, "2");
        assert_eq!(a_store.counts().loads + b_store.counts().loads, 1);
    }
}

#[tokio::test]
async fn one_request_has_one_exchange_of_a_manager_whatever_stands_between() {
    let ((store, a), (_, b)) = (world(), world());
    async fn between(session: Session, request: Request, next: Next) -> Result<Response, Error> {
        session.insert("between", 1)?;
        Ok(next.run(request).await)
    }
    let layer = |of: &SessionManager| SessionLayer::new(of.clone());
    let app: Router = Router::new()
        .route("/", any(adding))
        .layer(layer(&a))
        .layer(layer(&b))
        .layer(from_fn(between))
        .layer(layer(&a))
        .with_state(());
    let (_, cookie, _) = call(&app, "/", "", &[]).await;
    let once = Counts {
        creates: 1,
        ..Counts::default()
    };
    assert_eq!(store.counts(), once);
    let probe = probe_app::router(Probe::new(a));
    let (_, _, keys) = call(&probe, "/eager", &cookie, &[Step::Keys]).await;
    assert_eq!(keys, r#"[["between","n"]]"#);
}

#[tokio::test]
async fn i1_a_token_is_marked_as_sensitive() {
    for (transport, name) in [
        (Transport::Cookie, "set-cookie"),
        (Transport::Header("x-session".into()), "x-session"),
    ] {
        let config = SessionConfig::builder().transport(transport);
        let config = config.build().unwrap();
        let manager = SessionManager::new(MemoryStore::new(), config);
        let app = probe_app::router(Probe::new(manager));
        let body = serde_json::to_string(&[seen()]).unwrap();
        let request = http::Request::post("/eager").body(Body::from(body));
        let response = app.oneshot(request.unwrap()).await.unwrap();
        let fields = response.headers();
        assert!(fields[name].is_sensitive());
        let token = fields[name].to_str().unwrap();
        assert!(!format!("{fields:?}").contains(token));
    }
}
