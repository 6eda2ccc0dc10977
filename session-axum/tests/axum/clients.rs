//! Clients on sockets that go away, handlers that panic, and many clients at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use http::header::COOKIE;
use session_axum::{Session, SessionLayer};
use session_core::conformance::http::{Probe, Step};
use session_core::conformance::{Gate, Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use crate::probe_app;
use crate::world::{call, connect, n, seen, world};

/// Says when it is dropped.
struct Dropped(Gate);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.open();
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
async fn t7_a_task_ends_the_session_after_its_request_was_given_up() {
    let (_, manager) = world();
    let app = probe_app::router(Probe::new(manager.clone()));
    let (_, cookie, _) = call(&app, "/eager", "", &[seen()]).await;
    let (gate, handles) = (Gate::new(), Arc::new(Mutex::new(None)));
    let handler = {
        let (gate, handles) = (gate.clone(), Arc::clone(&handles));
        async move |session: Session| {
            *handles.lock().unwrap() = Some(session);
            gate.pass().await;
        }
    };
    let slow = Router::new().route("/", get(handler));
    let request = Request::get("/")
        .header(COOKIE, &cookie)
        .body(Body::empty());
    let request = slow
        .layer(SessionLayer::new(manager))
        .oneshot(request.unwrap());
    let running = tokio::spawn(request);
    gate.reached_by(1).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let session = handles.lock().unwrap().take().unwrap();
    session.logout();
    session.save().await.unwrap();
    let (_, _, body) = call(&app, "/eager", &cookie, &[Step::Keys]).await;
    assert_eq!(body, "[[]]");
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
