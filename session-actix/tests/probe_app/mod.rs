//! The suite's application, built with actix-web.

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data, ServiceConfig, resource, scope, to};
use actix_web::{App, HttpRequest, HttpResponse, body::BoxBody};
use session_actix::{CsrfLayer, Error, LazySession, Session, SessionLayer};
use session_core::conformance::http::{Answer, Other, Probe};

/// An application of the suite's routes.
pub(crate) fn app(
    probe: Probe,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new().configure(routes(probe))
}

/// The routes that the suite asks for.
pub(crate) fn routes(probe: Probe) -> impl FnOnce(&mut ServiceConfig) {
    let layer = SessionLayer::new(probe.manager().clone());
    let other = SessionLayer::of::<Other>(probe.other().clone());
    let csrf = CsrfLayer::new(probe.guard().clone());
    |config| {
        let reversed = resource("/both/reversed")
            .wrap(layer.clone())
            .wrap(other.clone());
        let bare = resource("/bare/guarded").wrap(csrf.clone());
        let twice = resource("/twice").wrap(layer.clone()).to(eager);
        let inside = scope("")
            .wrap(layer)
            .route("/eager", to(eager))
            .route("/lazy", to(lazy))
            .route("/careless", to(careless))
            .route("/optional", to(optional))
            .route("/untouched", to(untouched))
            .service(resource("/both").wrap(other).to(both))
            .service(resource("/guarded").wrap(csrf).to(guarded))
            .service(twice);
        config
            .app_data(Data::new(probe))
            .route("/bare", to(eager))
            .route("/bare/optional", to(optional))
            .service(bare.to(guarded))
            .service(reversed.to(both))
            .service(inside);
    }
}

async fn eager(probe: Data<Probe>, session: Session, body: Bytes) -> Result<HttpResponse, Error> {
    Ok(respond(probe.perform(Some(&session), &body).await?))
}

async fn both(
    probe: Data<Probe>,
    session: Session,
    other: Session<Other>,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    Ok(respond(probe.perform_both(&session, &other, &body).await?))
}

async fn guarded(
    probe: Data<Probe>,
    session: Session,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.map(|length| length.to_str().unwrap());
    let performed = probe.perform_guarded(&session, length, &body);
    Ok(respond(performed.await?))
}

async fn lazy(
    probe: Data<Probe>,
    session: LazySession,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    if !Probe::has_steps(&body) {
        return Ok(respond(probe.perform(None, &body).await?));
    }
    let session = session.load().await?;
    Ok(respond(probe.perform(Some(&session), &body).await?))
}

async fn careless(
    probe: Data<Probe>,
    session: LazySession,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    let session = session.load().await.ok();
    Ok(respond(probe.perform(session.as_deref(), &body).await?))
}

async fn optional(
    probe: Data<Probe>,
    session: Option<Session>,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    Ok(respond(probe.perform(session.as_deref(), &body).await?))
}

async fn untouched(probe: Data<Probe>, body: Bytes) -> Result<HttpResponse, Error> {
    Ok(respond(probe.perform(None, &body).await?))
}

fn respond(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap();
    let mut response = HttpResponse::with_body(status, BoxBody::new(answer.body));
    for (name, value) in answer.headers {
        let name: HeaderName = name.parse().unwrap();
        let value: HeaderValue = value.parse().unwrap();
        response.headers_mut().append(name, value);
    }
    response
}
