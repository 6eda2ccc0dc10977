//! Under a CSRF layer: bodies that stream, come in chunks, break off, or should not come at all.

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, Service, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, SET_COOKIE, TRANSFER_ENCODING};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, Bytes, ServiceConfig, resource, scope, to};
use actix_web::{App, HttpRequest};
use futures_util::{StreamExt, stream};
use session_actix::{CsrfLayer, Error, Session, SessionLayer};
use session_core::http::CsrfGuard;
use session_core::{MemoryStore, SessionConfig, SessionManager};

use crate::server::serve;
use crate::world::{Reply, send, with_cookie, world};

struct Admin;

async fn token(session: Session, admin: Result<Session<Admin>, Error>) -> Result<String, Error> {
    let admin = admin.ok().map(|admin| admin.csrf_token()).transpose()?;
    Ok(format!(
        "{} {}",
        session.csrf_token()?,
        admin.unwrap_or_default()
    ))
}

/// What the handler sees: lengths, encoding, body.
async fn echo(request: HttpRequest, body: Bytes) -> String {
    let field = |name: HeaderName| {
        let value = request.headers().get(name);
        value
            .map_or("-", |value| value.to_str().unwrap())
            .to_owned()
    };
    let (length, encoding) = (field(CONTENT_LENGTH), field(TRANSFER_ENCODING));
    format!("{length} {encoding} {}", String::from_utf8_lossy(&body))
}

/// The first chunk of the body, without waiting for a second.
async fn first(mut body: web::Payload) -> Bytes {
    body.next().await.unwrap().unwrap()
}

fn routes(sessions: SessionManager, guard: CsrfGuard) -> impl FnOnce(&mut ServiceConfig) {
    let inside = scope("")
        .wrap(CsrfLayer::new(guard))
        .wrap(SessionLayer::new(sessions))
        .route("/token", to(token))
        .route("/echo", to(echo))
        .route("/first", to(first));
    |config| {
        config.service(inside);
    }
}

/// A visitor's cookies and tokens.
async fn visitor<S, B>(app: &S) -> (String, String)
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let reply = send(app, TestRequest::with_uri("/token")).await;
    let cookies = reply.headers.get_all(SET_COOKIE);
    let cookies = cookies.map(|line| line.to_str().unwrap().split(';').next().unwrap());
    (cookies.collect::<Vec<_>>().join("; "), reply.body)
}

fn form(path: &str, cookie: &str) -> TestRequest {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let request = with_cookie(path, cookie).insert_header(form);
    request.method(actix_web::http::Method::POST)
}

