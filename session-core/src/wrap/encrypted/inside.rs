//! The two texts of a sealed record: what is inside, and what it is bound to.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::corrupt;
use crate::clock::{Timestamp, millis};
use crate::data::Data;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::record::Record;
use crate::unread::Unread;

/// The associated data: the id and all that stays plain, but for what a touch moves.
///
/// Taken apart field by field, so that a new one cannot be forgotten.
pub(super) fn bound(id: &SessionId, record: &Record) -> Vec<u8> {
    let Record {
        version,
        generation,
        created_at,
        accessed_at: _,
        expiry,
        own_timeout,
        persistent,
        secret,
        secret_at,
        previous,
        owner,
        address: _,
        agent: _,
        own: _,
        data: _,
    } = record;
    let infallible = "writing to a String cannot fail";
    let mut text = String::with_capacity(320);
    let mut line = |value: &dyn fmt::Display| writeln!(text, "{value}").expect(infallible);
    line(&"session-kit sealed record v1");
    line(id);
    line(version);
    line(&generation.0);
    line(&created_at.as_unix_ms());
    line(&or_null(expiry.timeout().map(millis)));
    line(&or_null(expiry.ends_at().map(Timestamp::as_unix_ms)));
    line(&or_null(own_timeout.map(millis)));
    line(persistent);
    line(secret);
    line(&secret_at.as_unix_ms());
    match previous {
        Some(previous) => {
            let until = or_null(previous.until.map(Timestamp::as_unix_ms));
            line(&format_args!(
                "{} {until} {}",
                previous.secret, previous.valid
            ));
        }
        None => line(&"null"),
    }
    // Last, because it may hold line breaks of its own.
    match owner {
        Some(owner) => write!(text, "={owner}").expect(infallible),
        None => text.push_str("null"),
    }
    text.into_bytes()
}

fn or_null(number: Option<i64>) -> Cow<'static, str> {
    number.map_or(Cow::Borrowed("null"), |number| number.to_string().into())
}

/// What is sealed, as a JSON object.
pub(super) fn inside(record: &Record) -> String {
    let infallible = "writing to a String cannot fail";
    let (own, data) = (record.own.as_str(), record.data.as_str());
    let agent = record.agent.as_ref().map_or(0, |agent| 2 * agent.len());
    let room = 128 + agent + own.len() + data.len() + 12 * record.data.len();
    let mut json = String::with_capacity(room);
    json.push('{');
    if let Some(address) = record.address {
        write!(json, "\"address\":\"{address}\",").expect(infallible);
    }
    if let Some(agent) = &record.agent {
        let quoted = serde_json::to_string(&**agent).expect("a string is always JSON");
        write!(json, "\"agent\":{quoted},").expect(infallible);
    }
    if !record.own.is_empty() {
        write!(json, "\"own\":{own},").expect(infallible);
    }
    json.push_str("\"index\":[");
    for (at, length) in record.data.lengths().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(json, "{comma}{length}").expect(infallible);
    }
    write!(json, "],\"data\":{data}}}").expect(infallible);
    json
}

/// Puts back into the record what was sealed.
pub(super) fn opened(record: Record, json: &[u8]) -> Result<Record, StoreError> {
    #[derive(Deserialize)]
    struct Inside<'a> {
        #[serde(default)]
        address: Option<IpAddr>,
        #[serde(borrow, default)]
        agent: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        own: Option<&'a RawValue>,
        #[serde(default)]
        index: Vec<u32>,
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let undecodable = "what was sealed cannot be decoded";
    let inside: Inside<'_> = serde_json::from_slice(json)
        .map_err(|source| corrupt(undecodable).caused_by(Unread::from(source)))?;
    let parse = |raw: &RawValue| {
        Data::parse(raw.get()).map_err(|source| corrupt(undecodable).caused_by(source))
    };
    Ok(Record {
        address: inside.address,
        agent: inside.agent.map(Into::into),
        own: inside.own.map_or(Ok(Data::new()), parse)?,
        data: match Data::with_lengths(inside.data.get(), &inside.index) {
            Some(data) => data,
            None => parse(inside.data)?,
        },
        ..record
    })
}
