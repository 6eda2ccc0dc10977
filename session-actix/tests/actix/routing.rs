//! Applications, scopes and resources with layers of their own.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Condition, DefaultHeaders, Next, from_fn};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Data, get, post, resource, scope, to};
use actix_web::{App, FromRequest, HttpResponse, guard};
use session_actix::{Error, Session, SessionLayer};
use session_core::conformance::Counts;
use session_core::conformance::http::{Probe, Step};
use session_core::{MemoryStore, SessionConfig, SessionManager};

use crate::world::{add, adding, send, stored, with_cookie, world};

#[tokio::test]
async fn layers_may_stand_on_applications_scopes_and_resources() {
    let (spy, manager) = world();
    let layer = || SessionLayer::new(manager.clone());
    let inner = || resource("/inner").to(adding);
    let everywhere = App::new()
        .wrap(layer())
        .route("/outer", to(adding))
        .service(scope("/api").service(inner()));
    let below = App::new()
        .route("/outer", to(adding))
        .service(scope("/api").wrap(layer()).service(inner()));
    let nested = App::new()
        .route("/outer", to(adding))
        .service(scope("/api").service(scope("").wrap(layer()).service(inner())));
    let both = App::new()
        .wrap(layer())
        .route("/outer", to(adding))
        .service(scope("/api").wrap(layer()).service(inner()));
    let one = App::new().service(
        scope("/api")
            .service(resource("/outer").wrap(layer()).to(adding))
            .service(inner()),
    );
    let four = App::new().wrap(layer()).wrap(layer()).service(
        scope("/api")
            .wrap(layer())
            .service(resource("/inner").wrap(layer()).to(adding)),
    );
    let (everywhere, below) = (init_service(everywhere).await, init_service(below).await);
    let (nested, both) = (init_service(nested).await, init_service(both).await);
    let (one, four) = (init_service(one).await, init_service(four).await);
    let look = async |name: &str, reply: crate::world::Reply, status: u16| {
        assert_eq!(reply.status, status, "{name} {reply:?}");
        assert_eq!(spy.counts().creates, u64::from(status == 200), "{name}");
        let vary = usize::from(status == 200);
        assert_eq!(reply.headers.get_all("vary").count(), vary, "{name}");
        spy.reset();
        reply.cookie()
    };
    macro_rules! check {
        ($($app:ident $path:literal $status:literal)*) => {$(
            let name = concat!(stringify!($app), " ", $path);
            let reply = send(&$app, TestRequest::with_uri($path)).await;
            let cookie = look(name, reply, $status).await;
            if $status == 200 {
                let reply = send(&$app, with_cookie($path, &cookie)).await;
                assert_eq!(reply.short(), (200, "2"), "{name}");
                assert_eq!((spy.counts().loads, spy.counts().updates), (1, 1), "{name}");
                spy.reset();
            }
        )*};
    }
    check! {
        everywhere "/outer" 200
        everywhere "/api/inner" 200
        below "/outer" 500
        below "/api/inner" 200
        nested "/outer" 500
        nested "/api/inner" 200
        both "/outer" 200
        both "/api/inner" 200
        one "/api/outer" 200
        one "/api/inner" 500
        four "/api/inner" 200
    }
}

#[tokio::test]
async fn t2_what_no_route_takes_costs_nothing() {
    let (spy, manager) = world();
    let app = App::new()
        .wrap(SessionLayer::new(manager))
        .service(
            resource("/guarded")
                .guard(guard::Header("x-key", "open"))
                .to(adding),
        )
        .service(scope("/api").default_service(to(HttpResponse::NotFound)))
        .route("/get", get().to(adding));
    let app = init_service(app).await;
    let cookie = "__Host-sid=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let post = |path| with_cookie(path, cookie).method(Method::POST);
    for path in ["/nowhere", "/guarded", "/api/nowhere", "/get"] {
        let reply = send(&app, post(path)).await;
        assert!([404, 405].contains(&reply.status), "{path} {reply:?}");
        assert_eq!((&*reply.cookie(), reply.header("vary")), ("", ""), "{path}");
    }
    assert_eq!(spy.counts(), Counts::default());
    let reply = send(&app, post("/guarded").insert_header(("x-key", "open"))).await;
    assert_eq!(reply.short(), (200, "1"));
}

#[tokio::test]
async fn a_default_service_may_have_a_session_and_so_may_a_head_request() {
    let (_, manager) = world();
    let lost = async |session: Session| {
        let n = add(&session).await?;
        Ok::<_, Error>(HttpResponse::NotFound().body(n.to_string()))
    };
    let app = App::new()
        .wrap(SessionLayer::new(manager))
        .route("/", actix_web::web::head().to(adding))
        .default_service(to(lost));
    let app = init_service(app).await;
    let first = send(&app, TestRequest::with_uri("/lost")).await;
    assert_eq!(first.short(), (404, "1"));
    let cookie = first.cookie();
    let head = with_cookie("/", &cookie).method(Method::HEAD);
    assert_eq!(send(&app, head).await.status, 200);
    let again = send(&app, with_cookie("/lost", &cookie)).await;
    assert_eq!(again.short(), (404, "3"));
}

