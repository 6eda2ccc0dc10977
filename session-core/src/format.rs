//! The JSON form of a record: the writer and the reader of what `record.rs` documents.

mod own_layout;

use std::borrow::Cow;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::{Timestamp, millis};
use crate::data::{Data, escaped};
use crate::error::{StoreError, StoreErrorKind};
use crate::expiry::Expiry;
use crate::id::Digest;
use crate::record::{Generation, Owner, Previous, Record, Version};
use crate::unread::Unread;

impl Record {
    /// The format this version writes, and the newest it reads.
    pub const FORMAT: u64 = 1;
    /// Where the 15 characters of `accessed` start in what [`encode`](Self::encode) writes:
    /// an integer with leading spaces.
    pub const ACCESSED_AT: usize = FIXED_BEFORE_VERSION.len()
        + Version::TEXT_LEN
        + FIXED_AFTER_VERSION.len()
        + GENERATION_WIDTH
        + ACCESSED_KEY.len();
    /// Where the 15 characters of `expires` start: an integer or `null` with leading spaces.
    pub const EXPIRES_AT: usize = Self::ACCESSED_AT + TIME_WIDTH + EXPIRES_KEY.len();
    /// Where `"owner":` starts if the record has an owner, and another field if not.
    pub const OWNER_AT: usize = DATA_AT + DATA_AT_WIDTH + ",".len();
    /// The width of `accessed` and `expires` in characters.
    pub const TIME_WIDTH: usize = TIME_WIDTH;

