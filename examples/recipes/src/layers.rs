//! The order of the layers.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use session_kit::axum::{CsrfLayer, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{Error, SessionManager};
use tower::ServiceBuilder;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

/// The origin of a front end that is served elsewhere.
const FRONT_END: &str = "https://app.example.com";

/// The routes, with everything that belongs around them.
///
/// # Errors
///
/// None, as long as `FRONT_END` is an origin.
pub fn layered(routes: Router, sessions: SessionManager) -> Result<Router, Error> {
    let guard = CsrfGuard::builder().trusted_origins([FRONT_END]).build()?;
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static(FRONT_END))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE, HeaderName::from_static("x-csrf-token")])
        .allow_credentials(true);
    let seconds = Duration::from_secs(30);
    Ok(routes.layer(
        ServiceBuilder::new()
            // The first is the outermost, and sees what all others answer.
            .layer(TraceLayer::new_for_http())
            .layer(cors)
            .layer(SessionLayer::new(sessions))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                seconds,
            ))
            .layer(CsrfLayer::new(guard)),
    ))
}
