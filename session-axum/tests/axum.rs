//! What is particular to axum: streams, upgrades, clients that go away, routers in routers.

mod probe_app;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Router, serve};
use futures_util::{SinkExt, StreamExt, stream};
use http::header::{COOKIE, SET_COOKIE};
use http_body_util::BodyExt;
use session_axum::{Error, LazySession, Session, SessionLayer};
use session_core::conformance::http::{Probe, Step};
use session_core::conformance::{Counts, Gate, Operation, SpyStore};
use session_core::http::Transport;
use session_core::{ErrorKind, MemoryStore, SessionConfig, SessionManager};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

fn world() -> (SpyStore, SessionManager) {
    let spy = SpyStore::new(MemoryStore::new());
    // No test is about the time that a save may wait: the machine may be slow.
    let config = SessionConfig::builder().store_timeout(Duration::from_secs(600));
    (
        spy.clone(),
        SessionManager::new(spy, config.build().unwrap()),
    )
}

/// Sends a script to a path; gives status, cookie and body.
async fn call(app: &Router, path: &str, cookie: &str, steps: &[Step]) -> (u16, String, String) {
    let mut request = http::Request::post(path);
    if !cookie.is_empty() {
        request = request.header(COOKIE, cookie);
    }
    let body = serde_json::to_string(steps).unwrap();
    let request = request.body(Body::from(body)).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let cookie = cookie_of(&response);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, cookie, String::from_utf8(body.to_vec()).unwrap())
}

fn cookie_of(response: &Response) -> String {
    let line = response.headers().get(SET_COOKIE);
    let line = line.map_or("", |line| line.to_str().unwrap());
    line.split(';').next().unwrap_or_default().to_owned()
}

async fn add(session: &Session) -> Result<u64, Error> {
    let sum = session.transact(|draft| {
        let n = draft.get::<u64>("n")?.unwrap_or(0) + 1;
        draft.insert("n", n)?;
        Ok(n)
    });
    Ok(sum.await?)
}

fn seen() -> Step {
    Step::Insert("seen".into(), 1.into())
}

fn n() -> Step {
    Step::Get("n".into())
}

/// What a stream's or socket's transaction came to, as text.
async fn told(session: &Session) -> String {
    match add(session).await {
        Ok(n) => n.to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Three transactions after the response head.
async fn streaming(session: Session) -> Body {
    Body::from_stream(stream::unfold((session, 0), async |(session, sent)| {
        let chunk = told(&session).await;
        (sent < 3).then_some((Ok::<_, Error>(chunk), (session, sent + 1)))
    }))
}

async fn socket(session: Session, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        while let Some(Ok(Message::Text(_))) = socket.next().await {
            let told = told(&session).await;
            if socket.send(told.into()).await.is_err() {
                break;
            }
        }
    })
}

fn long_lived(manager: &SessionManager) -> Router {
    let probe = Probe::new(manager.clone());
    Router::new()
        .route("/stream", any(streaming))
        .route("/socket", get(socket))
        .layer(SessionLayer::new(manager.clone()))
        .merge(probe_app::router(probe))
}

#[tokio::test]
async fn t7_a_streaming_body_keeps_its_session_and_saves_after_the_head() {
    let (spy, manager) = world();
    let app = long_lived(&manager);
    let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
    spy.reset();
    let request = http::Request::get("/stream").header(COOKIE, &cookie);
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let loaded = Counts {
        loads: 1,
        ..Counts::default()
    };
    assert_eq!(spy.counts(), loaded, "the head is there, the body is not");
    let mut body = response.into_body().into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "1");
    let (_, _, between) = call(&app, "/eager", &cookie, &[n()]).await;
    assert_eq!(between, "[1]", "what is saved is seen at once");
    call(&app, "/eager", &cookie, &[Step::TransactAdd("n".into())]).await;
    assert_eq!(body.next().await.unwrap().unwrap(), "3");
    call(&app, "/eager", &cookie, &[Step::Logout]).await;
    assert_eq!(body.next().await.unwrap().unwrap(), "Gone");
    assert!(
        manager
            .scan(Default::default(), 9)
            .await
            .unwrap()
            .ids
            .is_empty()
    );
}

