//! Whether the application and its store are there.

use session_kit::Error;

use crate::answer::Answer;
use crate::app::App;

/// `GET /plain`: answers without any session.
pub fn plain() -> Answer {
    Answer::public_text("ok")
}

/// `GET /healthz`: asks the store.
///
/// # Errors
///
/// As for [`SessionManager::ping`](session_kit::SessionManager::ping): 503.
pub async fn healthz(app: &App) -> Result<Answer, Error> {
    app.sessions.ping().await?;
    Ok(Answer::text("ok"))
}
