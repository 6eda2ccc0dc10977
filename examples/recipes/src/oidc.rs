//! Signing in at an identity provider, by OAuth 2.0 or OpenID Connect.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use session_kit::axum::{Error, Session};
use session_kit::{Key, Owner, SessionId};

/// What the provider's answer is held against.
#[derive(Serialize, Deserialize)]
struct Attempt {
    state: String,
    nonce: String,
    pkce_verifier: String,
}

const ATTEMPT: Key<Attempt> = Key::new("oidc");

async fn start(session: Session, State(provider): State<Provider>) -> Result<Redirect, Error> {
    let (address, attempt) = provider.begin()?;
    session.insert(ATTEMPT, attempt)?;
    Ok(Redirect::to(&address))
}

/// The query of the address that the provider sends back to.
#[derive(Deserialize)]
struct Answer {
    state: String,
    /// Absent when the user said no.
    code: Option<String>,
}

async fn callback(
    session: Session,
    State(provider): State<Provider>,
    Query(answer): Query<Answer>,
) -> Result<Response, Error> {
    let again = || (StatusCode::BAD_REQUEST, "please sign in again\n").into_response();
    // Taken and stored in one step: of two requests with one answer the first alone gets it.
    let attempt = session.transact(|s| s.take(ATTEMPT)).await?;
    let Some(attempt) = attempt.filter(|attempt| attempt.state == answer.state) else {
        return Ok(again());
    };
    let subject = match answer.code {
        Some(code) => provider.redeem(code, attempt).await,
        None => None,
    };
    let Some(subject) = subject else {
        return Ok(again());
    };
    session.login(Owner::new(subject)?);
    Ok(Redirect::to("/").into_response())
}

/// Stands in for a client of a crate such as `openidconnect`.
#[derive(Clone)]
pub struct Provider;

impl Provider {
    /// The address to send the browser to; the crate makes what has to be random.
    fn begin(&self) -> Result<(String, Attempt), session_kit::Error> {
        let attempt = Attempt {
            state: SessionId::random()?.to_string(),
            nonce: SessionId::random()?.to_string(),
            pkce_verifier: format!("{}{}", SessionId::random()?, SessionId::random()?),
        };
        let address = format!("https://id.example/authorize?state={}", attempt.state);
        Ok((address, attempt))
    }

    /// Gives code and verifier for an id token, and checks its signature, audience and nonce.
    async fn redeem(&self, code: String, attempt: Attempt) -> Option<String> {
        let whole = !attempt.nonce.is_empty() && !attempt.pkce_verifier.is_empty();
        whole.then(|| code.strip_prefix("code-of-").map(str::to_owned))?
    }
}

/// The way there and the way back.
pub fn routes() -> Router<Provider> {
    Router::new()
        .route("/oidc", get(start))
        .route("/oidc/callback", get(callback))
}
