//! Handlers, extractors and middleware that fail.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorConflict, ErrorServiceUnavailable, InternalError};
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Bytes, Json, resource, scope, to};
use actix_web::{App, HttpResponse, ResponseError};
use session_actix::{Error, Session, SessionLayer};
use session_core::conformance::http::{Probe, Step};
use session_core::conformance::{Counts, Fault, Operation};
use session_core::{ErrorKind, StoreErrorKind};

use crate::probe_app;
use crate::world::{add_step, adding, call, late, seen, send, stored, with_cookie, world};

/// Runs the handler and then fails all the same, as a rate limiter or a validator may.
async fn failing(
    mut request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let session = request.extract::<Session>().await?;
    let status = request.headers().get("x-fail").cloned();
    next.call(request).await?;
    session.insert("failed", true).map_err(Error::from)?;
    match status.as_ref().map(|status| status.as_bytes()) {
        Some(b"409") => Err(ErrorConflict("in conflict")),
        _ => Err(ErrorServiceUnavailable("too busy")),
    }
}

#[tokio::test]
async fn t5_what_a_failing_middleware_leaves_is_saved_and_its_cookie_is_sent() {
    let (spy, manager) = world();
    let everywhere = App::new()
        .wrap(from_fn(failing))
        .wrap(SessionLayer::new(manager.clone()))
        .route("/", to(adding));
    let scoped = App::new().service(
        scope("")
            .wrap(from_fn(failing))
            .wrap(SessionLayer::new(manager.clone()))
            .route("/", to(adding)),
    );
    let (everywhere, scoped) = (init_service(everywhere).await, init_service(scoped).await);
    let probe = init_service(probe_app::app(Probe::new(manager))).await;
    let failing = |cookie: &str| with_cookie("/", cookie).insert_header(("x-fail", "409"));
    for first in [
        send(&everywhere, failing("")).await,
        send(&scoped, failing("")).await,
    ] {
        assert_eq!(first.short(), (409, "in conflict"));
        assert_eq!(first.header("vary"), "Cookie");
        assert_eq!(first.header("cache-control"), "no-store");
        let cookie = first.cookie();
        let keys = call(&probe, "/eager", &cookie, &[Step::Keys]).await;
        assert_eq!(keys.body, r#"[["n","failed"]]"#);
        for again in [
            send(&everywhere, failing(&cookie)).await,
            send(&scoped, failing(&cookie)).await,
        ] {
            assert_eq!((again.status, &*again.cookie()), (409, ""));
        }
    }
    assert_eq!(spy.counts().creates, 2);
}

#[tokio::test]
async fn t5_a_middleware_that_fails_with_a_server_error_discards_the_changes() {
    let (_, manager) = world();
    let app = App::new()
        .wrap(from_fn(failing))
        .wrap(SessionLayer::new(manager.clone()))
        .route("/", to(HttpResponse::Ok));
    let app = init_service(app).await;
    let reply = send(&app, TestRequest::default()).await;
    assert_eq!(reply.short(), (503, "too busy"));
    assert_eq!((&*reply.cookie(), reply.header("vary")), ("", "Cookie"));
    assert_eq!(stored(&manager).await, 0);
}

#[tokio::test]
async fn t5_a_failing_middleware_whose_save_fails_is_answered_with_that() {
    let (spy, manager) = world();
    let app = App::new()
        .wrap(from_fn(failing))
        .wrap(SessionLayer::new(manager.clone()))
        .route("/", to(HttpResponse::Ok));
    let app = init_service(app).await;
    spy.always(
        Operation::Create,
        Fault::Refuse(StoreErrorKind::Unavailable),
    );
    let request = TestRequest::default().insert_header(("x-fail", "409"));
    let reply = send(&app, request).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert!(reply.body.starts_with("sessions are unavailable"));
    assert_eq!(reply.cookie(), "");
}

#[tokio::test]
async fn an_error_on_its_way_out_keeps_what_it_is_and_may_be_answered_twice() {
    let (_, manager) = world();
    let seen_outside = Rc::new(RefCell::new(Vec::new()));
    let app = App::new()
        .wrap(from_fn(failing))
        .wrap(SessionLayer::new(manager.clone()))
        .wrap_fn({
            let seen_outside = Rc::clone(&seen_outside);
            move |request, inner| {
                let answering = inner.call(request);
                let seen_outside = Rc::clone(&seen_outside);
                async move {
                    let error = answering.await.unwrap_err();
                    assert!(error.as_error::<InternalError<&str>>().is_some());
                    for _ in 0..2 {
                        let response = error.error_response();
                        let fields = response.headers().clone();
                        let body = to_bytes(response.into_body()).await;
                        seen_outside.borrow_mut().push((fields, body.unwrap()));
                    }
                    Err::<ServiceResponse, _>(error)
                }
            }
        })
        .route("/", to(HttpResponse::Ok));
    let app = init_service(app).await;
    let request = TestRequest::default().insert_header(("x-fail", "409"));
    let reply = send(&app, request).await;
    let cookie = reply.header("set-cookie");
    for (fields, body) in seen_outside.borrow().iter() {
        assert_eq!(fields.get("set-cookie").unwrap(), cookie);
        assert_eq!(fields.get_all("vary").count(), 1);
        assert_eq!(body, "in conflict");
    }
    assert!(cookie.starts_with("__Host-sid="), "{cookie}");
    assert_eq!(stored(&manager).await, 1);
}

/// An application's own error, with the status it is asked for.
#[derive(Debug)]
struct Refusal(StatusCode);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.0
    }
}

