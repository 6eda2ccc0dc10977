//! One application for many tenants, each under a host of its own.

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use session_kit::Owner;
use session_kit::axum::{Error, Session};

/// Whose host was asked.
#[derive(Clone, Copy, PartialEq)]
struct Tenant(&'static str);

/// A user of the tenant whose host was asked.
struct Member {
    tenant: Tenant,
    user: String,
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let tenant = Tenant::from_request_parts(parts, state).await?;
        let session = <Session>::from_request_parts(parts, state).await;
        let owner = session.map_err(IntoResponse::into_response)?.owner();
        // "acme/17" is 17 at acme, and nobody elsewhere.
        match owner
            .as_ref()
            .and_then(|owner| owner.as_str().split_once('/'))
        {
            Some((at, user)) if at == tenant.0 => Ok(Self {
                tenant,
                user: user.to_owned(),
            }),
            _ => Err((StatusCode::UNAUTHORIZED, "please sign in\n").into_response()),
        }
    }
}

/// Once the password is found to be right.
async fn login(session: Session, tenant: Tenant, user: String) -> Result<&'static str, Error> {
    session.login(Owner::new(format!("{}/{user}", tenant.0))?);
    Ok("hello\n")
}

async fn desk(member: Member) -> String {
    format!("{} at {}\n", member.user, member.tenant.0)
}

impl<S: Sync> FromRequestParts<S> for Tenant {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let host = match parts.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => parts.headers.get(HOST).and_then(|host| host.to_str().ok()),
        };
        // Stands in for a look at the application's table.
        match host {
            Some("acme.example") => Ok(Self("acme")),
            Some("umbrella.example") => Ok(Self("umbrella")),
            _ => Err(StatusCode::NOT_FOUND.into_response()),
        }
    }
}

/// The tenants' pages.
pub fn routes() -> Router {
    Router::new()
        .route("/desk", get(desk))
        .route("/desk/login", post(login))
}
