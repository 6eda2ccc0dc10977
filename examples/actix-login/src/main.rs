//! Signing in and out under actix-web, staying signed in, and ending one's sessions on other
//! devices.
//!
//! `login` gives the client a new secret and binds the session to the user: a token that was
//! planted or stolen before is worth nothing after it. The user's sessions can then be listed
//! and ended, on whatever store the second argument names. `examples/axum-login` has the same
//! routes under axum.
//!
//! ```sh
//! cargo run -p actix-login -- 127.0.0.1:8080 file:./sessions
//! at=http://127.0.0.1:8080
//! curl -c laptop -b laptop -d 'name=ada&password=wrong' $at/login       # wrong name or password
//! curl -c laptop -b laptop -d 'name=ada&password=lovelace' $at/login    # hello ada
//! curl -c phone -b phone -d 'name=ada&password=lovelace&remember=on' $at/login
//! curl -b laptop $at/devices             # two lines, the latest used first; * is the laptop itself:
//!                                        #   ID_OF_PHONE, 1 s ago, curl/8.5.0
//!                                        # * ID_OF_LAPTOP, 2 s ago, curl/8.5.0
//! curl -b laptop -d id=ID_OF_PHONE $at/devices/revoke  # ended 1; of the laptop itself: goodbye
//! curl -b phone $at/                     # hello stranger
//! curl -b laptop -X POST $at/devices/revoke-others     # ended 0
//! curl -c laptop -b laptop -X POST $at/devices/revoke-all    # goodbye, everywhere
//! curl -b laptop $at/                    # hello stranger
//! ```

use std::error::Error as StdError;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use actix_web::dev::Payload;
use actix_web::error::ErrorUnauthorized;
use actix_web::web::{Data, Form, ServiceConfig, get, post};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, HttpServer};
use serde::Deserialize;
use session_kit::actix::{CsrfLayer, Error, Session, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{
    OnTooMany, Owner, SessionConfig, SessionConfigBuilder, SessionId, SessionManager, connect,
};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

#[cfg(test)]
mod tests;

/// Who is signed in. A handler that takes it is only for them: others are asked to sign in.
struct User(Owner);

impl FromRequest for User {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = <Session>::from_request(request, payload);
        Box::pin(async {
            let owner = session.await?.owner();
            owner
                .map(Self)
                .ok_or_else(|| ErrorUnauthorized("please sign in\n"))
        })
    }
}

async fn home(session: Session) -> String {
    match session.owner() {
        Some(user) => format!("hello {user}\n"),
        None => "hello stranger\n".to_owned(),
    }
}

/// How long those stay signed in who tick the box.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// Present when the box "stay signed in" is ticked.
    remember: Option<String>,
}

async fn login(session: Session, form: Form<Credentials>) -> Result<HttpResponse, Error> {
    if !is_password_of(&form.name, &form.password) {
        return Ok(HttpResponse::Forbidden().body("wrong name or password\n"));
    }
    session.login(Owner::new(&form.name)?);
    session.remember(form.remember.as_ref().map(|_| REMEMBERED))?;
    Ok(text(format!("hello {}\n", form.name)))
}

/// Stands in for a look at the database and a password hash such as Argon2.
fn is_password_of(name: &str, password: &str) -> bool {
    [("ada", "lovelace"), ("grace", "hopper")].contains(&(name, password))
}

async fn logout(session: Session) -> &'static str {
    session.logout();
    "goodbye\n"
}

/// One line for each of the user's sessions, the present one marked with a `*`.
async fn devices(
    sessions: Data<SessionManager>,
    User(user): User,
    session: Session,
) -> Result<HttpResponse, Error> {
    let mut lines = String::new();
    for device in sessions.sessions_of(&user).await? {
        let here = session.id() == Some(device.id);
        let mark = if here { '*' } else { ' ' };
        let used = SystemTime::from(device.accessed_at);
        let ago = used.elapsed().unwrap_or_default().as_secs();
        let agent = device.agent.as_deref().unwrap_or("unknown");
        lines += &format!("{mark} {}, {ago} s ago, {agent}\n", device.id);
    }
    Ok(text(lines))
}

#[derive(Deserialize)]
struct Device {
    id: String,
}

/// Ends one of the user's sessions; somebody else's is out of reach.
async fn revoke(
    sessions: Data<SessionManager>,
    User(user): User,
    session: Session,
    device: Form<Device>,
) -> Result<HttpResponse, Error> {
    let Ok(id) = device.id.parse::<SessionId>() else {
        return Ok(HttpResponse::BadRequest().body("no such id\n"));
    };
    if session.id() == Some(id) {
        // One's own: a logout removes the cookie, too.
        session.logout();
        return Ok(text("goodbye\n".to_owned()));
    }
    let ended = sessions.revoke_of(&user, &id).await?;
    Ok(text(format!("ended {}\n", u8::from(ended))))
}

/// Ends the user's sessions on all other devices.
async fn revoke_others(
    sessions: Data<SessionManager>,
    User(user): User,
    session: Session,
) -> Result<HttpResponse, Error> {
    let ended = sessions.revoke_owner(&user, session.id().as_ref()).await?;
    Ok(text(format!("ended {ended}\n")))
}

/// Ends the user's sessions on all devices, this one included.
async fn revoke_all(
    sessions: Data<SessionManager>,
    User(user): User,
    session: Session,
) -> Result<HttpResponse, Error> {
    sessions.revoke_owner(&user, session.id().as_ref()).await?;
    session.logout();
    Ok(text("goodbye, everywhere\n".to_owned()))
}

/// As plain text: a user agent is whatever its client says, and must not become markup.
fn text(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(body)
}

fn config() -> SessionConfigBuilder {
    SessionConfig::builder()
        .timeout(Duration::from_secs(30 * 60))
        // A sixth device signs the one out that was used longest ago.
        .owner_sessions_max(5, OnTooMany::EndOldest)
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
}

fn routes(app: &mut ServiceConfig) {
    app.route("/", get().to(home))
        .route("/login", post().to(login))
        .route("/logout", post().to(logout))
        .route("/devices", get().to(devices))
        .route("/devices/revoke", post().to(revoke))
        .route("/devices/revoke-others", post().to(revoke_others))
        .route("/devices/revoke-all", post().to(revoke_all));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // Why a request failed is told here alone; stdout has the address.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .init();

    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let store = args.next().unwrap_or_else(|| "memory:".to_owned());

    // One manager: the closure below makes an application for each worker thread.
    let sessions = SessionManager::new(connect(&store).await?, config().build()?);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    // A form of another site could sign the visitor in as somebody else: browsers say where it is from.
    let guard = CsrfGuard::builder().headers_only(true).build()?;
    let app = move || {
        App::new()
            .app_data(Data::new(sessions.clone()))
            .wrap(CsrfLayer::new(guard.clone()))
            .wrap(SessionLayer::new(sessions.clone()))
            .configure(routes)
    };

    let server = HttpServer::new(app).bind(address)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    Ok(server.run().await?)
}
