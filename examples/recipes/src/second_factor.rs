//! A password, then a code.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use serde::{Deserialize, Serialize};
use session_kit::axum::{Error, Session};
use session_kit::{Key, Owner, SessionManager, Timestamp};

/// Whose password was right, and who has not given the code yet.
#[derive(Serialize, Deserialize)]
struct Pending {
    user: String,
    tries: u8,
    since: Timestamp,
}

const PENDING: Key<Pending> = Key::new("second_factor");
const TRIES_MAX: u8 = 5;
/// The password may be another one tomorrow.
const PENDING_MAX: Duration = Duration::from_secs(5 * 60);

async fn password(
    State(sessions): State<SessionManager>,
    session: Session,
    Form(form): Form<Credentials>,
) -> Result<Response, Error> {
    if !is_password_of(&form.name, &form.password) {
        return Ok((StatusCode::FORBIDDEN, "wrong name or password\n").into_response());
    }
    // Whoever had this session's token before has not given the password.
    session.renew();
    let pending = Pending {
        user: form.name,
        tries: 0,
        since: sessions.now(),
    };
    session.insert(PENDING, pending)?;
    Ok(Redirect::to("/code").into_response())
}

async fn code(
    State(sessions): State<SessionManager>,
    session: Session,
    Form(form): Form<Code>,
) -> Result<Response, Error> {
    let now = sessions.now();
    // Counted and stored before the code is looked at: many requests at once try no more often.
    let pending = session
        .transact(|s| {
            let Some(mut pending) = s.take(PENDING)? else {
                return Ok(None);
            };
            if now.since(pending.since) > PENDING_MAX {
                return Ok(None);
            }
            pending.tries += 1;
            let user = pending.user.clone();
            if pending.tries < TRIES_MAX {
                s.insert(PENDING, pending)?;
            }
            Ok(Some(user))
        })
        .await?;
    let Some(user) = pending else {
        return Ok(Redirect::to("/password").into_response());
    };
    if !is_code_of(&user, &form.code) {
        return Ok((StatusCode::FORBIDDEN, "wrong code\n").into_response());
    }
    session.remove(PENDING);
    session.login(Owner::new(user)?);
    Ok(Redirect::to("/").into_response())
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// Stands in for a look at the database and a password hash such as Argon2.
fn is_password_of(name: &str, password: &str) -> bool {
    [("ada", "lovelace"), ("grace", "hopper")].contains(&(name, password))
}

/// Stands in for a check by time, as `totp-rs` does it.
fn is_code_of(user: &str, code: &str) -> bool {
    [("ada", "1815"), ("grace", "1906")].contains(&(user, code))
}

/// The two steps.
pub fn routes() -> Router<SessionManager> {
    Router::new()
        .route("/password", post(password))
        .route("/code", post(code))
}