#[tokio::test]
async fn t5_a_handlers_error_is_an_answer_like_any_other() {
    let (_, manager) = world();
    let refusing = async |session: Session, body: Bytes| {
        session.insert("refused", true).map_err(Error::from)?;
        let status = StatusCode::from_bytes(&body).unwrap();
        Err::<HttpResponse, actix_web::Error>(Refusal(status).into())
    };
    let app = App::new()
        .wrap(SessionLayer::new(manager.clone()))
        .route("/", to(refusing));
    let app = init_service(app).await;
    let request = |status: &'static str| TestRequest::default().set_payload(status);
    let reply = send(&app, request("500")).await;
    assert_eq!((reply.short(), &*reply.cookie()), ((500, "refused"), ""));
    assert_eq!(stored(&manager).await, 0);
    let reply = send(&app, request("404")).await;
    assert_eq!(reply.short(), (404, "refused"));
    assert_ne!(reply.cookie(), "");
    assert_eq!(stored(&manager).await, 1);
}

/// Extractors before and after the one that fails have their say, too.
#[tokio::test]
async fn t5_an_extractor_that_fails_is_answered_and_what_another_has_stored_is_kept() {
    struct Visited;
    impl actix_web::FromRequest for Visited {
        type Error = Error;
        type Future =
            std::pin::Pin<Box<dyn std::future::Future<Output = Result<Self, Self::Error>>>>;
        fn from_request(
            request: &actix_web::HttpRequest,
            _: &mut actix_web::dev::Payload,
        ) -> Self::Future {
            let session = <Session>::extract(request);
            Box::pin(async move {
                session.await?.insert("visited", true)?;
                Ok(Self)
            })
        }
    }
    let (_, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager.clone()))
        .route("/before", to(async |_: Visited, _: Json<u64>| ""))
        .route("/after", to(async |_: Json<u64>, _: Visited| ""))
        .route("/bare", to(async |_: Json<u64>| ""));
    let app = init_service(app).await;
    let reply = send(&app, TestRequest::with_uri("/before")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_ne!(reply.cookie(), "");
    assert_eq!(stored(&manager).await, 1);
    let reply = send(&app, TestRequest::with_uri("/bare")).await;
    assert_eq!((reply.status, &*reply.cookie()), (400, ""));
    assert_eq!(reply.header("vary"), "", "no session was asked for");
    let reply = send(&app, TestRequest::with_uri("/after")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test]
async fn h6_an_error_of_a_session_is_answered_with_its_response() {
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
        let converted: actix_web::Error = Error::from(error()).into();
        for response in [
            Error::from(error()).error_response(),
            converted.error_response(),
            HttpResponse::from_error(Error::from(error())),
        ] {
            assert_eq!(response.status().as_u16(), expected.status, "{kind:?}");
            let mut headers = vec![("content-type".to_owned(), expected.content_type.to_owned())];
            let seconds = expected.retry_after.map(|seconds| seconds.to_string());
            headers.extend(seconds.map(|seconds| ("retry-after".to_owned(), seconds)));
            let fields = response.headers().iter();
            let fields = fields.map(|(name, value)| (name.to_string(), value.to_str().unwrap()));
            let mut sent: Vec<_> = fields
                .map(|(name, value)| (name, value.to_owned()))
                .collect();
            sent.sort();
            assert_eq!(sent, headers, "{kind:?}");
            let body = to_bytes(response.into_body()).await.unwrap();
            assert_eq!(body, expected.body.as_bytes(), "{kind:?}");
        }
        let status = Error::from(error()).status_code();
        assert_eq!(status.as_u16(), expected.status, "{kind:?}");
    }
}

