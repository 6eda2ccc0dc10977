//! `GET /me`: the session as JSON.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use session_kit::{Error, Session};

use crate::answer::Answer;
use crate::moment::rfc3339;

#[derive(Serialize)]
struct Me {
    user: Option<String>,
    is_new: bool,
    created_at: Option<String>,
    accessed_at: Option<String>,
    expires_at: Option<String>,
    #[serde(serialize_with = "as_object")]
    values: Vec<(String, Box<RawValue>)>,
}

/// Who is logged in, since when, and every value of the session.
///
/// # Errors
///
/// [`Error::application`]: a stored value is no JSON.
pub fn me(session: &Session) -> Result<Answer, Error> {
    let mut values = Vec::new();
    for key in session.keys() {
        if let Some(json) = session.raw(&key) {
            let value = RawValue::from_string(json).map_err(Error::application)?;
            values.push((key, value));
        }
    }
    Answer::json(&Me {
        user: session.owner().map(|owner| owner.to_string()),
        is_new: session.is_new(),
        created_at: session.created_at().map(rfc3339),
        accessed_at: session.accessed_at().map(rfc3339),
        expires_at: session.expires_at().map(rfc3339),
        values,
    })
}

/// Pairs in the order they were stored, as one JSON object.
fn as_object<S: Serializer>(
    pairs: &[(String, Box<RawValue>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}
