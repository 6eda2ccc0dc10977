//! Sessions that outlive the response head: streaming bodies and upgraded connections.

use std::time::Duration;

use actix_web::body::{BodyStream, MessageBody};
use actix_web::test::init_service;
use actix_web::web::{Bytes, Payload, get, resource, to};
use actix_web::{App, HttpRequest, HttpResponse};
use futures_util::{SinkExt, StreamExt, stream};
use session_actix::{Error, Session, SessionLayer};
use session_core::conformance::Counts;
use session_core::conformance::http::{Probe, Step};
use session_core::{SessionConfig, SessionManager};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::probe_app;
use crate::server::serve;
use crate::world::{add, add_step, call, n, seen, send, stored, with_cookie, world};

/// What a stream's or socket's transaction came to, as text.
async fn told(session: &Session) -> Bytes {
    match add(session).await {
        Ok(n) => n.to_string().into(),
        Err(error) => format!("{:?}", error.kind()).into(),
    }
}

/// Three transactions after the response head.
async fn streaming(session: Session) -> HttpResponse {
    let chunks = stream::unfold((session, 0), async |(session, sent)| {
        if sent == 3 {
            return None;
        }
        let chunk = told(&session).await;
        Some((Ok::<_, Error>(chunk), (session, sent + 1)))
    });
    HttpResponse::Ok().streaming(Box::pin(chunks))
}

/// A WebSocket that answers each message with what its transaction came to.
async fn socket(session: Session, request: HttpRequest, mut sent: Payload) -> HttpResponse {
    let key = request.headers().get("sec-websocket-key").unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let (ours, theirs) = tokio::io::duplex(1_024);
    let (reader, mut writer) = tokio::io::split(theirs);
    tokio::task::spawn_local(async move {
        while let Some(Ok(bytes)) = sent.next().await {
            writer.write_all(&bytes).await.unwrap();
        }
    });
    tokio::task::spawn_local(async move {
        let mut socket = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        while let Some(Ok(Message::Text(_))) = socket.next().await {
            let told = String::from_utf8(told(&session).await.to_vec()).unwrap();
            if socket.send(told.into()).await.is_err() {
                break;
            }
        }
    });
    let frames = stream::unfold(reader, async |mut reader| {
        let mut bytes = vec![0; 1_024];
        let length = reader.read(&mut bytes).await.ok()?;
        bytes.truncate(length);
        (length > 0).then_some((Ok::<_, Error>(Bytes::from(bytes)), reader))
    });
    HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .insert_header(("sec-websocket-accept", accept))
        .streaming(Box::pin(frames))
}

#[tokio::test]
async fn t7_a_streaming_body_keeps_its_session_and_saves_after_the_head() {
    let (spy, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager.clone()))
        .route("/stream", to(streaming));
    let app = init_service(app).await;
    let probe = init_service(probe_app::app(Probe::new(manager.clone()))).await;
    let cookie = call(&probe, "/eager", "", &[seen()]).await.cookie();
    spy.reset();
    let request = with_cookie("/stream", &cookie).to_request();
    let response = actix_web::test::call_service(&app, request).await;
    let loaded = Counts {
        loads: 1,
        ..Counts::default()
    };
    assert_eq!(spy.counts(), loaded, "the head is there, the body is not");
    let mut body = Box::pin(response.into_body());
    let mut chunk = async || {
        let next = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await;
        next.unwrap().unwrap()
    };
    assert_eq!(chunk().await, "1");
    let between = call(&probe, "/eager", &cookie, &[n()]).await;
    assert_eq!(between.body, "[1]", "what is saved is seen at once");
    call(&probe, "/eager", &cookie, &[add_step()]).await;
    assert_eq!(chunk().await, "3");
    call(&probe, "/eager", &cookie, &[Step::Logout]).await;
    assert_eq!(chunk().await, "Gone");
    assert_eq!(stored(&manager).await, 0);
}

#[tokio::test]
async fn t7_a_streaming_body_cannot_begin_a_session() {
    let (spy, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager))
        .route("/stream", to(streaming));
    let reply = send(&init_service(app).await, with_cookie("/stream", "")).await;
    assert_eq!((reply.status, &*reply.cookie()), (200, ""));
    assert_eq!(reply.body, "HeadSent".repeat(3));
    assert_eq!(spy.counts(), Counts::default());
}

#[tokio::test]
async fn t5_what_the_handler_did_is_saved_before_the_head_of_a_stream_leaves() {
    let (spy, manager) = world();
    let endless = async |session: Session| {
        session.insert("begun", true)?;
        let chunks = stream::pending::<Result<Bytes, Error>>();
        Ok::<_, Error>(HttpResponse::Ok().body(BodyStream::new(chunks)))
    };
    let server = serve!({
        let manager = manager.clone();
        move || {
            App::new()
                .wrap(SessionLayer::new(manager.clone()))
                .route("/", get().to(endless))
        }
    });
    let mut connection = server.connect().await;
    connection.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = connection.head().await;
    assert_eq!(head.status, 200);
    assert_ne!(head.cookie(), "");
    assert_eq!(spy.counts().creates, 1);
    assert_eq!(stored(&manager).await, 1);
}

