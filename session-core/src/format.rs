//! The JSON form of a record: the writer and the reader of what `record.rs` documents.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::{Timestamp, millis};
use crate::data::Data;
use crate::error::{StoreError, StoreErrorKind};
use crate::expiry::Expiry;
use crate::record::{Generation, Owner, Previous, Record, Version};
use crate::unread::Unread;

impl Record {
    /// The format this version writes, and the newest it reads.
    pub const FORMAT: u64 = 1;
    /// Where the 15 characters of `accessed` start in what [`encode`](Self::encode) writes:
    /// an integer with leading spaces.
    pub const ACCESSED_AT: usize = FIXED_BEFORE_ACCESSED.len() + Version::TEXT_LEN + 10;
    /// Where the 15 characters of `expires` start: an integer or `null` with leading spaces.
    pub const EXPIRES_AT: usize = Self::ACCESSED_AT + TIME_WIDTH + ",\"expires\":".len();
    /// Where `"owner":` starts if the record has an owner, and another field if not.
    pub const OWNER_AT: usize = DATA_AT + DATA_AT_WIDTH + ",".len();
    /// The width of `accessed` and `expires` in characters.
    pub const TIME_WIDTH: usize = TIME_WIDTH;

    /// The record as JSON, in the form the module documentation of `record` shows.
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
        let place = json.len() - DATA_AT_WIDTH - 1;
        self.write_rest(&mut json);
        let data_at = format!("{:DATA_AT_WIDTH$}", json.len() + DATA_KEY.len());
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
        match own_layout(json) {
            Some((head, data)) => match serde_json::from_str::<Head<'_>>(&head) {
                Ok(head) => match indexed(head.index, data) {
                    Some(data) => head.into_record(data),
                    None => Self::decode_any(json),
                },
                Err(_) => Self::decode_any(json),
            },
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
        let Ok(head) = serde_json::from_str::<Head<'_>>(meta) else {
            check_format(meta)?;
            return Err(corrupt("its fields are not those of a record"));
        };
        refuse_newer(head.format)?;
        let data = match indexed(head.index, data) {
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
        check_format(json)?;
        let head: Head<'_> = serde_json::from_str(json).map_err(unread)?;
        let body: Body<'_> = serde_json::from_str(json).map_err(unread)?;
        let data = Data::parse(body.data.get()).map_err(corrupt)?;
        head.into_record(data)
    }

    fn write_head(&self, json: &mut String) {
        let accessed = self.accessed_at.as_unix_ms();
        let generation = self.generation.0;
        json.push_str(FIXED_BEFORE_VERSION);
        write_version(json, self.version);
        json.push_str(FIXED_AFTER_VERSION);
        write_padded(json, Some(generation.into()), 10);
        json.push_str(",\"accessed\":");
        write_padded(json, Some(accessed), TIME_WIDTH);
        json.push_str(",\"expires\":");
        write_padded(
            json,
            self.expires_at().map(Timestamp::as_unix_ms),
            TIME_WIDTH,
        );
        json.push_str(",\"timeout\":");
        write_padded(json, self.expiry.timeout().map(millis), TIME_WIDTH);
        json.push_str(",\"ends\":");
        write_padded(
            json,
            self.expiry.ends_at().map(Timestamp::as_unix_ms),
            TIME_WIDTH,
        );
        json.push_str(",\"data_at\":");
        write_padded(json, Some(0), DATA_AT_WIDTH);
        json.push(',');
    }

    fn write_rest(&self, json: &mut String) {
        let infallible = "writing to a String cannot fail";
        if let Some(owner) = &self.owner {
            json.push_str(OWNER_KEY);
            json.push_str(&quoted(owner.as_str()));
            json.push(',');
        }
        write!(
            json,
            "\"created\":{},\"secret\":\"{}\",\"secret_at\":{},\"persistent\":{}",
            self.created_at.as_unix_ms(),
            self.secret,
            self.secret_at.as_unix_ms(),
            self.persistent,
        )
        .expect(infallible);
        if let Some(timeout) = self.own_timeout {
            write!(json, ",\"own_timeout\":{}", millis(timeout)).expect(infallible);
        }
        if let Some(previous) = &self.previous {
            let (secret, valid) = (previous.secret, previous.valid);
            write!(json, ",\"previous\":{{\"secret\":\"{secret}\",\"until\":").expect(infallible);
            write_padded(json, previous.until.map(Timestamp::as_unix_ms), 0);
            write!(json, ",\"valid\":{valid}}}").expect(infallible);
        }
        if let Some(address) = self.address {
            write!(json, ",\"address\":\"{address}\"").expect(infallible);
        }
        if let Some(agent) = &self.agent {
            json.push_str(",\"agent\":");
            json.push_str(&quoted(agent));
        }
        if !self.own.is_empty() {
            json.push_str(",\"own\":");
            json.push_str(self.own.as_str());
        }
        write!(
            json,
            ",\"index\":[{}",
            crc32fast::hash(self.data.as_str().as_bytes())
        )
        .expect(infallible);
        for length in self.data.lengths() {
            write!(json, ",{length}").expect(infallible);
        }
        json.push(']');
    }
}