    /// The record as JSON, in the form that [`Record`] shows.
    ///
    /// ```
    /// # use session_core::*;
    /// let token = Token::random()?;
    /// let record = Record::new(token.digest(), Clock::system().now(), Expiry::NEVER)?;
    /// let json = record.encode();
    /// assert_eq!(Record::decode(json.as_bytes()).unwrap(), record);
    /// let accessed = &json[Record::ACCESSED_AT..Record::ACCESSED_AT + Record::TIME_WIDTH];
    /// assert_eq!(accessed.trim().parse(), Ok(record.accessed_at.as_unix_ms()));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn encode(&self) -> String {
        let data = self.data.as_str();
        let mut json = self.encode_meta(data.len());
        json.pop();
        json.push_str(DATA_KEY);
        json.push_str(data);
        json.push('}');
        json
    }

    /// The record in two JSON objects: all fields but `data`, and the value of `data`.
    ///
    /// For stores that keep the application's values apart, where people read them.
    ///
    /// ```
    /// # use session_core::*;
    /// # let token = Token::random()?;
    /// let record = Record::new(token.digest(), Clock::system().now(), Expiry::NEVER)?;
    /// let (meta, data) = record.encode_parts();
    /// assert_eq!(data, "{}");
    /// assert_eq!(Record::decode_parts(&meta, data).unwrap(), record);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn encode_parts(&self) -> (String, &str) {
        (self.encode_meta(0), self.data.as_str())
    }

    /// All fields but `data`, closed as an object, with room for the data.
    fn encode_meta(&self, room: usize) -> String {
        let mut json =
            String::with_capacity(640 + self.own.as_str().len() + room + 12 * self.data.len());
        self.write_head(&mut json);
        // Not the constant: a time that is too wide for its place moves what follows.
        let place = json.len() - DATA_AT_WIDTH - 1;
        self.write_rest(&mut json);
        let mut data_at = String::with_capacity(2 * DATA_AT_WIDTH);
        let at = json.len() + DATA_KEY.len();
        write_padded(&mut data_at, i64::try_from(at).ok(), DATA_AT_WIDTH);
        json.replace_range(place..place + DATA_AT_WIDTH, &data_at);
        json.push('}');
        json
    }

    /// Reads a record in JSON, written by this library or any other program.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NewerFormat`]: its format number is above [`FORMAT`](Self::FORMAT).
    /// [`StoreErrorKind::Corrupt`]: anything else that is no record.
    pub fn decode(json: &[u8]) -> Result<Self, StoreError> {
        let json = std::str::from_utf8(json).map_err(corrupt)?;
        match own_layout::whole(json) {
            Some((head, data)) => head.into_record(data),
            None => Self::decode_any(json),
        }
    }

    /// Reads a record in the two parts that [`encode_parts`](Self::encode_parts) or any other
    /// program wrote.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode).
    pub fn decode_parts(meta: &str, data: &str) -> Result<Self, StoreError> {
        let (head, indexed) = match own_layout::meta(meta) {
            Some((head, index)) => (head, index.data(data)),
            None => (any_head(meta)?, None),
        };
        let data = match indexed {
            Some(data) => data,
            None => Data::parse(data).map_err(corrupt)?,
        };
        head.into_record(data)
    }

    fn decode_any(json: &str) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let head = any_head(json)?;
        let body: Body<'_> = serde_json::from_str(json).map_err(unread)?;
        let data = Data::parse(body.data.get()).map_err(corrupt)?;
        head.into_record(data)
    }

    fn write_head(&self, json: &mut String) {
        json.push_str(FIXED_BEFORE_VERSION);
        for part in [self.version.counter(), self.version.nonce()] {
            HEXLOWER.encode_append(&part.to_be_bytes(), json);
            json.push('-');
        }
        json.pop();
        json.push_str(FIXED_AFTER_VERSION);
        write_padded(json, Some(self.generation.0.into()), GENERATION_WIDTH);
        json.push_str(ACCESSED_KEY);
        write_padded(json, Some(self.accessed_at.as_unix_ms()), TIME_WIDTH);
        json.push_str(EXPIRES_KEY);
        write_padded(
            json,
            self.expires_at().map(Timestamp::as_unix_ms),
            TIME_WIDTH,
        );
        json.push_str(TIMEOUT_KEY);
        write_padded(json, self.expiry.timeout().map(millis), TIME_WIDTH);
        json.push_str(ENDS_KEY);
        write_padded(
            json,
            self.expiry.ends_at().map(Timestamp::as_unix_ms),
            TIME_WIDTH,
        );
        json.push_str(DATA_AT_KEY);
        write_padded(json, Some(0), DATA_AT_WIDTH);
        json.push(',');
    }

    fn write_rest(&self, json: &mut String) {
        if let Some(owner) = &self.owner {
            json.push_str(OWNER_KEY);
            write_string(json, owner.as_str());
            json.push(',');
        }
        json.push_str(CREATED_KEY);
        write_number(json, self.created_at.as_unix_ms());
        json.push_str(SECRET_KEY);
        write_digest(json, &self.secret);
        json.push_str(SECRET_AT_KEY);
        write_number(json, self.secret_at.as_unix_ms());
        json.push_str(PERSISTENT_KEY);
        write_boolean(json, self.persistent);
        if let Some(timeout) = self.own_timeout {
            json.push_str(OWN_TIMEOUT_KEY);
            write_number(json, millis(timeout));
        }
        if let Some(previous) = &self.previous {
            json.push_str(PREVIOUS_KEY);
            json.push('{');
            json.push_str(&SECRET_KEY[1..]);
            write_digest(json, &previous.secret);
            json.push_str(UNTIL_KEY);
            write_padded(json, previous.until.map(Timestamp::as_unix_ms), 0);
            json.push_str(VALID_KEY);
            write_boolean(json, previous.valid);
            json.push('}');
        }
        if let Some(address) = self.address {
            json.push_str(ADDRESS_KEY);
            write_string(json, &address.to_string());
        }
        if let Some(agent) = &self.agent {
            json.push_str(AGENT_KEY);
            write_string(json, agent);
        }
        if !self.own.is_empty() {
            json.push_str(OWN_KEY);
            json.push_str(self.own.as_str());
        }
        json.push_str(INDEX_KEY);
        let checksum = crc32fast::hash(self.data.as_str().as_bytes());
        write_number(json, checksum);
        for length in self.data.lengths() {
            json.push(',');
            write_number(json, length);
        }
        json.push(']');
    }
}

const FIXED_BEFORE_VERSION: &str = "{\"format\":1,\"version\":\"";
const FIXED_AFTER_VERSION: &str = "\",\"generation\":";
const ACCESSED_KEY: &str = ",\"accessed\":";
const EXPIRES_KEY: &str = ",\"expires\":";
const TIMEOUT_KEY: &str = ",\"timeout\":";
const ENDS_KEY: &str = ",\"ends\":";
const DATA_AT_KEY: &str = ",\"data_at\":";
const OWNER_KEY: &str = "\"owner\":";
const CREATED_KEY: &str = "\"created\":";
const SECRET_KEY: &str = ",\"secret\":";
const SECRET_AT_KEY: &str = ",\"secret_at\":";
const PERSISTENT_KEY: &str = ",\"persistent\":";
const OWN_TIMEOUT_KEY: &str = ",\"own_timeout\":";
const PREVIOUS_KEY: &str = ",\"previous\":";
const UNTIL_KEY: &str = ",\"until\":";
const VALID_KEY: &str = ",\"valid\":";
const ADDRESS_KEY: &str = ",\"address\":";
const AGENT_KEY: &str = ",\"agent\":";
const OWN_KEY: &str = ",\"own\":";
const INDEX_KEY: &str = ",\"index\":[";
const DATA_KEY: &str = ",\"data\":";
const GENERATION_WIDTH: usize = 10;
const TIME_WIDTH: usize = 15;
const DATA_AT_WIDTH: usize = 10;
/// Where the digits of `data_at` start: after four padded numbers and their keys.
const DATA_AT: usize = Record::EXPIRES_AT
    + TIME_WIDTH
    + TIMEOUT_KEY.len()
    + TIME_WIDTH
    + ENDS_KEY.len()
    + TIME_WIDTH
    + DATA_AT_KEY.len();

