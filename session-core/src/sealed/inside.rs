//! What is sealed into a cookie: a record, its id and its secret.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::{Timestamp, millis};
use crate::data::Data;
use crate::expiry::Expiry;
use crate::id::Token;
use crate::record::{Generation, Owner, Record, Version};
use crate::sealing::TAG_BYTES;

/// What is sealed, after the format, the id and the secret.
#[derive(Serialize, Deserialize)]
struct Inside<'a> {
    #[serde(rename = "c")]
    created: i64,
    #[serde(rename = "a")]
    accessed: i64,
    #[serde(rename = "s")]
    secret_at: i64,
    #[serde(rename = "g")]
    generation: u32,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    ends: Option<i64>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    own_timeout: Option<u64>,
    #[serde(rename = "p", default, skip_serializing_if = "is_false")]
    persistent: bool,
    #[serde(rename = "u", borrow, default, skip_serializing_if = "Option::is_none")]
    owner: Option<Cow<'a, str>>,
    #[serde(rename = "i", borrow, default, skip_serializing_if = "Option::is_none")]
    address: Option<Cow<'a, str>>,
    #[serde(rename = "m", borrow, default, skip_serializing)]
    own: Option<&'a RawValue>,
    #[serde(rename = "d", borrow, default, skip_serializing)]
    data: Option<&'a RawValue>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The user agent and the superseded secret stay out: they would fill the cookie, and nothing
/// could be done by them.
pub(super) fn inside(token: &Token, record: &Record) -> Vec<u8> {
    let positive = |ms: i64| u64::try_from(ms).unwrap_or(0);
    let head = Inside {
        created: record.created_at.as_unix_ms(),
        accessed: record.accessed_at.as_unix_ms(),
        secret_at: record.secret_at.as_unix_ms(),
        generation: record.generation.0,
        timeout: record.expiry.timeout().map(millis).map(positive),
        ends: record.expiry.ends_at().map(Timestamp::as_unix_ms),
        own_timeout: record.own_timeout.map(millis).map(positive),
        persistent: record.persistent,
        owner: record.owner.as_ref().map(|owner| owner.as_str().into()),
        address: record.address.map(|address| address.to_string().into()),
        own: None,
        data: None,
    };
    let head = serde_json::to_string(&head).expect("numbers and strings are JSON");
    let (own, data) = (record.own.as_str().len(), record.data.as_str().len());
    // Room for all of it, tag included: growing would leave a copy of the secret behind.
    let mut bytes = Vec::with_capacity(64 + TAG_BYTES + head.len() + own + data);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&*token.expose_bytes());
    bytes.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
    if !record.own.is_empty() {
        bytes.extend_from_slice(b",\"m\":");
        bytes.extend_from_slice(record.own.as_str().as_bytes());
    }
    bytes.extend_from_slice(b",\"d\":");
    bytes.extend_from_slice(record.data.as_str().as_bytes());
    bytes.push(b'}');
    bytes
}

pub(super) fn opened(inside: &[u8]) -> Option<(Token, Record)> {
    let (&format, rest) = inside.split_first()?;
    let (token, json) = rest.split_first_chunk()?;
    if format != FORMAT {
        return None;
    }
    let token = Token::from_exposed_bytes(token);
    let head: Inside<'_> = serde_json::from_slice(json).ok()?;
    let data = |raw: Option<&RawValue>| match raw {
        Some(raw) => Data::parse(raw.get()).ok(),
        None => Some(Data::new()),
    };
    let record = Record {
        version: Version::first().ok()?,
        generation: Generation(head.generation),
        created_at: Timestamp::from_unix_ms(head.created),
        accessed_at: Timestamp::from_unix_ms(head.accessed),
        expiry: Expiry::new(
            head.timeout.map(Duration::from_millis),
            head.ends.map(Timestamp::from_unix_ms),
        ),
        own_timeout: head.own_timeout.map(Duration::from_millis),
        persistent: head.persistent,
        secret: token.digest(),
        secret_at: Timestamp::from_unix_ms(head.secret_at),
        previous: None,
        owner: head.owner.map(Owner::new).transpose().ok()?,
        address: head.address.map(|text| text.parse()).transpose().ok()?,
        agent: None,
        own: data(head.own)?,
        data: data(head.data)?,
    };
    Some((token, record))
}

pub(super) const FORMAT: u8 = 1;
