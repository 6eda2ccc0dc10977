//! `GET /slow`: a handler that takes its time between loading and changing the session.

use std::time::Duration;

use session_kit::{Error, Session};

use crate::answer::Answer;
use crate::form;

/// The longest it sleeps, in milliseconds.
const MS_MAX: u64 = 5_000;

/// Sleeps for `ms` and then inserts `key` with `value`.
///
/// # Errors
///
/// As for [`Session::insert`].
pub async fn slow(session: &Session, query: &str) -> Result<Answer, Error> {
    let field = |name| form::field(query.as_bytes(), name);
    let Some(key) = field("key") else {
        return Ok(Answer::bad_request("`key` is missing"));
    };
    let Some(ms) = field("ms").as_deref().map_or(Some(0), clamped) else {
        return Ok(Answer::bad_request("`ms` is not a number of milliseconds"));
    };
    tokio::time::sleep(Duration::from_millis(ms)).await;
    session.insert(&*key, field("value").unwrap_or_default())?;
    Ok(Answer::text("ok"))
}

/// A number of any length, cut at [`MS_MAX`].
fn clamped(digits: &str) -> Option<u64> {
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| digits.parse().unwrap_or(MS_MAX).min(MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nap_is_never_longer_than_five_seconds() {
        let table = [
            ("0", Some(0)),
            ("4999", Some(4_999)),
            ("5001", Some(5_000)),
            ("99999999999999999999999", Some(5_000)),
            ("", None),
            ("-1", None),
            ("1.5", None),
        ];
        for (digits, ms) in table {
            assert_eq!(clamped(digits), ms, "{digits}");
        }
    }
}
