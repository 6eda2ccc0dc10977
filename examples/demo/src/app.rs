//! What every route shares.

use session_kit::http::CsrfGuard;
use session_kit::{Error, Session, SessionManager};

use crate::lang::Language;

/// The application: made once, shared by all requests.
#[derive(Clone, Debug)]
pub struct App {
    /// The sessions.
    pub sessions: SessionManager,
    /// What keeps other sites' requests out.
    pub guard: CsrfGuard,
    /// The store's name for the page, without credentials.
    pub store: String,
    /// Whether the sessions can be ended though nobody keeps a list of them.
    pub ends_unlisted: bool,
    /// The framework's name for the page.
    pub framework: String,
}

/// The longest body that is read; above what a session can hold, so that its own limit shows.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How much of a longer body is read and dropped, so that the client gets to see the answer.
pub const BODY_BYTES_DROPPED_MAX: usize = 32 * 1024 * 1024;

/// Refuses other sites' requests by the headers that browsers add, before anything else is looked
/// at. The cookie's `SameSite=Lax` keeps most of them without a session already.
///
/// `/transfer` shows the other way, and is exempt: it asks for the session's token itself.
///
/// # Errors
///
/// As for [`CsrfGuardBuilder::build`](session_kit::http::CsrfGuardBuilder::build).
pub fn guard() -> Result<CsrfGuard, Error> {
    CsrfGuard::builder()
        .headers_only(true)
        .exempt(|_, path| path == "/transfer")
        .build()
}

/// Where the language is kept: a code that [`Language::from_code`] knows.
pub const LANG: &str = "lang";

/// The language that was chosen, if one was.
pub fn chosen_language(session: &Session) -> Option<Language> {
    // Whatever else `PUT /values/lang` may have stored there is no choice.
    let code = session.get::<String>(LANG).ok()??;
    Language::from_code(&code)
}

/// The language to speak.
pub fn language(session: &Session) -> Language {
    chosen_language(session).unwrap_or_default()
}
