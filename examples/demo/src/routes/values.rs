//! `/values/{key}`: any JSON under any key.

use serde_json::value::RawValue;
use session_kit::{Error, Session};

use crate::answer::Answer;
use crate::form;

/// `PUT`: stores the body under the key.
///
/// # Errors
///
/// As for [`Session::insert`].
pub fn put(session: &Session, path: &str, body: &[u8]) -> Result<Answer, Error> {
    let Some(key) = form::last_segment(path) else {
        return Ok(bad_key());
    };
    let Ok(value) = serde_json::from_slice::<&RawValue>(body) else {
        return Ok(Answer::bad_request("the body is not JSON"));
    };
    session.insert(&*key, value)?;
    Ok(Answer::no_content())
}

/// `GET`: the value under the key.
pub fn get(session: &Session, path: &str) -> Answer {
    let Some(key) = form::last_segment(path) else {
        return bad_key();
    };
    session
        .raw(&key)
        .map_or_else(Answer::not_found, Answer::json_text)
}

/// `DELETE`: no value under the key any more.
pub fn delete(session: &Session, path: &str) -> Answer {
    let Some(key) = form::last_segment(path) else {
        return bad_key();
    };
    session.remove(&*key);
    Answer::no_content()
}

fn bad_key() -> Answer {
    Answer::bad_request("the key is not UTF-8")
}
