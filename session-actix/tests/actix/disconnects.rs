//! Clients that go away while their request runs.

use std::sync::{Arc, Mutex};

use actix_web::App;
use actix_web::dev::Service;
use actix_web::http::header::COOKIE;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::to;
use session_actix::{Session, SessionLayer};
use session_core::conformance::http::{Probe, Step};
use session_core::conformance::{Gate, Operation, SpyStore};

use crate::probe_app;
use crate::server::{Server, post, serve};
use crate::world::{add_step, call, late, n, seen, world};

/// Opens its gate when it is dropped: with the request's future, whether that was done or not.
struct Dropped(Gate);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.open();
    }
}

struct Scene {
    spy: SpyStore,
    probe: Probe,
    server: Server,
    /// Open once a request that says `x-watched` has ended.
    ended: Gate,
}

fn scene(half_closed: bool) -> Scene {
    let (spy, manager) = world();
    let (probe, ended) = (Probe::new(manager), Gate::new());
    let server = serve!(
        {
            let (probe, ended) = (probe.clone(), ended.clone());
            move || {
                let ended = ended.clone();
                probe_app::app(probe.clone()).wrap_fn(move |request, inner| {
                    let watched = request.headers().contains_key("x-watched");
                    let guard = watched.then(|| Dropped(ended.clone()));
                    let answering = inner.call(request);
                    async move {
                        let response = answering.await;
                        drop(guard);
                        response
                    }
                })
            }
        },
        workers = 1,
        |server| server.h1_allow_half_closed(half_closed)
    );
    Scene {
        spy,
        probe,
        server,
        ended,
    }
}

fn watched(cookie: &str, steps: &[Step]) -> String {
    post("/eager", cookie, steps).replacen("\r\n", "\r\nx-watched: 1\r\n", 1)
}

#[tokio::test]
async fn a_client_that_goes_away_in_mid_request_leaves_the_session_whole() {
    for mid_save in [false, true] {
        let scene = scene(false);
        let mut other = scene.server.connect().await;
        let cookie = other.call("", &[seen()]).await.cookie();
        let (steps, held) = if mid_save {
            (vec![late()], scene.spy.hold(Operation::Update))
        } else {
            let wait = Step::Wait("never".into());
            (vec![late(), wait], scene.probe.gate("never"))
        };
        let mut connection = scene.server.connect().await;
        connection.write(watched(&cookie, &steps)).await;
        held.reached_by(1).await;
        drop(connection);
        // The server notices and drops the request: this waits for that and for no time.
        scene.ended.pass().await;
        held.open();
        let reply = other.call(&cookie, &[add_step(), Step::Keys]).await;
        assert_eq!(reply.short(), (200, r#"[1,["seen","n"]]"#), "{mid_save}");
    }
}

#[tokio::test]
async fn t7_a_task_ends_the_session_after_its_request_was_given_up() {
    let (_, manager) = world();
    let app = init_service(probe_app::app(Probe::new(manager.clone()))).await;
    let cookie = call(&app, "/eager", "", &[seen()]).await.cookie();
    let (gate, handles) = (Gate::new(), Arc::new(Mutex::new(None)));
    let handler = {
        let (gate, handles) = (gate.clone(), Arc::clone(&handles));
        move |session: Session| {
            *handles.lock().unwrap() = Some(session);
            let gate = gate.clone();
            async move {
                gate.pass().await;
                ""
            }
        }
    };
    let slow = App::new()
        .wrap(SessionLayer::new(manager))
        .route("/", to(handler));
    let slow = init_service(slow).await;
    let request = TestRequest::get().insert_header((COOKIE, &*cookie));
    tokio::select! {
        _ = slow.call(request.to_request()) => panic!("it waits"),
        () = gate.reached_by(1) => {}
    }
    let session = handles.lock().unwrap().take().unwrap();
    session.logout();
    session.save().await.unwrap();
    let reply = call(&app, "/eager", &cookie, &[Step::Keys]).await;
    assert_eq!(reply.body, "[[]]");
}

#[tokio::test]
async fn by_default_a_half_closed_connection_runs_its_request_to_the_end() {
    let scene = scene(true);
    let mut other = scene.server.connect().await;
    let cookie = other.call("", &[seen()]).await.cookie();
    let mut connection = scene.server.connect().await;
    let steps = [late(), Step::Wait("go".into()), add_step()];
    connection.write(watched(&cookie, &steps)).await;
    scene.probe.gate("go").reached_by(1).await;
    drop(connection);
    let reply = other.call(&cookie, &[add_step()]).await;
    assert_eq!(reply.body, "[1]", "nobody waits for who went away");
    scene.probe.gate("go").open();
    scene.ended.pass().await;
    let reply = other.call(&cookie, &[n(), Step::Keys]).await;
    assert_eq!(reply.body, r#"[2,["seen","n","late"]]"#);
}