#[tokio::test]
async fn h6_a_middleware_outside_answers_an_error_in_words_of_its_own() {
    async fn own_words(
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse, actix_web::Error> {
        let response = next.call(request).await?.map_into_boxed_body();
        let kind = response.response().extensions().get::<ErrorKind>().copied();
        Ok(response.map_body(|_, body| match kind {
            None => body,
            Some(kind) => BoxBody::new(format!("own: {kind:?}")),
        }))
    }
    async fn save_then_fail(session: Session) -> Result<HttpResponse, Error> {
        session.insert("n", 1)?;
        session.save().await?;
        session.insert("large", "x".repeat(2_000_000))?;
        Ok(HttpResponse::Ok().finish())
    }
    let (spy, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager))
        .wrap(from_fn(own_words))
        .route("/", to(adding))
        .route("/large", to(save_then_fail))
        .route("/fine", to(async || "fine"));
    let app = init_service(app).await;
    let large = send(&app, TestRequest::with_uri("/large")).await;
    assert_eq!(large.short(), (413, "own: TooLarge"));
    let cookie = large.cookie();
    assert!(!cookie.is_empty(), "what was saved has its cookie");
    let fine = send(&app, with_cookie("/fine", &cookie)).await;
    assert_eq!(fine.short(), (200, "fine"));
    spy.always(Operation::Load, Fault::Refuse(StoreErrorKind::Unavailable));
    let down = send(&app, with_cookie("/", &cookie)).await;
    assert_eq!(down.short(), (503, "own: Unavailable"));
    assert_eq!(down.header("retry-after"), "1");
}

#[tokio::test]
async fn a_resource_may_fail_its_requests_and_keep_the_session() {
    let (spy, manager) = world();
    let app = App::new().service(
        resource("/")
            .wrap(from_fn(failing))
            .wrap(SessionLayer::new(manager.clone()))
            .to(adding),
    );
    let app = init_service(app).await;
    let probe = init_service(probe_app::app(Probe::new(manager))).await;
    let cookie = call(&probe, "/eager", "", &[seen(), late()]).await.cookie();
    spy.reset();
    let request = with_cookie("/", &cookie).insert_header(("x-fail", "409"));
    assert_eq!(send(&app, request).await.status, 409);
    let once = Counts {
        loads: 1,
        updates: 2,
        ..Counts::default()
    };
    assert_eq!(spy.counts(), once, "the transaction and the save");
    let keys = call(&probe, "/eager", &cookie, &[add_step(), Step::Keys]).await;
    assert_eq!(keys.body, r#"[2,["seen","late","n","failed"]]"#);
}
