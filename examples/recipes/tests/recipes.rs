//! The recipes do what the page says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE,
    USER_AGENT,
};
use axum::http::{Request, Response};
use axum::routing::{get, post};
use recipes::oidc::Provider;
use recipes::user::{AppState, User, Users};
use recipes::{layers, oidc, password, return_to, second_factor, step_up, tenants, token, user};
use session_kit::axum::{Session, SessionLayer};
use session_kit::{Clock, ManualClock, MemoryStore, Owner, SessionConfig, SessionManager};
use tower::ServiceExt;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn sessions(hands: &ManualClock) -> Outcome<SessionManager> {
    let config = SessionConfig::builder()
        .clock(Clock::manual(hands))
        .build()?;
    Ok(SessionManager::new(MemoryStore::new(), config))
}

fn now() -> ManualClock {
    ManualClock::at_unix_ms(1_764_000_000_000)
}

/// All pages, and one that says who is signed in.
fn app(sessions: &SessionManager) -> Router {
    let ada = User {
        id: 17,
        name: "Ada".to_owned(),
    };
    let state = AppState {
        users: Users(Arc::new(HashMap::from([(17, ada)]))),
        sessions: sessions.clone(),
    };
    let who = async |session: Session| match session.owner() {
        Some(owner) => owner.to_string(),
        None => "nobody".to_owned(),
    };
    let nested = step_up::routes().with_state(sessions.clone());
    Router::new()
        .route("/", get(who))
        .merge(return_to::routes())
        .merge(second_factor::routes().with_state(sessions.clone()))
        .merge(oidc::routes().with_state(Provider))
        .merge(step_up::routes().with_state(sessions.clone()))
        .merge(password::routes().with_state(sessions.clone()))
        .merge(user::routes().with_state(state))
        .merge(tenants::routes())
        .nest("/admin", nested)
        .layer(SessionLayer::new(sessions.clone()))
}

/// The cookie of a client who is signed in.
async fn signed_in(sessions: &SessionManager, owner: &str) -> Outcome<String> {
    let new = sessions.begin(None, None)?;
    new.login(Owner::new(owner)?);
    let token = new.issue().await?.token;
    Ok(format!("{}={token}", sessions.config().cookie_name()))
}

/// A browser: keeps the cookie that it is given.
struct Client {
    app: Router,
    cookie: String,
}

impl Client {
    fn of(app: &Router, cookie: &str) -> Self {
        Self {
            app: app.clone(),
            cookie: cookie.to_owned(),
        }
    }

    async fn send(&mut self, request: Request<Body>) -> Outcome<(u16, String)> {
        let response = self.app.clone().oneshot(request).await?;
        if let Some(cookie) = header(&response, SET_COOKIE) {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        let status = response.status().as_u16();
        let said = match header(&response, LOCATION) {
            Some(location) => location,
            None => {
                let body = to_bytes(response.into_body(), 4096).await?;
                String::from_utf8(body.to_vec())?
            }
        };
        Ok((status, said))
    }

    /// The status, and where it leads or else what it says.
    async fn get(&mut self, path: &str) -> Outcome<(u16, String)> {
        let request = Request::get(path).header(COOKIE, &self.cookie);
        self.send(request.body(Body::empty())?).await
    }

    async fn post(&mut self, path: &str, form: &'static str) -> Outcome<(u16, String)> {
        let request = Request::post(path)
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form))?).await
    }
}

fn header(response: &Response<Body>, name: axum::http::HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("visible text").to_owned())
}

