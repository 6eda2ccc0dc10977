//! What handlers and middleware get when they ask for the session.

use std::net::SocketAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::COOKIE;
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Path, to};
use actix_web::{App, HttpResponse};
use session_actix::{Error, LazySession, Session, SessionLayer};
use session_core::conformance::http::{Probe, Step};
use session_core::conformance::{Counts, Fault, Operation};
use session_core::http::Transport;
use session_core::{ErrorKind, MemoryStore, SessionConfig, SessionManager, StoreErrorKind};

use crate::probe_app;
use crate::world::{add, call, n, seen, send, with_cookie, world};

#[tokio::test]
async fn a_request_that_an_extractor_before_refuses_asks_for_no_session() {
    async fn handler(_: Path<u32>, session: Session) -> String {
        session.len().to_string()
    }
    let config = SessionConfig::builder().build().unwrap();
    // What is in memory needs no waiting, and is not opened sooner for that.
    let manager = SessionManager::new(MemoryStore::new(), config);
    let app = App::new().wrap(SessionLayer::new(manager));
    let app = init_service(app.route("/{n}", to(handler))).await;
    for (path, status, varies) in [("/7", 200, "Cookie"), ("/seven", 404, "")] {
        let reply = send(&app, TestRequest::get().uri(path)).await;
        assert_eq!((reply.status, reply.header("vary")), (status, varies));
    }
}

#[tokio::test]
async fn one_request_has_one_session_however_often_it_is_asked_for() {
    async fn handler(
        lazy: LazySession,
        one: Session,
        two: Option<Session>,
    ) -> Result<String, Error> {
        one.insert("from", "handler")?;
        let seen = lazy.load().await?.get::<String>("from")?;
        assert_eq!(seen.as_deref(), Some("handler"));
        assert!(two.unwrap().contains_key("middleware"));
        Ok(String::new())
    }
    async fn middleware(
        mut request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
        let lazy = request.extract::<LazySession>().await?;
        assert!(!lazy.is_loaded());
        let session = request.extract::<Session>().await?;
        assert!(lazy.is_loaded(), "by whomever");
        session.insert("middleware", 1).map_err(Error::from)?;
        let response = next.call(request).await?;
        let same = <Session as actix_web::FromRequest>::extract(response.request()).await?;
        same.insert("after", 1).map_err(Error::from)?;
        Ok(response)
    }
    let (spy, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager.clone()))
        .wrap(from_fn(middleware))
        .wrap(SessionLayer::new(manager.clone()))
        .route("/", to(handler));
    let app = init_service(app).await;
    let reply = send(&app, TestRequest::default()).await;
    assert_eq!(reply.short(), (200, ""));
    assert_eq!(reply.headers.get_all("vary").count(), 1);
    let once = Counts {
        creates: 1,
        ..Counts::default()
    };
    assert_eq!(spy.counts(), once);
    let probe = init_service(probe_app::app(Probe::new(manager))).await;
    let keys = call(&probe, "/eager", &reply.cookie(), &[Step::Keys]).await;
    assert_eq!(keys.body, r#"[["middleware","from","after"]]"#);
}

#[tokio::test]
async fn t5_whatever_a_handler_makes_of_a_failed_load_the_client_is_told() {
    let (spy, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager.clone()))
        .route(
            "/none",
            to(async |session: Option<Session>| {
                assert!(session.is_none());
                HttpResponse::Created()
                    .insert_header(("x-mine", "1"))
                    .body("made")
            }),
        )
        .route(
            "/result",
            to(async |session: Result<Session, Error>| {
                assert_eq!(session.unwrap_err().kind(), ErrorKind::Unavailable);
                HttpResponse::Ok().body("fine")
            }),
        )
        .route(
            "/late",
            to(async |session: LazySession| {
                session
                    .load()
                    .await
                    .map_or_else(|error| error.to_string(), |_| String::new())
            }),
        )
        .route(
            "/refused",
            to(async |_: Option<Session>| {
                Err::<String, _>(actix_web::error::ErrorForbidden("for another reason"))
            }),
        );
    let app = init_service(app).await;
    let probe = init_service(probe_app::app(Probe::new(manager))).await;
    let cookie = call(&probe, "/eager", "", &[seen()]).await.cookie();
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    spy.always(Operation::Load, down);
    for path in ["/none", "/result", "/late", "/refused"] {
        spy.reset();
        let reply = send(&app, with_cookie(path, &cookie)).await;
        assert_eq!(reply.status, 503, "{path} {reply:?}");
        assert!(reply.body.starts_with("sessions are unavailable"), "{path}");
        assert_eq!(reply.header("retry-after"), "1", "{path}");
        assert_eq!(reply.header("x-mine"), "", "nothing of the handler's");
        assert_eq!(spy.counts().loads, 1, "{path}");
    }
}

