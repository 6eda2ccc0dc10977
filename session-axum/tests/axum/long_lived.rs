//! Streams and sockets, which go on after the head of the response.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt, stream};
use http::header::{COOKIE, SET_COOKIE};
use session_axum::{Error, Session, SessionLayer};
use session_core::SessionManager;
use session_core::conformance::Counts;
use session_core::conformance::http::{Probe, Step};
use tower::ServiceExt;

use crate::probe_app;
use crate::world::{add, call, connect, n, seen, world};

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