/// The head in any JSON. The format is looked at first: a newer one may have other fields.
fn any_head(json: &str) -> Result<Head<'_>, StoreError> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let Format { format } = serde_json::from_str(json).map_err(unread)?;
    refuse_newer(format)?;
    serde_json::from_str(json).map_err(unread)
}

fn refuse_newer(format: u64) -> Result<(), StoreError> {
    let known = Record::FORMAT;
    if format <= known {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::NewerFormat,
        format!("the record is of format {format}, this version reads up to {known}"),
    ))
}

/// All fields but `data`, as any writer may have written them.
#[derive(Deserialize)]
struct Head<'a> {
    format: u64,
    #[serde(borrow)]
    version: Cow<'a, str>,
    generation: u32,
    created: i64,
    accessed: i64,
    #[serde(default)]
    timeout: Option<u64>,
    #[serde(default)]
    ends: Option<i64>,
    #[serde(default)]
    own_timeout: Option<u64>,
    #[serde(default)]
    persistent: bool,
    #[serde(borrow)]
    secret: Cow<'a, str>,
    secret_at: i64,
    #[serde(borrow, default)]
    previous: Option<StoredPrevious<'a>>,
    #[serde(borrow, default)]
    owner: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    address: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    agent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    own: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StoredPrevious<'a> {
    #[serde(borrow)]
    secret: Cow<'a, str>,
    until: Option<i64>,
    valid: bool,
}

impl Head<'_> {
    fn into_record(self, data: Data) -> Result<Record, StoreError> {
        if self.format != Record::FORMAT {
            return Err(corrupt("its format number is 0"));
        }
        let expiry = Expiry::new(
            self.timeout.map(Duration::from_millis),
            self.ends.map(Timestamp::from_unix_ms),
        );
        let previous = self.previous.map(|previous| {
            Ok::<_, StoreError>(Box::new(Previous {
                secret: previous.secret.parse().map_err(corrupt)?,
                until: previous.until.map(Timestamp::from_unix_ms),
                valid: previous.valid,
            }))
        });
        Ok(Record {
            version: self.version.parse().map_err(corrupt)?,
            generation: Generation(self.generation),
            created_at: Timestamp::from_unix_ms(self.created),
            accessed_at: Timestamp::from_unix_ms(self.accessed),
            expiry,
            own_timeout: self.own_timeout.map(Duration::from_millis),
            persistent: self.persistent,
            secret: self.secret.parse().map_err(corrupt)?,
            secret_at: Timestamp::from_unix_ms(self.secret_at),
            previous: previous.transpose()?,
            owner: self.owner.map(Owner::new).transpose().map_err(corrupt)?,
            address: self
                .address
                .map(|text| text.parse())
                .transpose()
                .map_err(corrupt)?,
            agent: self.agent.map(Into::into),
            own: match self.own {
                Some(own) => Data::parse(own.get()).map_err(corrupt)?,
                None => Data::new(),
            },
            data,
        })
    }
}

fn unread(error: serde_json::Error) -> StoreError {
    corrupt(Unread::from(error))
}

fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "the stored record cannot be decoded",
    )
    .caused_by(source)
}

fn write_string(json: &mut String, text: &str) {
    json.push('"');
    json.push_str(&escaped(text));
    json.push('"');
}

fn write_digest(json: &mut String, digest: &Digest) {
    json.push('"');
    digest.append_to(json);
    json.push('"');
}

fn write_boolean(json: &mut String, value: bool) {
    json.push_str(if value { "true" } else { "false" });
}

fn write_number(json: &mut String, number: impl itoa::Integer) {
    json.push_str(itoa::Buffer::new().format(number));
}

/// A number or `null`, right-aligned: leading spaces are white space of JSON.
fn write_padded(json: &mut String, number: Option<i64>, width: usize) {
    const SPACES: &str = "               ";
    let mut digits = itoa::Buffer::new();
    let text = number.map_or("null", |number| digits.format(number));
    let missing = width.saturating_sub(text.len()).min(SPACES.len());
    json.push_str(&SPACES[..missing]);
    json.push_str(text);
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
