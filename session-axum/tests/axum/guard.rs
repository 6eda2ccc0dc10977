//! What is particular to axum under a CSRF layer: bodies that stream, come in chunks, break off, or
//! should not come at all.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::routing::any;
use axum::{Router, serve};
use futures_util::{StreamExt, stream};
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, SET_COOKIE, TRANSFER_ENCODING};
use http_body_util::BodyExt;
use session_axum::{CsrfLayer, Error, Session, SessionLayer};
use session_core::http::CsrfGuard;
use session_core::{MemoryStore, SessionConfig, SessionManager};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower::{Service, ServiceBuilder, ServiceExt};

struct Admin;

fn manager(cookie: &str) -> SessionManager {
    let config = SessionConfig::builder().cookie_name(cookie).build();
    SessionManager::new(MemoryStore::new(), config.unwrap())
}

async fn token(session: Session, admin: Option<Session<Admin>>) -> Result<String, Error> {
    let admin = admin.map(|admin| admin.csrf_token()).transpose()?;
    Ok(format!(
        "{} {}",
        session.csrf_token()?,
        admin.unwrap_or_default()
    ))
}

/// What the handler sees: lengths, encoding, body.
async fn echo(request: Request) -> String {
    let [length, encoding] = [CONTENT_LENGTH, TRANSFER_ENCODING].map(|name| {
        let value = request.headers().get(name);
        value
            .map_or("-", |value| value.to_str().unwrap())
            .to_owned()
    });
    let body = request.into_body().collect().await.unwrap().to_bytes();
    format!("{length} {encoding} {}", String::from_utf8_lossy(&body))
}

/// The first chunk of the body, without waiting for a second.
async fn first(request: Request) -> Bytes {
    let mut body = request.into_body().into_data_stream();
    body.next().await.unwrap().unwrap()
}

fn app(guard: CsrfGuard) -> Router {
    app_of(manager("__Host-sid"), guard)
}

fn app_of(sessions: SessionManager, guard: CsrfGuard) -> Router {
    Router::new()
        .route("/token", any(token))
        .route("/echo", any(echo))
        .route("/first", any(first))
        .layer(CsrfLayer::new(guard))
        .layer(SessionLayer::new(sessions))
}

/// A visitor's cookies and tokens.
async fn visitor(app: &Router) -> (String, String) {
    let request = Request::get("/token").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    let cookies = cookies.map(|line| line.to_str().unwrap().split(';').next().unwrap());
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (cookies, String::from_utf8(body.to_vec()).unwrap())
}

async fn send(app: &Router, request: Request) -> (u16, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn form(path: &str, cookie: &str, body: Body) -> Request {
    let form = "application/x-www-form-urlencoded";
    let request = Request::post(path).header(COOKIE, cookie);
    request.header(CONTENT_TYPE, form).body(body).unwrap()
}

/// Serves on a real socket, sends the text, and reads until the server closes.
async fn over_a_socket(app: Router, text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { serve(listener, app).await.unwrap() });
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    server.abort();
    answer
}

#[tokio::test]
async fn x3_a_nested_routers_guard_sees_the_path_as_it_was_sent() {
    let guard = |exempt| {
        let guard = CsrfGuard::builder().exempt(move |_, path| path == exempt);
        CsrfLayer::new(guard.build().unwrap())
    };
    for (exempt, status) in [
        ("/api/hooks/paid", 200),
        ("/hooks/paid", 403),
        ("/paid", 403),
    ] {
        let hooks = Router::new()
            .route("/paid", any(async || "thanks"))
            .layer(guard(exempt));
        let app = Router::new()
            .nest("/api", Router::new().nest("/hooks", hooks))
            .layer(SessionLayer::new(manager("__Host-sid")));
        let request = form("/api/hooks/paid", "", Body::empty());
        assert_eq!(send(&app, request).await.0, status, "{exempt}");
    }
}

#[tokio::test]
async fn x3_a_form_in_chunks_has_a_length_when_the_handler_sees_it() {
    let app = app(CsrfGuard::default());
    let (cookie, token) = visitor(&app).await;
    let token = token.trim();
    let (half, rest) = token.split_at(40);
    let mut text = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for chunk in ["a=1&csrf_tok", "en=", half, rest, "&", "b=2"] {
        text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    let answer = over_a_socket(app, text + "0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n7 - a=1&b=2"), "{answer}");
}

