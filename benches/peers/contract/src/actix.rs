//! Programs under actix-web.

use std::pin::Pin;
use std::process::ExitCode;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{COOKIE, HeaderValue, LOCATION, SET_COOKIE, USER_AGENT};
use actix_web::test::init_service;
use actix_web::web::{ServiceConfig, get, post};
use actix_web::{App, HttpResponse, HttpServer};
use tokio::runtime::Runtime;

use crate::measured::{self, Application};
use crate::{Options, Refused};

/// Runs a program; `start` opens its store and calls [`run`].
pub fn main(start: impl FnOnce(&Options) -> Result<(), Refused>) -> ExitCode {
    match start(&Options::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Serves or measures the application that `factory` makes of what `open` opens.
///
/// # Errors
///
/// The store cannot be opened, or the address is taken.
pub fn run<S, T, B>(
    options: &Options,
    open: impl Future<Output = Result<S, Refused>>,
    factory: impl Fn(&S) -> App<T> + Clone + Send + 'static,
) -> Result<(), Refused>
where
    S: Clone + Send + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    if options.measure {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let store = runtime.block_on(open)?;
        let own = application(&runtime, factory(&store));
        let bare = application(&runtime, App::new().configure(bare));
        measured::measure(&runtime, own, bare, options.quick);
        return Ok(());
    }
    actix_web::rt::System::new().block_on(async {
        let store = open.await?;
        let server = HttpServer::new(move || factory(&store)).bind(options.bind)?;
        for address in server.addrs() {
            println!("listening on http://{address}");
        }
        Ok(server.run().await?)
    })
}

/// The routes without sessions.
pub fn bare(config: &mut ServiceConfig) {
    config
        .route("/plain", get().to(ok))
        .route("/peek", get().to(async || "0"))
        .route("/count", get().to(async || "1"))
        .route("/login", post().to(async || to_page()))
        .route("/logout", post().to(async || to_page()))
        .route("/healthz", get().to(ok))
        .route("/read", get().to(ok))
        .route("/write", get().to(ok));
}

/// `/plain` and `/healthz`.
pub async fn ok() -> &'static str {
    "ok"
}

/// After a form was sent.
#[must_use]
pub fn to_page() -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, "/"))
        .finish()
}

/// An application; its type has no name.
struct Called(Box<dyn Fn(Request) -> Answering>);

type Answering = Pin<Box<dyn Future<Output = Result<ServiceResponse, actix_web::Error>>>>;

fn application<T, B>(runtime: &Runtime, app: App<T>) -> Called
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let service = runtime.block_on(init_service(app));
    Called(Box::new(move |request| {
        let answering = service.call(request);
        Box::pin(async { Ok(answering.await?.map_into_boxed_body()) })
    }))
}

impl Application for Called {
    type Request = Request;
    type Response = ServiceResponse;

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

    async fn send(&mut self, request: Request) -> ServiceResponse {
        (self.0)(request).await.expect("no middleware fails")
    }

    fn cookie(response: &ServiceResponse) -> String {
        let set = response.headers().get_all(SET_COOKIE);
        let pairs = set.filter_map(|value| value.to_str().ok()?.split(';').next());
        pairs.collect::<Vec<_>>().join("; ")
    }
}
