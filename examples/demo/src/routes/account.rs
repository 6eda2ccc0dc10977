//! Logging in and out, and the language.

use session_kit::{Error, Owner, Session};

use crate::answer::Answer;
use crate::app::{LANG, chosen_language, language};
use crate::form;
use crate::lang::Language;

/// `POST /login`: binds the session to `user`. A real application asks for a password first.
///
/// # Errors
///
/// As for [`Session::flash`].
pub fn login(session: &Session, body: &[u8]) -> Result<Answer, Error> {
    let user = form::field(body, "user").unwrap_or_default();
    let user = user.trim();
    let Ok(owner) = Owner::new(user) else {
        return Ok(Answer::bad_request("`user` has 1 to 255 bytes"));
    };
    session.login(owner);
    // The language as of now: a login as somebody else has emptied the session.
    session.flash("success", language(session).signed_in_as(user))?;
    Ok(Answer::to_page())
}

/// `POST /logout`: ends the session.
///
/// # Errors
///
/// As for [`Session::flash`].
pub fn logout(session: &Session, accept: Option<&[u8]>) -> Result<Answer, Error> {
    sign_out(session, accept)?;
    Ok(Answer::to_page())
}

/// Ends the session.
///
/// Whoever `accept`s pages is told so on the next one, in the same language; that begins a new
/// session, so a program is left with nothing.
pub(super) fn sign_out(session: &Session, accept: Option<&[u8]>) -> Result<(), Error> {
    let chosen = chosen_language(session);
    session.logout();
    if accept.is_some_and(takes_pages) {
        if let Some(language) = chosen {
            session.insert(LANG, language.code())?;
        }
        let texts = chosen.unwrap_or_default().texts();
        session.flash("success", texts.now_signed_out)?;
    }
    Ok(())
}

/// `GET /lang/{code}`: from now on the page speaks this language.
///
/// By `GET`, so that it can be tried with a link. Do not copy that: another site's page can make a
/// browser send it, and no guard looks at a `GET`.
///
/// # Errors
///
/// As for [`Session::flash`].
pub fn choose_language(session: &Session, path: &str) -> Result<Answer, Error> {
    let code = form::last_segment(path).unwrap_or_default();
    let Some(language) = Language::from_code(&code) else {
        return Ok(Answer::not_found());
    };
    session.insert(LANG, language.code())?;
    session.flash("success", language.texts().now_in_this_language)?;
    Ok(Answer::to_page())
}

/// Browsers name the type; programs say `*/*` or nothing.
fn takes_pages(accept: &[u8]) -> bool {
    let html = b"text/html";
    accept
        .windows(html.len())
        .any(|part| part.eq_ignore_ascii_case(html))
}
