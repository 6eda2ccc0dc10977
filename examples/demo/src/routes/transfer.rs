//! The route that takes a request only with the session's token.

use session_kit::{Error, Session};

use crate::answer::Answer;
use crate::form;

/// `GET /csrf`: a token for a form.
///
/// # Errors
///
/// As for [`Session::csrf_token`].
pub fn csrf(session: &Session) -> Result<Answer, Error> {
    session.csrf_token().map(Answer::text)
}

/// `POST /transfer`: moves no money.
///
/// # Errors
///
/// As for [`Session::verify_csrf`]: 403.
pub fn transfer(session: &Session, body: &[u8]) -> Result<Answer, Error> {
    let token = form::field(body, "csrf_token").unwrap_or_default();
    session.verify_csrf(&token)?;
    let amount = form::field(body, "amount").unwrap_or_default();
    Ok(if amount.trim().is_empty() {
        Answer::bad_request("`amount` is missing")
    } else {
        Answer::text(format!("transferred {}", amount.trim()))
    })
}