#[tokio::test]
async fn an_optional_session_is_none_without_a_layer_and_the_answer_stands() {
    struct Admin;
    let app = App::new()
        .route(
            "/",
            to(async |session: Option<Session>| session.map_or("none", |_| "some")),
        )
        .route(
            "/lazy",
            to(async |session: Option<LazySession>| session.map_or("none", |_| "some")),
        )
        .route(
            "/result",
            to(async |session: Result<LazySession, Error>| {
                session.map_or_else(|error| error.to_string(), |_| String::new())
            }),
        )
        .route(
            "/admin",
            to(async |session: Result<Session<Admin>, Error>| {
                session.map_or_else(|error| error.to_string(), |_| String::new())
            }),
        )
        .route("/must", to(async |_: Session| ""));
    let app = init_service(app).await;
    for path in ["/", "/lazy"] {
        let reply = send(&app, TestRequest::with_uri(path)).await;
        assert_eq!(reply.short(), (200, "none"), "{path}");
        assert_eq!(reply.header("vary"), "", "{path}");
    }
    let reply = send(&app, TestRequest::with_uri("/result")).await;
    assert!(reply.body.ends_with("in a SessionLayer"), "{}", reply.body);
    let reply = send(&app, TestRequest::with_uri("/admin")).await;
    let said = reply.body;
    assert!(said.contains("SessionLayer::of::<"), "{said}");
    assert!(said.ends_with("::Admin>"), "{said}");
    let reply = send(&app, TestRequest::with_uri("/must")).await;
    assert_eq!(reply.short(), (500, "internal server error"));
}

#[tokio::test]
async fn a_session_goes_to_other_threads() {
    let (_, manager) = world();
    let app = App::new().wrap(SessionLayer::new(manager.clone())).route(
        "/",
        to(async |session: Session| {
            let elsewhere = tokio::task::spawn(async move { add(&session).await });
            Ok::<_, Error>(elsewhere.await.unwrap()?.to_string())
        }),
    );
    let app = init_service(app).await;
    let first = send(&app, TestRequest::default()).await;
    assert_eq!(first.short(), (200, "1"));
    let again = send(&app, with_cookie("/", &first.cookie())).await;
    assert_eq!(again.short(), (200, "2"));
}

#[tokio::test]
async fn a2_the_address_is_the_peers_whatever_headers_say() {
    let config = SessionConfig::builder().ignore_change_ip(false);
    let manager = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let app = init_service(probe_app::app(Probe::new(manager))).await;
    let from = |peer: &str, says: &str, cookie: &str, steps: &[Step]| {
        let body = serde_json::to_string(steps).unwrap();
        with_cookie("/eager", cookie)
            .method(actix_web::http::Method::POST)
            .peer_addr(peer.parse::<SocketAddr>().unwrap())
            .insert_header(("x-forwarded-for", says))
            .insert_header(("forwarded", format!("for={says}")))
            .set_payload(body)
    };
    let (here, there) = ("192.0.2.1:9", "192.0.2.2:9");
    let reply = send(&app, from(here, "192.0.2.2", "", &[seen()])).await;
    let cookie = reply.cookie();
    let keys = |reply: crate::world::Reply| reply.body;
    let get = [Step::Keys];
    assert_eq!(
        keys(send(&app, from(there, "192.0.2.1", &cookie, &get)).await),
        "[[]]"
    );
    assert_eq!(
        keys(send(&app, from(here, "192.0.2.9", &cookie, &get)).await),
        r#"[["seen"]]"#
    );
}

#[tokio::test]
async fn h1_bytes_that_are_no_text_and_further_cookie_fields_hide_nothing() {
    let (_, manager) = world();
    let app = init_service(probe_app::app(Probe::new(manager))).await;
    let cookie = call(&app, "/eager", "", &[seen()]).await.cookie();
    let body = serde_json::to_string(&[Step::Keys]).unwrap();
    let request = TestRequest::post()
        .uri("/eager")
        .append_header((COOKIE, b"a=\xff\xfe; b=%zz".as_slice()))
        .append_header((
            COOKIE,
            [b"c=\xe9; ", cookie.as_bytes(), b"; d=1"]
                .concat()
                .as_slice(),
        ))
        .append_header((COOKIE, "__Host-sid=nonsense"))
        .set_payload(body);
    assert_eq!(send(&app, request).await.body, r#"[["seen"]]"#);
}

#[tokio::test]
async fn i1_a_token_is_marked_as_sensitive() {
    for (transport, name) in [
        (Transport::Cookie, "set-cookie"),
        (Transport::Header("x-session".into()), "x-session"),
    ] {
        let config = SessionConfig::builder().transport(transport);
        let manager = SessionManager::new(MemoryStore::new(), config.build().unwrap());
        let app = init_service(probe_app::app(Probe::new(manager))).await;
        let reply = call(&app, "/eager", "", &[seen(), n()]).await;
        let field = reply.headers.get(name).unwrap();
        assert!(field.is_sensitive());
        let token = field.to_str().unwrap();
        assert!(!format!("{:?}", reply.headers).contains(token));
    }
}