#[tokio::test]
async fn t7_a_websocket_transacts_until_its_session_ends() {
    let (_, manager) = world();
    let probe = Probe::new(manager.clone());
    let server = serve!(move || {
        let layer = SessionLayer::new(probe.manager().clone());
        App::new()
            .service(resource("/socket").wrap(layer).route(get().to(socket)))
            .configure(probe_app::routes(probe.clone()))
    });
    let mut other = server.connect().await;
    let cookie = other.call("", &[seen()]).await.cookie();
    let mut request = "ws://localhost/socket".into_client_request().unwrap();
    request
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    let connection = server.stream().await;
    let (mut socket, head) = client_async(request, connection).await.unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(head.headers().get("set-cookie"), None);
    let mut ask = async || {
        socket.send(Message::text("add")).await.unwrap();
        socket.next().await.unwrap().unwrap().into_text().unwrap()
    };
    assert_eq!(ask().await, "1");
    assert_eq!(other.call(&cookie, &[add_step()]).await.body, "[2]");
    assert_eq!(ask().await, "3");
    other.call(&cookie, &[Step::Logout]).await;
    assert_eq!(ask().await, "Gone");
    assert_eq!(ask().await, "Gone");
    assert_eq!(stored(&manager).await, 0);
}

#[tokio::test]
async fn t7_a_stream_over_a_connection_tells_what_others_store_meanwhile() {
    let (_, manager) = world();
    let probe = Probe::new(manager);
    let server = serve!(move || {
        let layer = SessionLayer::new(probe.manager().clone());
        let stream = resource("/stream").wrap(layer).to(streaming);
        App::new()
            .service(stream)
            .configure(probe_app::routes(probe.clone()))
    });
    let mut connection = server.connect().await;
    let cookie = connection.call("", &[add_step()]).await.cookie();
    let request = format!("GET /stream HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    connection.write(request).await;
    assert_eq!(connection.head().await.status, 200);
    for sum in ["2", "3", "4", ""] {
        assert_eq!(connection.chunk().await, sum);
    }
    assert_eq!(connection.call(&cookie, &[n()]).await.body, "[4]");
}

/// Answers what it is sent on the upgraded connection until its session ends, and says so.
fn guarded(session: Session, asked: Payload, every: Duration) -> HttpResponse {
    let answers = stream::unfold(Some((session, asked)), move |state| async move {
        let (session, mut asked) = state?;
        tokio::select! {
            ended = session.ended(every) => Some((ended.map(|()| "signed out\n".into()), None)),
            next = asked.next() => {
                next?.ok()?;
                let touched = session.touch().await;
                Some((touched.map(|()| Bytes::from("here\n")), Some((session, asked))))
            }
        }
    });
    HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .streaming(Box::pin(answers.map(|answer| answer.map_err(Error::from))))
}

/// Two events: that it has begun, and that the session has ended.
fn events(session: Session, every: Duration) -> HttpResponse {
    let begun = stream::once(async { Ok(Bytes::from("data: begun\n\n")) });
    let ended = stream::once(async move {
        session.ended(every).await?;
        Ok::<_, Error>(Bytes::from("data: signed out\n\n"))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(Box::pin(begun.chain(ended)))
}

/// Who revokes, and how often the handler looks: never in time, where it must be told.
fn revokers() -> [(SessionManager, SessionManager, Duration); 2] {
    let (spy, manager) = world();
    let config: SessionConfig = manager.config().clone();
    let elsewhere = SessionManager::new(spy, config);
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
async fn t7_what_outlives_its_response_ends_with_its_session_revoked_here_or_elsewhere() {
    for (manager, revoker, every) in revokers() {
        let probe = Probe::new(manager);
        let server = serve!(move || {
            let layer = SessionLayer::new(probe.manager().clone());
            let socket = move |session, asked| async move { guarded(session, asked, every) };
            let socket = resource("/socket")
                .wrap(layer.clone())
                .route(get().to(socket));
            let events = move |session| async move { events(session, every) };
            let events = resource("/events").wrap(layer).route(get().to(events));
            App::new()
                .service(socket)
                .service(events)
                .configure(probe_app::routes(probe.clone()))
        });
        let mut other = server.connect().await;
        let cookie = other.call("", &[seen()]).await.cookie();
        let mut socket = server.connect().await;
        let request = format!(
            "GET /socket HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             cookie: {cookie}\r\n\r\n"
        );
        socket.write(request).await;
        assert_eq!(socket.head().await.status, 101);
        for _ in 0..2 {
            socket.write("hello\n").await;
            assert_eq!(socket.line().await, "here");
        }
        let mut events = server.connect().await;
        let request = format!("GET /events HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
        events.write(request).await;
        assert_eq!(events.head().await.status, 200);
        assert_eq!(events.chunk().await, "data: begun\n\n");
        revoke_the_only_one(&revoker).await;
        assert_eq!(socket.line().await, "signed out");
        assert_eq!(socket.rest().await, b"");
        assert_eq!(events.chunk().await, "data: signed out\n\n");
        assert_eq!(events.chunk().await, "");
        assert_eq!(other.call(&cookie, &[Step::Keys]).await.body, "[[]]");
    }
}