/// Sends a request whose body is this stream.
async fn stream_to<S, B>(
    app: &S,
    request: TestRequest,
    body: impl futures_util::Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Reply
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let body: actix_http::BoxedPayloadStream = Box::pin(body);
    let (request, _) = request.to_request().replace_payload(Payload::from(body));
    let response = match app.call(request).await {
        Ok(response) => response.map_into_boxed_body().into_parts().1,
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = actix_web::body::to_bytes(response.into_body())
        .await
        .unwrap();
    Reply {
        status,
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn x3_a_form_in_chunks_has_a_length_when_the_handler_sees_it() {
    let (_, sessions) = world();
    let app = App::new().configure(routes(sessions.clone(), CsrfGuard::default()));
    let (cookie, token) = visitor(&init_service(app).await).await;
    let server =
        serve!(move || { App::new().configure(routes(sessions.clone(), CsrfGuard::default())) });
    let (half, rest) = token.trim().split_at(40);
    let mut text = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for chunk in ["a=1&csrf_tok", "en=", half, rest, "&", "b=2"] {
        text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    let mut connection = server.connect().await;
    // And the connection goes on behind it.
    for _ in 0..2 {
        connection.write(format!("{text}0\r\n\r\n")).await;
        assert_eq!(connection.answer().await.short(), (200, "7 - a=1&b=2"));
    }
}

#[tokio::test]
async fn x3_a_form_that_says_it_is_too_long_is_not_asked_for() {
    let (_, sessions) = world();
    let server =
        serve!(move || { App::new().configure(routes(sessions.clone(), CsrfGuard::default())) });
    let mut connection = server.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\n\
                content-type: application/x-www-form-urlencoded\r\n\
                content-length: 2097153\r\n\r\n";
    connection.write(head).await;
    let reply = connection.answer().await;
    assert_eq!(reply.short(), (413, "the request's body is too large"));
}

#[tokio::test]
async fn x3_an_endless_form_is_413_as_soon_as_it_is_too_long() {
    let (_, sessions) = world();
    let guard = CsrfGuard::builder().body_bytes_max(1_000).build().unwrap();
    let app = init_service(App::new().configure(routes(sessions, guard))).await;
    let (cookie, token) = visitor(&app).await;
    let begin = Bytes::from(format!("csrf_token={}", token.trim()));
    let endless = stream::once(async { begin }).chain(stream::repeat(Bytes::from("&a=1")));
    let reply = stream_to(&app, form("/echo", &cookie), endless.map(Ok)).await;
    assert_eq!(reply.short(), (413, "the request's body is too large"));
}

#[tokio::test]
async fn x3_a_form_that_breaks_off_is_400() {
    let (_, sessions) = world();
    let app = App::new().configure(routes(sessions, CsrfGuard::default()));
    let app = init_service(app).await;
    let (cookie, token) = visitor(&app).await;
    let whole = Bytes::from(format!("csrf_token={}", token.trim()));
    let chunks = stream::iter([Ok(whole), Err(PayloadError::Incomplete(None))]);
    let reply = stream_to(&app, form("/echo", &cookie), chunks).await;
    assert_eq!(reply.short(), (400, "the body broke off"));
}

#[tokio::test]
async fn x3_with_the_token_in_the_header_a_body_streams() {
    let (_, sessions) = world();
    let app = App::new().configure(routes(sessions, CsrfGuard::default()));
    let app = init_service(app).await;
    let (cookie, token) = visitor(&app).await;
    // The second chunk never comes.
    let chunks = stream::once(async { Ok(Bytes::from("first")) }).chain(stream::pending());
    let request = form("/first", &cookie).insert_header(("x-csrf-token", token.trim()));
    let reply = stream_to(&app, request, chunks).await;
    assert_eq!(reply.short(), (200, "first"));
}

#[tokio::test]
async fn x3_each_kind_of_session_has_a_guard_of_its_own() {
    let (_, main) = world();
    let config = SessionConfig::builder().cookie_name("__Host-admin");
    let admin = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let app = App::new()
        .wrap(SessionLayer::of::<Admin>(admin))
        .wrap(SessionLayer::new(main))
        .route("/token", to(token))
        .service(
            resource("/main")
                .wrap(CsrfLayer::new(CsrfGuard::default()))
                .to(echo),
        )
        .service(
            resource("/admin")
                .wrap(CsrfLayer::of::<Admin>(CsrfGuard::default()))
                .to(echo),
        );
    let app = init_service(app).await;
    let (cookies, tokens) = visitor(&app).await;
    let (main, admin) = tokens.split_once(' ').unwrap();
    for (path, token, status) in [
        ("/main", main, 200),
        ("/main", admin, 403),
        ("/admin", admin, 200),
        ("/admin", main, 403),
    ] {
        let body = format!("csrf_token={token}");
        let reply = send(&app, form(path, &cookies).set_payload(body)).await;
        assert_eq!(reply.status, status, "{path}");
    }
}

#[tokio::test]
async fn x3_a_form_is_changed_under_middleware_that_asks_for_the_session() {
    let (_, sessions) = world();
    let app = App::new()
        .service(
            resource("/echo")
                .wrap(CsrfLayer::new(CsrfGuard::default()))
                .wrap(from_fn(
                    async |mut request: actix_web::dev::ServiceRequest, next| {
                        let session = request.extract::<Session>().await?;
                        session.insert("visited", 1).map_err(Error::from)?;
                        actix_web::middleware::Next::call(&next, request).await
                    },
                ))
                .wrap(SessionLayer::new(sessions.clone()))
                .to(echo),
        )
        .configure(routes(sessions, CsrfGuard::default()));
    let app = init_service(app).await;
    let (cookie, token) = visitor(&app).await;
    let body = format!("csrf_token={}&a=1", token.trim());
    let reply = send(&app, form("/echo", &cookie).set_payload(body)).await;
    assert_eq!(reply.short(), (200, "3 - a=1"));
}
