//! `GET /`: the page.

use session_kit::{Error, ErrorKind, Session};

use super::{counter, devices};
use crate::answer::Answer;
use crate::app::{App, language};
use crate::page::{Page, render};

/// The page as this session's visitor sees it. Where there is no session, none is begun.
///
/// # Errors
///
/// As for [`Session::take_flashes`], [`Session::csrf_token`] and
/// [`SessionManager::sessions_of`](session_kit::SessionManager::sessions_of).
pub async fn home(app: &App, session: &Session) -> Result<Answer, Error> {
    let flashes = match session.take_flashes().await {
        // It ended while the request ran: what was let in may still see the page.
        Err(error) if error.kind() == ErrorKind::Gone => Vec::new(),
        taken => taken?,
    };
    let flashes: Vec<_> = flashes
        .into_iter()
        .map(|flash| (flash.category, flash.text))
        .collect();
    let owner = session.owner();
    let devices = match &owner {
        Some(owner) => match app.sessions.sessions_of(owner).await {
            // Their clients keep them: there is no list to show.
            Err(error) if error.kind() == ErrorKind::Unsupported => Vec::new(),
            listed => devices::shown(listed?, session.id()),
        },
        None => Vec::new(),
    };
    // Asking for a token stores its seed, which would begin a session.
    let csrf = match session.is_new() {
        true => None,
        false => Some(session.csrf_token()?),
    };
    Ok(Answer::html(render(&Page {
        language: language(session),
        user: owner.as_ref().map(|owner| owner.as_str()),
        count: counter::shown(session),
        flashes: &flashes,
        devices: &devices,
        ends_unlisted: app.ends_unlisted,
        csrf: csrf.as_deref(),
        store: &app.store,
        framework: &app.framework,
    })))
}
