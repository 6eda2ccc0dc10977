//! What is particular to sessions in SQL; what all stores share is in the conformance suite.

#[macro_use]
mod each;

mod columns;
mod contention;
mod database;
mod migrations;
mod outages;
mod processes;
mod refusals;
mod schemas;
mod settings;
mod transactions;
mod values;

use std::time::Duration;

use session_core::{Data, Digest, Expiry, Record, Secret, SessionId, Timestamp};

use self::database::{Database, PATIENCE};

/// When the sessions of these tests begin.
const START: Timestamp = Timestamp::from_unix_ms(1_764_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(3600);

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; SessionId::BYTES])
}

fn digest() -> Digest {
    Secret::random().unwrap().digest(&id(1))
}

fn record() -> Record {
    Record::new(digest(), START, Expiry::new(Some(TIMEOUT), None)).unwrap()
}

fn data(json: &str) -> Data {
    Data::parse(json).unwrap()
}

/// The record's next version, with other data.
fn next(record: &Record, json: &str) -> Record {
    let mut next = record.clone();
    next.version = record.version.next().unwrap();
    next.data = data(json);
    next
}
