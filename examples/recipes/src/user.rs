//! The user, read from the application's database where a handler asks for it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use session_kit::SessionManager;
use session_kit::axum::Session;

use crate::return_to::sign_in_first;

/// A row of the application's.
#[derive(Clone)]
pub struct User {
    /// Its key.
    pub id: i64,
    /// What it is called.
    pub name: String,
}

impl<S: Sync> FromRequestParts<S> for User
where
    Users: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = <Session>::from_request_parts(parts, state).await;
        let session = session.map_err(IntoResponse::into_response)?;
        let Some(owner) = session.owner() else {
            return Err(sign_in_first(parts).await);
        };
        let found = match owner.as_str().parse() {
            Ok(id) => Users::from_ref(state).find(id).await,
            Err(_) => Ok(None),
        };
        match found {
            Ok(Some(user)) => Ok(user),
            Ok(None) => {
                // The user is gone, and so is the session, although the answer is no success.
                session.logout();
                Err(sign_in_first(parts).await)
            }
            Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        }
    }
}

async fn account(user: User) -> String {
    format!("{}, number {}\n", user.name, user.id)
}

/// Stands in for a pool of connections to a database.
#[derive(Clone)]
pub struct Users(pub Arc<HashMap<i64, User>>);

/// Why the database has no answer.
#[derive(Debug)]
struct NoAnswer;

impl Users {
    async fn find(&self, id: i64) -> Result<Option<User>, NoAnswer> {
        Ok(self.0.get(&id).cloned())
    }
}

/// What handlers and extractors can ask for.
#[derive(Clone)]
pub struct AppState {
    /// The users.
    pub users: Users,
    /// The sessions.
    pub sessions: SessionManager,
}

impl FromRef<AppState> for Users {
    fn from_ref(state: &AppState) -> Self {
        state.users.clone()
    }
}

impl FromRef<AppState> for SessionManager {
    fn from_ref(state: &AppState) -> Self {
        state.sessions.clone()
    }
}

/// A page of the user's.
pub fn routes() -> Router<AppState> {
    Router::new().route("/account", get(account))
}