#[tokio::test]
async fn t7_a_streaming_body_cannot_begin_a_session() {
    let (spy, manager) = world();
    let app = long_lived(&manager);
    let (status, cookie, body) = call(&app, "/stream", "", &[]).await;
    assert_eq!((status, &*cookie), (200, ""));
    assert_eq!(body, "HeadSent".repeat(3));
    assert_eq!(spy.counts(), Counts::default());
}

/// Asks for a WebSocket at `/socket`.
fn upgrade(cookie: &str) -> http::Request<()> {
    http::Request::get("ws://localhost/socket")
        .header("host", "localhost")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header(COOKIE, cookie)
        .body(())
        .unwrap()
}

#[tokio::test]
async fn t7_a_websocket_transacts_until_its_session_ends() {
    let (_, manager) = world();
    let app = long_lived(&manager);
    let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
    let (tcp, _server) = connect(app.clone()).await;
    let request = upgrade(&cookie);
    let (mut socket, head) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(head.headers().get(SET_COOKIE), None);
    let mut ask = async || {
        let text = tokio_tungstenite::tungstenite::Message::text("add");
        socket.send(text).await.unwrap();
        socket.next().await.unwrap().unwrap().into_text().unwrap()
    };
    assert_eq!(ask().await, "1");
    let (_, _, sum) = call(&app, "/eager", &cookie, &[Step::TransactAdd("n".into())]).await;
    assert_eq!(sum, "[2]");
    assert_eq!(ask().await, "3");
    call(&app, "/eager", &cookie, &[Step::Logout]).await;
    assert_eq!(ask().await, "Gone");
    assert_eq!(ask().await, "Gone");
    assert!(
        manager
            .scan(Default::default(), 9)
            .await
            .unwrap()
            .ids
            .is_empty()
    );
}

/// Answers what it is sent until its session ends, and says so as it closes.
async fn guarded(session: Session, upgrade: WebSocketUpgrade, every: Duration) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let mut ended = std::pin::pin!(session.ended(every));
        loop {
            tokio::select! {
                ended = &mut ended => {
                    let reason = match ended {
                        Ok(()) => "signed out".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    let frame = CloseFrame { code: 1008, reason: reason.into() };
                    let _ = socket.send(Message::Close(Some(frame))).await;
                    return;
                }
                message = socket.next() => {
                    let Some(Ok(Message::Text(text))) = message else {
                        return;
                    };
                    session.touch().await.unwrap();
                    if socket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
            }
        }
    })
}

/// Two events: that it has begun, and that the session has ended.
async fn events(
    session: Session,
    every: Duration,
) -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    let begun = stream::once(async { Ok(Event::default().data("begun")) });
    let ended = stream::once(async move {
        let data = match session.ended(every).await {
            Ok(()) => "signed out".to_owned(),
            Err(error) => error.to_string(),
        };
        Ok(Event::default().data(data))
    });
    Sse::new(begun.chain(ended))
}

/// Routes whose handlers look for their session's end every `every`.
fn guarding(manager: &SessionManager, every: Duration) -> Router {
    let socket =
        move |session: Session, upgrade: WebSocketUpgrade| guarded(session, upgrade, every);
    Router::new()
        .route("/socket", get(socket))
        .route(
            "/events",
            get(move |session: Session| events(session, every)),
        )
        .layer(SessionLayer::new(manager.clone()))
        .merge(probe_app::router(Probe::new(manager.clone())))
}

/// Who revokes, and how often the handler looks: never in time, where it must be told.
fn revokers() -> [(SessionManager, SessionManager, Duration); 2] {
    let (spy, manager) = world();
    let elsewhere = SessionManager::new(spy, manager.config().clone());
    let (_, alone) = world();
    [
        (alone.clone(), alone, Duration::from_secs(86_400)),
        (manager, elsewhere, Duration::ZERO),
    ]
}

async fn revoke_the_only_one(manager: &SessionManager) {
    let ids = manager.scan(Default::default(), 9).await.unwrap().ids;
    assert!(manager.revoke(&ids[0]).await.unwrap());
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn t7_a_websocket_closes_when_its_session_is_revoked_here_or_elsewhere() {
    for (manager, revoker, every) in revokers() {
        let app = guarding(&manager, every);
        let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
        let (tcp, _server) = connect(app.clone()).await;
        let (mut socket, _) = tokio_tungstenite::client_async(upgrade(&cookie), tcp)
            .await
            .unwrap();
        let text = tokio_tungstenite::tungstenite::Message::text("hello");
        socket.send(text).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.into_text().unwrap(), "hello");
        revoke_the_only_one(&revoker).await;
        let last = socket.next().await.unwrap().unwrap();
        let tokio_tungstenite::tungstenite::Message::Close(Some(frame)) = last else {
            panic!("{last:?} is no close");
        };
        assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (1008, "signed out")
        );
        assert_eq!(call(&app, "/eager", &cookie, &[Step::Keys]).await.2, "[[]]");
    }
}