#[tokio::test]
async fn data_of_applications_and_scopes_stay_where_they_are() {
    let (_, manager) = world();
    let show = async |session: Session, number: Data<u64>, text: Option<Data<String>>| {
        let n = add(&session).await?;
        let text = text.map_or_else(String::new, |text| text.to_string());
        Ok::<_, Error>(format!("{n} {} {text}", **number))
    };
    let app = App::new()
        .app_data(Data::new(7_u64))
        .wrap(SessionLayer::new(manager.clone()))
        .route("/", to(show))
        .service(
            scope("/api")
                .app_data(Data::new(String::from("scoped")))
                .wrap(SessionLayer::new(manager))
                .route("/{rest}", to(show)),
        );
    let app = init_service(app).await;
    let reply = send(&app, TestRequest::default()).await;
    assert_eq!(reply.body, "1 7 ");
    let reply = send(&app, with_cookie("/api/x", &reply.cookie())).await;
    assert_eq!(reply.body, "2 7 scoped");
}

#[tokio::test]
async fn bodies_of_every_type_pass_and_a_layer_may_be_conditional() {
    async fn changed(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<String>, actix_web::Error> {
        let response = next.call(request).await?;
        Ok(response.map_body(|_, _| String::from("another body")))
    }
    let (_, manager) = world();
    let layer = || SessionLayer::new(manager.clone());
    let app = App::new()
        .wrap(Condition::new(true, layer()))
        .wrap(DefaultHeaders::new().add(("x-outer", "1")))
        .service(
            resource("/changed")
                .wrap(layer())
                .wrap(from_fn(changed))
                .wrap(layer())
                .to(adding),
        )
        .route(
            "/plain",
            to(async |_: Session| HttpResponse::Ok().body("plain")),
        )
        .route(
            "/typed",
            to(async |session: Session| {
                session.insert("typed", 1)?;
                Ok::<_, Error>(
                    HttpResponse::Ok()
                        .message_body(String::from("typed"))
                        .unwrap(),
                )
            }),
        );
    let app = init_service(app).await;
    for (path, body, sets) in [
        ("/changed", "another body", true),
        ("/plain", "plain", false),
        ("/typed", "typed", true),
    ] {
        let reply = send(&app, TestRequest::with_uri(path)).await;
        assert_eq!(reply.short(), (200, body));
        assert_eq!(!reply.cookie().is_empty(), sets, "{path}");
        assert_eq!(reply.header("x-outer"), "1");
    }
    let off = App::new()
        .wrap(Condition::new(false, layer()))
        .route("/", post().to(adding));
    let off = init_service(off).await;
    assert_eq!(send(&off, TestRequest::post()).await.status, 500);
}

#[tokio::test]
async fn two_managers_give_a_request_two_sessions() {
    /// Stands between the layers, and asks before and after.
    async fn between(
        mut request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
        let before = request.extract::<Session>().await?;
        let response = next.call(request).await?;
        let after = <Session>::extract(response.request()).await?;
        assert_eq!(
            after.id(),
            before.id(),
            "the inner layer's is not for outside"
        );
        after.insert("between", 1).map_err(Error::from)?;
        Ok(response)
    }
    let (_, app_sessions) = world();
    let config = SessionConfig::builder().cookie_name("__Host-admin");
    let admin = SessionManager::new(MemoryStore::new(), config.build().unwrap());
    let app = App::new()
        .wrap(SessionLayer::new(app_sessions.clone()))
        .route("/app", to(adding))
        .service(
            scope("/quiet")
                .wrap(SessionLayer::new(admin.clone()))
                .route("", to(adding)),
        )
        .service(
            scope("/admin")
                .wrap(SessionLayer::new(admin.clone()))
                .wrap(from_fn(between))
                .route("", to(adding)),
        );
    let app = init_service(app).await;
    let cookie = send(&app, TestRequest::with_uri("/app")).await.cookie();
    assert!(cookie.starts_with("__Host-sid="), "{cookie}");
    let admin_cookie = send(&app, with_cookie("/quiet", &cookie)).await.cookie();
    assert!(admin_cookie.starts_with("__Host-admin="), "{admin_cookie}");
    let both = format!("{cookie}; {admin_cookie}");
    let reply = send(&app, with_cookie("/admin", &both)).await;
    assert_eq!((reply.short(), &*reply.cookie()), ((200, "2"), ""));
    assert_eq!(send(&app, with_cookie("/app", &both)).await.body, "2");
    assert_eq!((stored(&app_sessions).await, stored(&admin).await), (1, 1));
}

#[tokio::test]
async fn one_request_has_one_exchange_of_a_manager_whatever_stands_between() {
    /// Stands inside of the outer layer and asks before and after.
    async fn between(
        mut request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
        let session = request.extract::<Session>().await?;
        session.insert("before", 1).map_err(Error::from)?;
        let response = next.call(request).await?;
        let after = <Session>::extract(response.request()).await?;
        after.insert("after", 1).map_err(Error::from)?;
        Ok(response)
    }
    let ((store, a), (other, b)) = (world(), world());
    let layer = |of: &SessionManager| SessionLayer::new(of.clone());
    let app = App::new().service(
        resource("/")
            .wrap(layer(&a))
            .wrap(layer(&b))
            .wrap(from_fn(between))
            .wrap(layer(&a))
            .to(adding),
    );
    let app = init_service(app).await;
    let cookie = send(&app, TestRequest::with_uri("/")).await.cookie();
    // The second is of what was done after the handler had committed.
    let once = Counts {
        creates: 1,
        updates: 1,
        ..Counts::default()
    };
    assert_eq!((store.counts(), other.counts()), (once, Counts::default()));
    let probe = init_service(crate::probe_app::app(Probe::new(a))).await;
    let keys = crate::world::call(&probe, "/eager", &cookie, &[Step::Keys]).await;
    assert_eq!(keys.body, r#"[["before","n","after"]]"#);
}
