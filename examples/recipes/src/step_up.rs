//! Only for those who gave their password a short while ago.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use session_kit::axum::Session;
use session_kit::{Owner, SessionManager};

use crate::return_to::sign_in_first;

const FRESH: Duration = Duration::from_secs(10 * 60);

/// Who signed in within the last ten minutes.
pub(crate) struct JustSignedIn(pub(crate) Owner);

impl<S: Sync> FromRequestParts<S> for JustSignedIn
where
    SessionManager: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = <Session>::from_request_parts(parts, state).await;
        let session = session.map_err(IntoResponse::into_response)?;
        let now = SessionManager::from_ref(state).now();
        let is_fresh = |at| now.since(at) <= FRESH;
        match session.owner() {
            Some(owner) if session.created_at().is_some_and(is_fresh) => Ok(Self(owner)),
            _ => Err(sign_in_first(parts).await),
        }
    }
}

async fn keys(JustSignedIn(user): JustSignedIn) -> String {
    format!("the keys of {user}\n")
}

/// A page that asks for the password again.
pub fn routes() -> Router<SessionManager> {
    Router::new().route("/keys", get(keys))
}
