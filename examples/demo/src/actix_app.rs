//! The demo on actix-web: extractors in, responses out, and nothing else.

use std::future::{poll_fn, ready};
use std::io;
use std::pin::pin;

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard, GuardContext};
use actix_web::http::header::{ACCEPT, ALLOW, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{StatusCode, Uri};
use actix_web::web::{self, Data, Payload, delete, post, put, to};
use actix_web::{HttpRequest, HttpResponse, HttpServer, Resource, Responder, Route};
use session_kit::actix::{CsrfLayer, Error, Session, SessionLayer};
use tokio::net::TcpListener;

use crate::answer::Answer;
use crate::app::{App, BODY_BYTES_DROPPED_MAX, BODY_BYTES_MAX};
use crate::routes::{account, counter, devices, health, home, me, slow, transfer, values};

/// Serves until `stop` completes and the requests in flight are answered.
///
/// # Errors
///
/// The listener's failure.
pub async fn run(
    app: App,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // One application for each worker; all of them share the sessions.
    HttpServer::new(move || application(app.clone()))
        .shutdown_signal(stop)
        .listen(listener.into_std()?)?
        .run()
        .await
}

/// All routes, with their sessions.
pub fn application(
    app: App,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let sessions = SessionLayer::new(app.sessions.clone());
    let guard = CsrfLayer::new(app.guard.clone());
    actix_web::App::new()
        .app_data(Data::new(app))
        .service(
            at("/", "GET,HEAD,POST")
                .route(get().to(show_page))
                .route(post().to(act_on_page)),
        )
        .service(at("/plain", "GET,HEAD").route(get().to(async || health::plain())))
        .service(at("/count", "GET,HEAD").route(get().to(count)))
        .service(at("/peek", "GET,HEAD").route(get().to(peek)))
        .service(at("/reset", "GET,HEAD").route(get().to(reset)))
        .service(at("/login", "POST").route(post().to(login)))
        .service(at("/logout", "POST").route(post().to(logout)))
        .service(at("/me", "GET,HEAD").route(get().to(show_me)))
        .service(
            at("/values/{key}", "GET,HEAD,PUT,DELETE")
                .route(get().to(get_value))
                .route(put().to(put_value))
                .route(delete().to(delete_value)),
        )
        .service(at("/slow", "GET,HEAD").route(get().to(be_slow)))
        .service(at("/devices", "GET,HEAD").route(get().to(list_devices)))
        .service(at("/devices/revoke", "POST").route(post().to(revoke_device)))
        .service(at("/csrf", "GET,HEAD").route(get().to(csrf)))
        .service(at("/transfer", "POST").route(post().to(transfer_money)))
        .service(at("/lang/{code}", "GET,HEAD").route(get().to(choose_language)))
        .service(at("/healthz", "GET,HEAD").route(get().to(healthz)))
        .default_service(to(async || Answer::not_found()))
        .wrap(sessions)
        // Outside of the sessions: what is refused costs no look at them.
        .wrap(guard)
}

/// A resource of the methods that `allow` lists.
fn at(path: &'static str, allow: &'static str) -> Resource {
    web::resource(path)
        .guard(AsSent(path))
        .default_service(to(move || ready(not_allowed(allow))))
}

/// The route of those who read, be it the head alone.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A path as it was sent: actix-web decodes most escapes before it looks for a route.
struct AsSent(&'static str);

impl Guard for AsSent {
    fn check(&self, request: &GuardContext<'_>) -> bool {
        let path = request.head().uri.path();
        match self.0.split_once('{') {
            Some((folder, _)) => path
                .strip_prefix(folder)
                .is_some_and(|segment| !segment.is_empty() && !segment.contains('/')),
            None => path == self.0,
        }
    }
}

async fn show_page(app: Data<App>, session: Session) -> Result<Answer, Error> {
    Ok(home::home(&app, &session).await?)
}

async fn act_on_page(session: Session, payload: Payload) -> Result<Answer, Error> {
    with_body(payload, async |body| {
        counter::count_from_page(&session, body).await
    })
    .await
}

async fn count(session: Session) -> Result<Answer, Error> {
    Ok(counter::count(&session).await?)
}

async fn peek(session: Session) -> Result<Answer, Error> {
    Ok(counter::peek(&session)?)
}

async fn reset(session: Session) -> Answer {
    counter::reset(&session)
}

async fn login(session: Session, payload: Payload) -> Result<Answer, Error> {
    with_body(payload, async |body| account::login(&session, body)).await
}

async fn logout(session: Session, request: HttpRequest) -> Result<Answer, Error> {
    Ok(account::logout(&session, accept(request.headers()))?)
}

async fn show_me(session: Session) -> Result<Answer, Error> {
    Ok(me::me(&session)?)
}

async fn get_value(session: Session, uri: Uri) -> Answer {
    values::get(&session, uri.path())
}

async fn put_value(session: Session, uri: Uri, payload: Payload) -> Result<Answer, Error> {
    with_body(payload, async |body| {
        values::put(&session, uri.path(), body)
    })
    .await
}

async fn delete_value(session: Session, uri: Uri) -> Answer {
    values::delete(&session, uri.path())
}

async fn be_slow(session: Session, uri: Uri) -> Result<Answer, Error> {
    Ok(slow::slow(&session, uri.query().unwrap_or_default()).await?)
}

async fn list_devices(app: Data<App>, session: Session) -> Result<Answer, Error> {
    Ok(devices::list(&app, &session).await?)
}

async fn revoke_device(
    app: Data<App>,
    session: Session,
    request: HttpRequest,
    payload: Payload,
) -> Result<Answer, Error> {
    let accept = accept(request.headers());
    with_body(payload, async |body| {
        devices::revoke(&app, &session, body, accept).await
    })
    .await
}

async fn csrf(session: Session) -> Result<Answer, Error> {
    Ok(transfer::csrf(&session)?)
}

async fn transfer_money(session: Session, payload: Payload) -> Result<Answer, Error> {
    with_body(payload, async |body| transfer::transfer(&session, body)).await
}

async fn choose_language(session: Session, uri: Uri) -> Result<Answer, Error> {
    Ok(account::choose_language(&session, uri.path())?)
}

async fn healthz(app: Data<App>) -> Result<Answer, Error> {
    Ok(health::healthz(&app).await?)
}

fn accept(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(ACCEPT).map(HeaderValue::as_bytes)
}

/// Reads a request's body, of a bounded size, and acts on it. Extractors run all at once; this
/// begins only when there is a session.
async fn with_body(
    payload: Payload,
    act: impl AsyncFnOnce(&[u8]) -> Result<Answer, session_kit::Error>,
) -> Result<Answer, Error> {
    let mut body = pin!(BodyStream::new(payload));
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let Ok(data) = chunk else {
            return Ok(Answer::bad_request("the body broke off"));
        };
        seen += data.len();
        if seen <= BODY_BYTES_MAX {
            kept.extend_from_slice(&data);
        } else if seen > BODY_BYTES_DROPPED_MAX {
            break;
        }
    }
    if seen > BODY_BYTES_MAX {
        return Ok(Answer::too_large());
    }
    Ok(act(&kept).await?)
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        response(self)
    }
}

fn not_allowed(allow: &'static str) -> HttpResponse {
    let mut response = response(Answer::method_not_allowed());
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(ALLOW, allow);
    response
}

fn response(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status());
    let fields: Vec<_> = answer.fields().collect();
    let body = BoxBody::new(answer.into_body());
    // Without a body there is no type, which actix-web would add to a text.
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, body);
    for (name, value) in fields {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        response.headers_mut().insert(name, value);
    }
    response
}
