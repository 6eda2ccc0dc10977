//! The application under test, and a visitor of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response, header};
use axum::routing::{get, post};
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::{SessionConfig, SessionManager, Store};
use tower_service::Service;

/// An application that counts.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
    midway: Midway,
}

/// What is to happen once a request has loaded its session and has not yet written it.
#[derive(Clone, Default)]
struct Midway {
    event: Arc<Mutex<Option<Event>>>,
    is_over: Arc<AtomicBool>,
}

type Event = Box<dyn FnOnce() + Send>;

impl Midway {
    fn happen(&self) {
        let event = self.event.lock().unwrap().take();
        if let Some(event) = event {
            event();
            self.is_over.store(true, Ordering::SeqCst);
        }
    }
}

impl App {
    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        let config = SessionConfig::builder().store_timeout(STORE_TIMEOUT);
        let manager = SessionManager::new(store, config.build().unwrap());
        let midway = Midway::default();
        let router = Router::new()
            .route("/add", post(add))
            .route("/fill", post(fill))
            .route("/logout", post(logout))
            .route("/n", get(n))
            .route("/plain", get(async || "no session"))
            .layer(SessionLayer::new(manager))
            .with_state(midway.clone());
        Self { router, midway }
    }

    /// `event` happens in the next addition or logout, between its load and its write.
    pub(crate) fn midway(&self, event: impl FnOnce() + Send + 'static) {
        self.midway.is_over.store(false, Ordering::SeqCst);
        *self.midway.event.lock().unwrap() = Some(Box::new(event));
    }

    /// Whether it has.
    pub(crate) fn midway_is_over(&self) -> bool {
        self.midway.is_over.load(Ordering::SeqCst)
    }

    pub(crate) async fn send(&self, method: &str, path: &str, cookie: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::empty()).unwrap();
        Answer::of(self.router.clone().call(request).await.unwrap()).await
    }

    /// A route without a session is served whatever the store does.
    pub(crate) async fn answers_where_no_session_is(&self) {
        let answer = self.send("GET", "/plain", Some("__Host-id=anything")).await;
        assert_eq!((answer.status, &*answer.body), (200, "no session"));
    }
}

async fn add(State(midway): State<Midway>, session: Session) -> Result<String, Error> {
    let sum = session.transact(move |s| {
        let n = s.get::<u64>("n")?.unwrap_or(0) + 1;
        s.insert("n", n)?;
        midway.happen();
        Ok(n)
    });
    Ok(sum.await?.to_string())
}

/// Stores what no server can compress, so that it is full soon.
async fn fill(session: Session) -> Result<&'static str, Error> {
    let mut state = std::process::id();
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + ((state >> 24) % 64) as u8).to_string()
    });
    let noise: String = noise.take(200_000).collect();
    session.insert("noise", noise.replace('"', "'"))?;
    session.save().await?;
    Ok("filled")
}

async fn logout(State(midway): State<Midway>, session: Session) -> &'static str {
    session.logout();
    midway.happen();
    "signed out"
}

async fn n(session: Session) -> Result<String, Error> {
    let n = session.get::<u64>("n")?;
    Ok(n.map_or("none".to_owned(), |n| n.to_string()))
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The cookie as it is to be sent back.
    pub(crate) cookie: Option<String>,
    retry_after: Option<String>,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let header = |name| {
            let value = head.headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let pair = |cookie: String| cookie.split(';').next().unwrap_or_default().to_owned();
        Self {
            status: head.status.as_u16(),
            body: String::from_utf8(body.to_vec()).unwrap(),
            cookie: header(header::SET_COOKIE).map(pair),
            retry_after: header(header::RETRY_AFTER),
        }
    }

    pub(crate) fn is_outage(&self) -> bool {
        if self.status != 503 {
            return false;
        }
        let seconds = self.retry_after.as_deref().map(str::parse::<u32>);
        assert!(matches!(seconds, Some(Ok(1..))), "{self:?}");
        assert_eq!(self.cookie, None, "an outage changes no cookie");
        true
    }
}

/// Short, for the tests' sake. A busy machine may take longer for a request that nothing hinders,
/// so no test takes a 503 before or after an outage for a mistake.
const STORE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long anything may take to come right.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