#[tokio::test]
async fn x3_a_form_that_says_it_is_too_long_is_not_asked_for() {
    let app = app(CsrfGuard::default());
    let (cookie, _) = visitor(&app).await;
    let text = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\nexpect: 100-continue\r\n\
         content-length: 2097153\r\n\r\n"
    );
    let answer = over_a_socket(app, text).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 "),
        "no 100 before it: {answer}"
    );
}

#[tokio::test]
async fn x3_an_endless_form_is_413_as_soon_as_it_is_too_long() {
    let guard = CsrfGuard::builder().body_bytes_max(1_000).build().unwrap();
    let app = app(guard);
    let (cookie, token) = visitor(&app).await;
    let begin = Bytes::from(format!("csrf_token={}", token.trim()));
    let endless = stream::once(async { begin }).chain(stream::repeat(Bytes::from("&a=1")));
    let body = Body::from_stream(endless.map(Ok::<_, Infallible>));
    let answer = send(&app, form("/echo", &cookie, body)).await;
    assert_eq!(answer, (413, "the request's body is too large".to_owned()));
}

#[tokio::test]
async fn x3_a_form_that_breaks_off_is_400() {
    let app = app(CsrfGuard::default());
    let (cookie, token) = visitor(&app).await;
    let chunks = [Ok(format!("csrf_token={}", token.trim())), Err("it broke")];
    let body = Body::from_stream(stream::iter(chunks));
    let answer = send(&app, form("/echo", &cookie, body)).await;
    assert_eq!(answer, (400, "the body broke off".to_owned()));
}

#[tokio::test]
async fn x3_with_the_token_in_the_header_a_body_streams() {
    let app = app(CsrfGuard::default());
    let (cookie, token) = visitor(&app).await;
    let (chunks, mut sent) = mpsc::channel::<Result<&str, Infallible>>(1);
    let body = Body::from_stream(stream::poll_fn(move |cx| sent.poll_recv(cx)));
    let mut request = form("/first", &cookie, body);
    let value = token.trim().parse().unwrap();
    request.headers_mut().insert("x-csrf-token", value);
    chunks.send(Ok("first")).await.unwrap();
    // The second never comes.
    let answer = send(&app, request).await;
    assert_eq!(answer, (200, "first".to_owned()));
    drop(chunks);
}

#[tokio::test]
async fn x3_each_kind_of_session_has_a_guard_of_its_own() {
    let main = Router::new()
        .route("/main", any(echo))
        .layer(CsrfLayer::new(CsrfGuard::default()));
    let admin = Router::new()
        .route("/admin", any(echo))
        .layer(CsrfLayer::of::<Admin>(CsrfGuard::default()));
    let app = Router::new()
        .route("/token", any(token))
        .merge(main)
        .merge(admin)
        .layer(SessionLayer::of::<Admin>(manager("__Host-admin")))
        .layer(SessionLayer::new(manager("__Host-sid")));
    let (cookies, tokens) = visitor(&app).await;
    let (main, admin) = tokens.split_once(' ').unwrap();
    for (path, token, status) in [
        ("/main", main, 200),
        ("/main", admin, 403),
        ("/admin", admin, 200),
        ("/admin", main, 403),
    ] {
        let body = Body::from(format!("csrf_token={token}"));
        let (got, _) = send(&app, form(path, &cookies, body)).await;
        assert_eq!(got, status, "{path}");
    }
}

#[tokio::test]
async fn x2_http_2_names_the_host_in_the_target() {
    let guard = CsrfGuard::builder().headers_only(true).build().unwrap();
    let app = app(guard);
    for (origin, status) in [("https://shop.example", 200), ("https://evil.example", 403)] {
        let request = Request::post("https://shop.example/echo").header("origin", origin);
        let request = request.version(http::Version::HTTP_2);
        let (got, _) = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(got, status, "{origin}");
    }
}

/// Panics where it is called before it was asked whether it is ready.
struct OnceReady(bool);

impl Clone for OnceReady {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request> for OnceReady {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "it was not ready");
        ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn any_body_is_taken_and_the_service_that_was_ready_is_called() {
    let sessions = manager("__Host-sid");
    let tokens = app_of(sessions.clone(), CsrfGuard::default());
    let (cookie, token) = visitor(&tokens).await;
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(sessions))
        .layer(CsrfLayer::new(CsrfGuard::default()))
        .service(OnceReady(false));
    let sent = [
        ("GET", "", 200),
        ("POST", "wrong", 403),
        ("POST", token.trim(), 200),
    ];
    for (method, token, status) in sent {
        let request = Request::builder().method(method).header(COOKIE, &cookie);
        let request = request.header("x-csrf-token", token);
        let request = request.body(String::from("text")).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{method} {token}");
    }
}
