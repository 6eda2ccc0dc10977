//! The demo on axum: extractors in, responses out, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{ACCEPT, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use http_body_util::BodyExt;
use session_kit::axum::{CsrfLayer, Error, Session, SessionLayer};
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
    // With the peer's address, which a session may be bound to.
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    serve(listener, service).with_graceful_shutdown(stop).await
}

/// All routes, with their sessions.
pub fn router(app: App) -> Router {
    let sessions = SessionLayer::new(app.sessions.clone());
    let guard = CsrfLayer::new(app.guard.clone());
    Router::new()
        .route("/", get(show_page).post(act_on_page))
        .route("/plain", get(async || health::plain()))
        .route("/count", get(count))
        .route("/peek", get(peek))
        .route("/reset", get(reset))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(show_me))
        .route(
            "/values/{key}",
            get(get_value).put(put_value).delete(delete_value),
        )
        .route("/slow", get(be_slow))
        .route("/devices", get(list_devices))
        .route("/devices/revoke", post(revoke_device))
        .route("/csrf", get(csrf))
        .route("/transfer", post(transfer_money))
        .route("/lang/{code}", get(choose_language))
        .route("/healthz", get(healthz))
        .fallback(async || Answer::not_found())
        .method_not_allowed_fallback(async || Answer::method_not_allowed())
        .layer(sessions)
        // Outside of the sessions: what is refused costs no look at them.
        .layer(guard)
        .with_state(Arc::new(app))
}

type Shared = State<Arc<App>>;

async fn show_page(State(app): Shared, session: Session) -> Result<Answer, Error> {
    Ok(home::home(&app, &session).await?)
}

async fn act_on_page(session: Session, Bytes(body): Bytes) -> Result<Answer, Error> {
    Ok(counter::count_from_page(&session, &body).await?)
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

async fn login(session: Session, Bytes(body): Bytes) -> Result<Answer, Error> {
    Ok(account::login(&session, &body)?)
}

async fn logout(session: Session, headers: HeaderMap) -> Result<Answer, Error> {
    Ok(account::logout(&session, accept(&headers))?)
}

async fn show_me(session: Session) -> Result<Answer, Error> {
    Ok(me::me(&session)?)
}

async fn get_value(session: Session, uri: Uri) -> Answer {
    values::get(&session, uri.path())
}

async fn put_value(session: Session, uri: Uri, Bytes(body): Bytes) -> Result<Answer, Error> {
    Ok(values::put(&session, uri.path(), &body)?)
}

async fn delete_value(session: Session, uri: Uri) -> Answer {
    values::delete(&session, uri.path())
}

async fn be_slow(session: Session, uri: Uri) -> Result<Answer, Error> {
    Ok(slow::slow(&session, uri.query().unwrap_or_default()).await?)
}

async fn list_devices(State(app): Shared, session: Session) -> Result<Answer, Error> {
    Ok(devices::list(&app, &session).await?)
}

async fn revoke_device(
    State(app): Shared,
    session: Session,
    headers: HeaderMap,
    Bytes(body): Bytes,
) -> Result<Answer, Error> {
    Ok(devices::revoke(&app, &session, &body, accept(&headers)).await?)
}

async fn csrf(session: Session) -> Result<Answer, Error> {
    Ok(transfer::csrf(&session)?)
}

async fn transfer_money(session: Session, Bytes(body): Bytes) -> Result<Answer, Error> {
    Ok(transfer::transfer(&session, &body)?)
}

async fn choose_language(session: Session, uri: Uri) -> Result<Answer, Error> {
    Ok(account::choose_language(&session, uri.path())?)
}

async fn healthz(State(app): Shared) -> Result<Answer, Error> {
    Ok(health::healthz(&app).await?)
}

fn accept(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(ACCEPT).map(HeaderValue::as_bytes)
}

/// A request's body, of a bounded size.
struct Bytes(Vec<u8>);

impl<S: Sync> FromRequest<S> for Bytes {
    type Rejection = Answer;

    async fn from_request(request: Request, _: &S) -> Result<Self, Answer> {
        let mut body = request.into_body();
        let (mut kept, mut seen) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Answer::bad_request("the body broke off"))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            seen += data.len();
            if seen <= BODY_BYTES_MAX {
                kept.extend_from_slice(&data);
            } else if seen > BODY_BYTES_DROPPED_MAX {
                break;
            }
        }
        if seen > BODY_BYTES_MAX {
            return Err(Answer::too_large());
        }
        Ok(Self(kept))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status());
        let fields: Vec<_> = self.fields().collect();
        let body = self.into_body();
        // Without a body there is no type, which axum would add to a text.
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in fields {
            let (name, value) = (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            response.headers_mut().insert(name, value);
        }
        response
    }
}