fn said(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[tokio::test]
async fn the_keys_are_shown_for_ten_minutes() -> Outcome {
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let sessions = sessions(&hands)?;
    let app = app(&sessions);

    let new = sessions.begin(None, None)?;
    new.login(Owner::new("ada")?);
    let token = new.issue().await?.token;
    let cookie = format!("{}={token}", sessions.config().cookie_name());

    let request = || Request::get("/keys").header(COOKIE, &cookie);
    let response = app.clone().oneshot(request().body(Body::empty())?).await?;
    assert_eq!(response.status(), 200);
    hands.advance(Duration::from_secs(11 * 60));
    let response = app.clone().oneshot(request().body(Body::empty())?).await?;
    assert_eq!(response.headers()["location"], "/login?next=%2Fkeys");
    Ok(())
}

#[tokio::test]
async fn after_the_password_page_follows_what_was_asked_for() -> Outcome {
    let hands = now();
    let sessions = sessions(&hands)?;
    let app = app(&sessions);
    let mut ada = Client::of(&app, &signed_in(&sessions, "ada").await?);
    hands.advance(Duration::from_secs(11 * 60));
    let login = "/login?next=%2Fadmin%2Fkeys%3Fa%3Db%26c";
    assert_eq!(ada.get("/admin/keys?a=b&c").await?, said(303, login));
    let old = ada.cookie.clone();
    let form = "name=ada&password=lovelace";
    assert_eq!(ada.post(login, form).await?, said(303, "/admin/keys?a=b&c"));
    assert_ne!(ada.cookie, old);
    assert_eq!(ada.get("/keys").await?, said(200, "the keys of ada\n"));

    let away = "/login?next=%2F%09%2Fevil.example";
    assert_eq!(ada.post(away, form).await?, said(303, "/"));
    let wrong = ada.post(login, "name=ada&password=b").await?;
    assert_eq!(wrong, said(403, "wrong name or password\n"));
    Ok(())
}

#[tokio::test]
async fn nobody_is_signed_in_before_the_second_factor() -> Outcome {
    let hands = now();
    let app = app(&sessions(&hands)?);
    let mut ada = Client::of(&app, "");
    let form = "name=ada&password=lovelace";
    assert_eq!(ada.post("/password", form).await?, said(303, "/code"));
    assert_eq!(ada.get("/").await?, said(200, "nobody"));
    let wrong = ada.post("/code", "code=1").await?;
    assert_eq!(wrong, said(403, "wrong code\n"));
    let half_way = ada.cookie.clone();
    assert_eq!(ada.post("/code", "code=1815").await?, said(303, "/"));
    assert_eq!(ada.get("/").await?, said(200, "ada"));
    assert_ne!(ada.cookie, half_way);

    // The password again, which replaces the secret, and no try left after five.
    ada.post("/password", form).await?;
    for _ in 0..5 {
        assert_eq!(ada.post("/code", "code=1").await?.0, 403);
    }
    let late = ada.post("/code", "code=1815").await?;
    assert_eq!(late, said(303, "/password"));

    // Whose password was right once may come with another one's code after it was changed.
    ada.post("/password", form).await?;
    hands.advance(Duration::from_secs(5 * 60 + 1));
    let late = ada.post("/code", "code=1815").await?;
    assert_eq!(late, said(303, "/password"));
    Ok(())
}

#[tokio::test]
async fn an_answer_of_the_provider_signs_in_once() -> Outcome {
    let app = app(&sessions(&now())?);
    let mut ada = Client::of(&app, "");
    let refused = said(400, "please sign in again\n");
    let (status, address) = ada.get("/oidc").await?;
    assert_eq!(status, 303);
    let state = address.split_once("state=").expect("the address has it").1;
    let answer = format!("/oidc/callback?code=code-of-ada&state={state}");
    let mut stranger = Client::of(&app, "");
    assert_eq!(stranger.get(&answer).await?, refused);
    assert_eq!(ada.get(&answer).await?, said(303, "/"));
    assert_eq!(ada.get("/").await?, said(200, "ada"));
    assert_eq!(ada.get(&answer).await?, refused);

    let mut grace = Client::of(&app, "");
    grace.get("/oidc").await?;
    let forged = "/oidc/callback?code=code-of-ada&state=made-up";
    assert_eq!(grace.get(forged).await?, refused);
    assert_eq!(grace.get("/").await?, said(200, "nobody"));
    Ok(())
}

#[tokio::test]
async fn the_user_is_read_where_it_is_asked_for() -> Outcome {
    let sessions = sessions(&now())?;
    let app = app(&sessions);
    let mut ada = Client::of(&app, &signed_in(&sessions, "17").await?);
    assert_eq!(ada.get("/account").await?, said(200, "Ada, number 17\n"));
    let mut gone = Client::of(&app, &signed_in(&sessions, "18").await?);
    assert_eq!(gone.get("/").await?, said(200, "18"));
    let login = said(303, "/login?next=%2Faccount");
    assert_eq!(gone.get("/account").await?, login);
    assert!(sessions.sessions_of(&Owner::new("18")?).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_cookie_of_one_tenant_opens_nothing_at_another() -> Outcome {
    let app = app(&sessions(&now())?);
    let mut ada = Client::of(&app, "");
    let at = |host| Request::builder().header(HOST, host);
    let login = at("acme.example").method("POST").uri("/desk/login");
    ada.send(login.body(Body::from("ada"))?).await?;
    let cookie = ada.cookie.clone();
    let desk = |host| at(host).uri("/desk").header(COOKIE, &cookie);
    let here = ada.send(desk("acme.example").body(Body::empty())?).await?;
    assert_eq!(here, said(200, "ada at acme\n"));
    let there = desk("umbrella.example").body(Body::empty())?;
    assert_eq!(ada.send(there).await?, said(401, "please sign in\n"));
    let nowhere = desk("other.example").body(Body::empty())?;
    assert_eq!(ada.send(nowhere).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_new_password_signs_out_everywhere_but_here() -> Outcome {
    let sessions = sessions(&now())?;
    let app = app(&sessions);
    let mut phone = Client::of(&app, &signed_in(&sessions, "ada").await?);
    let mut laptop = Client::of(&app, &signed_in(&sessions, "ada").await?);
    let mut copy = Client::of(&app, &laptop.cookie);
    let changed = laptop.post("/account/password", "password=new").await?;
    assert_eq!(changed, said(200, "signed out elsewhere: 1\n"));
    assert_eq!(phone.get("/").await?, said(200, "nobody"));
    assert_eq!(copy.get("/").await?, said(200, "nobody"));
    assert_eq!(laptop.get("/").await?, said(200, "ada"));
    Ok(())
}

#[tokio::test]
async fn a_login_answers_with_a_token_that_opens_its_session() -> Outcome {
    let hands = now();
    let config = token::config().clock(Clock::manual(&hands)).build()?;
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let peer = MockConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711)));
    let app = token::routes(sessions.clone()).layer(peer);
    let login = async |password: &str| {
        let body = format!(r#"{{"name":"ada","password":"{password}"}}"#);
        let request = Request::post("/api/login")
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "an app");
        app.clone()
            .oneshot(request.body(Body::from(body))?)
            .await
            .map_err(Box::<dyn std::error::Error>::from)
    };
    assert_eq!(login("wrong").await?.status(), 403);
    let ada = Owner::new("ada")?;
    assert!(sessions.sessions_of(&ada).await?.is_empty());

    let answer = login("lovelace").await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, CACHE_CONTROL).as_deref(), Some("no-store"));
    assert_eq!(header(&answer, SET_COOKIE), None);
    let body = to_bytes(answer.into_body(), 4096).await?;
    let body = String::from_utf8(body.to_vec())?;
    let token = body
        .strip_prefix(r#"{"token":""#)
        .and_then(|rest| rest.strip_suffix(r#""}"#));
    let bearer = format!("Bearer {}", token.expect("the body has the token alone"));
    let devices = sessions.sessions_of(&ada).await?;
    assert_eq!(devices[0].address, Some("192.0.2.7".parse()?));
    assert_eq!(devices[0].agent.as_deref(), Some("an app"));

    let send = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(AUTHORIZATION, &bearer).body(Body::empty());
        app.clone().oneshot(request.expect("the request is whole"))
    };
    hands.advance(Duration::from_secs(29 * 86_400));
    assert_eq!(send("GET", "/api/account").await?.status(), 200);
    hands.advance(Duration::from_secs(29 * 86_400));
    assert_eq!(send("POST", "/api/logout").await?.status(), 204);
    assert_eq!(send("GET", "/api/account").await?.status(), 401);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_layer_sees_what_those_inside_of_it_answer() -> Outcome {
    let sessions = sessions(&now())?;
    let slow = async |session: Session| -> Result<(), session_kit::axum::Error> {
        session.insert("n", 1)?;
        std::future::pending().await
    };
    let routes = Router::new()
        .route("/slow", get(slow))
        .route("/pay", post(async || "paid"));
    let app = layers::layered(routes, sessions)?;

    let front_end = Request::get("/slow").header(ORIGIN, "https://app.example.com");
    let cut_off = app.clone().oneshot(front_end.body(Body::empty())?).await?;
    assert_eq!(cut_off.status(), 408);
    assert_eq!(header(&cut_off, SET_COOKIE), None);
    let allowed = &cut_off.headers()["access-control-allow-origin"];
    assert_eq!(allowed, "https://app.example.com");

    let forged = Request::post("/pay").header("sec-fetch-site", "cross-site");
    let refused = app.oneshot(forged.body(Body::empty())?).await?;
    assert_eq!(refused.status(), 403);
    Ok(())
}

#[actix_web::test]
async fn under_actix_the_keys_are_shown_for_ten_minutes() -> Outcome {
    use actix_web::test::{TestRequest, call_service, init_service};
    use session_kit::http::CsrfGuard;

    let hands = now();
    let sessions = sessions(&hands)?;
    let app = recipes::under_actix::app(sessions.clone(), CsrfGuard::default());
    let app = init_service(app).await;
    let cookie = signed_in(&sessions, "ada").await?;
    let keys = || {
        TestRequest::get()
            .uri("/keys")
            .insert_header(("cookie", &*cookie))
    };
    let response = call_service(&app, keys().to_request()).await;
    assert_eq!(response.status(), 200);
    hands.advance(Duration::from_secs(11 * 60));
    let response = call_service(&app, keys().to_request()).await;
    assert_eq!(
        response.headers().get("location").unwrap(),
        "/login?next=%2Fkeys"
    );
    Ok(())
}