const FIXED_BEFORE_VERSION: &str = "{\"format\":1,\"version\":\"";
const FIXED_AFTER_VERSION: &str = "\",\"generation\":";
const FIXED_BEFORE_ACCESSED: &str = "{\"format\":1,\"version\":\"\",\"generation\":,\"accessed\":";
const OWNER_KEY: &str = "\"owner\":";
const DATA_KEY: &str = ",\"data\":";
const TIME_WIDTH: usize = 15;
const DATA_AT_WIDTH: usize = 10;
/// Where the digits of `data_at` start: after four padded numbers and their keys.
const DATA_AT: usize = Record::EXPIRES_AT
    + TIME_WIDTH
    + ",\"timeout\":".len()
    + TIME_WIDTH
    + ",\"ends\":".len()
    + TIME_WIDTH
    + ",\"data_at\":".len();

fn check_format(json: &str) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let Format { format } = serde_json::from_str(json).map_err(unread)?;
    refuse_newer(format)
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

/// Splits what this library wrote into its head, closed as an object, and the data's text.
fn own_layout(json: &str) -> Option<(String, &str)> {
    if !json.starts_with(FIXED_BEFORE_VERSION) {
        return None;
    }
    let digits = json.get(DATA_AT..DATA_AT + DATA_AT_WIDTH)?;
    let data_at: usize = digits.trim_start().parse().ok()?;
    let head = json.get(..data_at)?.strip_suffix(DATA_KEY)?;
    let data = json.get(data_at..)?.strip_suffix('}')?;
    let mut closed = String::with_capacity(head.len() + 1);
    closed.push_str(head);
    closed.push('}');
    Some((closed, data))
}

/// The data by its stored lengths, if the checksum says that they were written together.
fn indexed(index: Option<&RawValue>, data: &str) -> Option<Data> {
    let numbers = index?.get().strip_prefix('[')?.strip_suffix(']')?;
    let mut numbers = numbers.split(',').map(|digits| digits.parse::<u32>());
    if numbers.next()?.ok()? != crc32fast::hash(data.as_bytes()) {
        return None;
    }
    let lengths: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
    Data::with_lengths(data, &lengths)
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
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
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

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

fn write_version(json: &mut String, version: Version) {
    write!(json, "{version}").expect("writing to a String cannot fail");
}

/// A number or `null`, right-aligned: leading spaces are white space of JSON.
fn write_padded(json: &mut String, number: Option<i64>, width: usize) {
    let infallible = "writing to a String cannot fail";
    match number {
        Some(number) => write!(json, "{number:width$}").expect(infallible),
        None => write!(json, "{:>width$}", "null").expect(infallible),
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
