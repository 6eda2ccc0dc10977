//! The suite's application, built with axum.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use session_axum::{CsrfLayer, Error, LazySession, Session, SessionLayer};
use session_core::conformance::http::{Answer, Other, Probe};

/// The routes that the suite asks for.
pub(crate) fn router(probe: Probe) -> Router {
    let layer = || SessionLayer::new(probe.manager().clone());
    let other = || SessionLayer::of::<Other>(probe.other().clone());
    let csrf = || CsrfLayer::new(probe.guard().clone());
    let twice = Router::new().route("/twice", any(eager)).layer(layer());
    let inside = Router::new().route("/both", any(both)).layer(other());
    let reversed = Router::new().route("/both/reversed", any(both));
    let reversed = reversed.layer(layer()).layer(other());
    let checked = Router::new().route("/guarded", any(guarded)).layer(csrf());
    let bare = Router::new()
        .route("/bare/guarded", any(guarded))
        .layer(csrf())
        .route("/bare", any(eager))
        .route("/bare/optional", any(optional));
    Router::new()
        .route("/eager", any(eager))
        .route("/lazy", any(lazy))
        .route("/careless", any(careless))
        .route("/optional", any(optional))
        .route("/untouched", any(untouched))
        .merge(twice)
        .merge(inside)
        .merge(checked)
        .layer(layer())
        .merge(reversed)
        .merge(bare)
        .with_state(probe)
}

async fn eager(
    State(probe): State<Probe>,
    session: Session,
    body: Bytes,
) -> Result<Response, Error> {
    Ok(respond(probe.perform(Some(&session), &body).await?))
}

async fn both(
    State(probe): State<Probe>,
    session: Session,
    other: Session<Other>,
    body: Bytes,
) -> Result<Response, Error> {
    Ok(respond(probe.perform_both(&session, &other, &body).await?))
}

async fn guarded(
    State(probe): State<Probe>,
    session: Session,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.map(|length| length.to_str().unwrap());
    let performed = probe.perform_guarded(&session, length, &body);
    Ok(respond(performed.await?))
}

async fn lazy(
    State(probe): State<Probe>,
    session: LazySession,
    body: Bytes,
) -> Result<Response, Error> {
    if !Probe::has_steps(&body) {
        return Ok(respond(probe.perform(None, &body).await?));
    }
    let session = session.load().await?;
    Ok(respond(probe.perform(Some(&session), &body).await?))
}

async fn careless(
    State(probe): State<Probe>,
    session: LazySession,
    body: Bytes,
) -> Result<Response, Error> {
    let session = session.load().await.ok();
    Ok(respond(probe.perform(session.as_deref(), &body).await?))
}

async fn optional(
    State(probe): State<Probe>,
    session: Option<Session>,
    body: Bytes,
) -> Result<Response, Error> {
    Ok(respond(probe.perform(session.as_deref(), &body).await?))
}

async fn untouched(State(probe): State<Probe>, body: Bytes) -> Result<Response, Error> {
    Ok(respond(probe.perform(None, &body).await?))
}

fn respond(answer: Answer) -> Response {
    let mut response = answer.body.into_response();
    *response.status_mut() = answer.status.try_into().unwrap();
    for (name, value) in answer.headers {
        let name: http::HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}