#[tokio::test]
async fn t7_an_event_stream_ends_when_its_session_is_revoked_here_or_elsewhere() {
    for (manager, revoker, every) in revokers() {
        let app = guarding(&manager, every);
        let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
        let request = http::Request::get("/events").header(COOKIE, &cookie);
        let request = request.body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "data: begun\n\n");
        revoke_the_only_one(&revoker).await;
        assert_eq!(body.next().await.unwrap().unwrap(), "data: signed out\n\n");
        assert!(body.next().await.is_none());
    }
}

/// Says when it is dropped.
struct Dropped(Gate);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Serves the application on a real socket and connects to it; the server ends with its handle.
async fn connect(app: Router) -> (TcpStream, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { serve(listener, app).await.unwrap() });
    (TcpStream::connect(address).await.unwrap(), Server(server))
}

struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn raw_post(cookie: &str, steps: &[Step]) -> String {
    let body = serde_json::to_string(steps).unwrap();
    let size = body.len();
    format!(
        "POST /eager HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ncontent-length: {size}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_client_that_goes_away_in_mid_request_leaves_the_session_whole() {
    for mid_save in [false, true] {
        let (spy, manager) = world();
        let probe = Probe::new(manager.clone());
        let app = probe_app::router(probe.clone());
        let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
        let ended = Gate::new();
        let outermost = from_fn({
            let ended = ended.clone();
            move |request: Request, next: Next| {
                let guard = Dropped(ended.clone());
                async move {
                    let response = next.run(request).await;
                    drop(guard);
                    response
                }
            }
        });
        let (mut tcp, _server) = connect(app.clone().layer(outermost)).await;
        let (steps, held) = if mid_save {
            (vec![n()], spy.hold(Operation::Update))
        } else {
            (vec![n(), Step::Wait("never".into())], probe.gate("never"))
        };
        let steps = [vec![Step::Insert("late".into(), 1.into())], steps].concat();
        tcp.write_all(raw_post(&cookie, &steps).as_bytes())
            .await
            .unwrap();
        held.reached_by(1).await;
        drop(tcp);
        // The server notices and drops the request: this waits for that and for no time.
        ended.pass().await;
        held.open();
        let steps = [Step::TransactAdd("n".into()), Step::Keys];
        let (status, _, body) = call(&app, "/eager", &cookie, &steps).await;
        assert_eq!((status, &*body), (200, r#"[1,["seen","n"]]"#), "{mid_save}");
    }
}

#[tokio::test]
async fn a_panicking_handler_closes_its_connection_and_stores_nothing() {
    let (_, manager) = world();
    let app = probe_app::router(Probe::new(manager.clone()));
    let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
    let (mut tcp, _server) = connect(app.clone()).await;
    let steps = [Step::Insert("late".into(), 1.into()), Step::Panic];
    tcp.write_all(raw_post(&cookie, &steps).as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    // An end of the stream or a reset: either way there is no answer.
    let _ = tcp.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    let (_, _, keys) = call(&app, "/eager", &cookie, &[Step::Keys]).await;
    assert_eq!(keys, r#"[["seen"]]"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c2_sixty_four_clients_on_four_threads_add_to_exactly_6_400() {
    let (_, manager) = world();
    let app = probe_app::router(Probe::new(manager));
    let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
    let (app, cookie) = (Arc::new(app), Arc::new(cookie));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (app, cookie) = (Arc::clone(&app), Arc::clone(&cookie));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..100 {
                    let steps = [Step::TransactAdd("n".into())];
                    let (status, _, body) = call(&app, "/eager", &cookie, &steps).await;
                    assert_eq!(status, 200);
                    answers.push(body);
                }
                answers
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    assert_eq!(all.len(), 6_400, "all answers differ");
    let (_, _, sum) = call(&app, "/eager", &cookie, &[n()]).await;
    assert_eq!(sum, "[6400]");
}

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
