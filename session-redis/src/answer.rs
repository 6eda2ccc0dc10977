//! What scripts and commands answer, as types.

use redis::Value;
use session_core::Written;

use crate::failure::Failure;

/// The answer of a script that writes a record.
#[derive(Debug)]
pub(crate) enum Answer {
    Written(Written),
    /// Deleted; the owner is in this value.
    Deleted(Vec<u8>),
    /// Nothing was written: this is what is there.
    Look(Vec<u8>),
}

impl Answer {
    pub(crate) fn of(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Int(1) => Ok(Self::Written(Written::Done)),
            Value::Int(0) => Ok(Self::Written(Written::Conflict)),
            Value::Int(-1) => Ok(Self::Written(Written::Gone)),
            Value::BulkString(there) => Ok(Self::Look(there)),
            Value::Array(mut parts) => match parts.pop() {
                Some(Value::BulkString(was)) => Ok(Self::Deleted(was)),
                _ => Err(Failure::Answer("a write")),
            },
            _ => Err(Failure::Answer("a write")),
        }
    }
}

/// The bytes of a key; `None` if it is not there.
pub(crate) fn bytes(value: Value) -> Result<Option<Vec<u8>>, Failure> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        _ => Err(Failure::Answer("a read")),
    }
}

/// A whole number, or a score, which is always one here.
pub(crate) fn integer(value: Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(number),
        Value::Double(number) => Ok(number as i64),
        Value::BulkString(text) => std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .map(|number| number as i64)
            .ok_or(Failure::Answer("a score")),
        _ => Err(Failure::Answer("a score")),
    }
}

/// The parts of an array of exactly `N`.
pub(crate) fn parts<const N: usize>(value: Value) -> Result<[Value; N], Failure> {
    list(value)?
        .try_into()
        .map_err(|_| Failure::Answer("a script"))
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(Failure::Answer("a script")),
    }
}
