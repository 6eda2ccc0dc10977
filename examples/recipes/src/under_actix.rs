//! Where actix-web differs.

use std::pin::Pin;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, ServiceConfig, get};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse};
use session_kit::actix::{CsrfLayer, Session, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{Owner, SessionManager};

const FRESH: Duration = Duration::from_secs(10 * 60);

/// Who signed in within the last ten minutes.
struct JustSignedIn(Owner);

impl FromRequest for JustSignedIn {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = <Session>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let session = session.await?;
            let sessions = Data::<SessionManager>::extract(&request).await?;
            let is_fresh = |at| sessions.now().since(at) <= FRESH;
            match session.owner() {
                Some(owner) if session.created_at().is_some_and(is_fresh) => Ok(Self(owner)),
                _ => Err(sign_in_first(&request)),
            }
        })
    }
}

/// To the login page, which sends back to what was asked for.
fn sign_in_first(request: &HttpRequest) -> actix_web::Error {
    let next = match request.uri().path_and_query() {
        Some(target) if request.method() == "GET" => target.as_str(),
        _ => "/",
    };
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let answer = HttpResponse::SeeOther()
        .insert_header((LOCATION, format!("/login?next={next}")))
        .finish();
    InternalError::from_response("not signed in", answer).into()
}

async fn keys(JustSignedIn(user): JustSignedIn) -> String {
    format!("the keys of {user}\n")
}

fn routes(app: &mut ServiceConfig) {
    app.route("/keys", get().to(keys));
}

/// The application: what is wrapped last is the outermost.
pub fn app(
    sessions: SessionManager,
    guard: CsrfGuard,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .configure(routes)
        .app_data(Data::new(sessions.clone()))
        .wrap(CsrfLayer::new(guard))
        .wrap(SessionLayer::new(sessions))
}
