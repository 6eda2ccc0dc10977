//! Web sessions for axum and actix-web.

pub use session_core::*;
