//! The workloads under actix-web.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_http::Request;
use actix_web::App;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE, USER_AGENT};
use actix_web::test::init_service;
use actix_web::web::{Path, get};
use session_actix::{Error, Session, SessionLayer};
use session_core::SessionManager;

use super::{Framework, Work};

/// actix-web 4.
#[derive(Debug)]
pub struct Actix;

type Answering = Pin<Box<dyn Future<Output = Result<ServiceResponse, actix_web::Error>>>>;

/// An application; its type has no name.
pub struct Application(Box<dyn Fn(Request) -> Answering>);

impl Application {
    fn new<S>(service: S) -> Self
    where
        S: Service<Request, Response = ServiceResponse, Error = actix_web::Error> + 'static,
        S::Future: 'static,
    {
        Self(Box::new(move |request| Box::pin(service.call(request))))
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").finish_non_exhaustive()
    }
}

impl Framework for Actix {
    const NAME: &'static str = "actix";
    type App = Application;
    type Request = Request;
    type Response = ServiceResponse;

    async fn bare() -> Application {
        let app = Work::ALL.into_iter().fold(App::new(), |app, work| {
            app.route(work.path(), get().to(untouched))
        });
        Application::new(init_service(app).await)
    }

    async fn with_sessions(manager: &SessionManager) -> Application {
        let app = App::new()
            .wrap(SessionLayer::new(manager.clone()))
            .route("/untouched", get().to(untouched))
            .route("/read", get().to(read))
            .route("/write", get().to(write))
            .route("/new", get().to(write))
            .route("/fill/{size}", get().to(fill));
        Application::new(init_service(app).await)
    }

    fn request(path: &'static str, cookie: Option<&str>) -> Request {
        let mut request = Request::new();
        let head = request.head_mut();
        head.uri = Uri::from_static(path);
        let agent = HeaderValue::from_static("bench/1.0");
        head.headers.insert(USER_AGENT, agent);
        if let Some(cookie) = cookie {
            let cookie = HeaderValue::from_str(cookie).expect("the cookie is well-formed");
            head.headers.insert(COOKIE, cookie);
        }
        request
    }

    async fn send(app: &mut Application, request: Request) -> ServiceResponse {
        (app.0)(request).await.expect("no middleware fails")
    }

    fn set_cookie(response: &ServiceResponse) -> Option<&str> {
        response.headers().get(SET_COOKIE)?.to_str().ok()
    }
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(session: Session) -> Result<&'static str, Error> {
    Ok(super::read(&session)?)
}

async fn write(session: Session) -> Result<&'static str, Error> {
    Ok(super::write(&session)?)
}

async fn fill(size: Path<String>, session: Session) -> Result<&'static str, Error> {
    Ok(super::fill(&session, &size)?)
}
