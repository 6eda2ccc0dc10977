//! A new password signs out everywhere but here.

use axum::extract::State;
use axum::routing::post;
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::SessionManager;
use session_kit::axum::{Error, Session};

use crate::step_up::JustSignedIn;

#[derive(Deserialize)]
struct NewPassword {
    password: String,
}

async fn change_password(
    State(sessions): State<SessionManager>,
    JustSignedIn(user): JustSignedIn,
    session: Session,
    Form(new): Form<NewPassword>,
) -> Result<String, Error> {
    // First the password: whoever knows the old one must not come back in between.
    store_password(user.as_str(), &new.password).await;
    let ended = sessions.revoke_owner(&user, session.id().as_ref()).await?;
    // And a copy of this one's cookie is worth nothing any more.
    session.renew();
    Ok(format!("signed out elsewhere: {ended}\n"))
}

/// Stands in for the database.
async fn store_password(_user: &str, _password: &str) {}

/// The form's target.
pub fn routes() -> Router<SessionManager> {
    Router::new().route("/account/password", post(change_password))
}
