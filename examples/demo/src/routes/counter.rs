//! Counting: the one thing that must never lose a click.

use session_kit::{Error, ErrorKind, Session};

use crate::answer::Answer;
use crate::app::language;
use crate::form;

/// Where the number is kept.
const COUNT: &str = "count";

/// `GET /count`: one more, as text.
///
/// By `GET`, so that it can be tried with a link. Do not copy that: another site's page can make a
/// browser send it, and no guard looks at a `GET`.
///
/// # Errors
///
/// As for [`Session::transact`].
pub async fn count(session: &Session) -> Result<Answer, Error> {
    Ok(match count_up(session).await? {
        Some(count) => Answer::text(count.to_string()),
        None => no_number(),
    })
}

/// `POST /` from the page's button: one more, and back to the page.
///
/// # Errors
///
/// As for [`Session::transact`] and [`Session::flash`].
pub async fn count_from_page(session: &Session, body: &[u8]) -> Result<Answer, Error> {
    if form::field(body, "action").as_deref() != Some("count") {
        return Ok(Answer::bad_request("the page knows one action: count"));
    }
    let Some(count) = count_up(session).await? else {
        return Ok(no_number());
    };
    session.flash("success", language(session).counted_to(count))?;
    Ok(Answer::to_page())
}

/// `GET /peek`: the number, as text.
///
/// # Errors
///
/// None at present.
pub fn peek(session: &Session) -> Result<Answer, Error> {
    match session.get::<u64>(COUNT) {
        Ok(count) => Ok(Answer::text(count.unwrap_or(0).to_string())),
        Err(error) if error.kind() == ErrorKind::WrongType => Ok(no_number()),
        Err(error) => Err(error),
    }
}

/// `GET /reset`: the session ends.
///
/// By `GET`, so that it can be tried with a link. Do not copy that: another site's page can make a
/// browser send it, and no guard looks at a `GET`.
pub fn reset(session: &Session) -> Answer {
    session.destroy();
    Answer::empty()
}

/// The number for the page, which shows 0 for what is none.
pub(super) fn shown(session: &Session) -> u64 {
    session.get(COUNT).ok().flatten().unwrap_or(0)
}

/// Adds 1 and stores it at once; `None` where there is nothing to add it to.
async fn count_up(session: &Session) -> Result<Option<u64>, Error> {
    let counted = session.transact(|s| {
        let count = s.get::<u64>(COUNT)?.unwrap_or(0).checked_add(1);
        if let Some(count) = count {
            s.insert(COUNT, count)?;
        }
        Ok(count)
    });
    match counted.await {
        Err(error) if error.kind() == ErrorKind::WrongType => Ok(None),
        counted => counted,
    }
}

fn no_number() -> Answer {
    Answer::conflict("`count` is not a number that can be counted on")
}
