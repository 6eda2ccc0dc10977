//! Client-side sessions: the whole session travels sealed in its cookie, and no store keeps it.
//!
//! [`SessionManager::sealed`] makes a manager of such sessions; everything else is as usual:
//! values, flashes, CSRF tokens, login, time-outs. The cookie's value is
//!
//! ```text
//! v1.<key>.<base64url of nonce, ciphertext and tag>
//! ```
//!
//! XChaCha20-Poly1305 under a key derived from the ring's for this purpose and the cookie's name,
//! so a cookie of another name, or a record sealed at rest, opens nothing here. The first key
//! seals, all of them open; a cookie under an older key is sent again under the first. Inside are
//! the id, the secret, all fields of the record but its version, and with them the times of its
//! creation, its last use and its end: a copy that is presented after its end is refused.
//!
//! Name and value have at most 4,096 bytes together (RFC 6265bis section 5.6: what a browser must
//! keep). A session that would be larger is refused with
//! [`TooLarge`](crate::ErrorKind::TooLarge) when it is saved, before anything is sent.
//!
//! # Which rules hold
//!
//! | rule | holds | because |
//! |---|---|---|
//! | I1, I2, I3, I5: nothing but what this system sealed is let in; keys rotate | yes | |
//! | I4: after `login` or `renew` the old cookie is dead | no | a copy of it opens the session as it was, until its end |
//! | T1, T2, T4, T5: nothing stored, no cookie; no cost where no session is asked for; 500 discards | yes | |
//! | T7: saving after the response head has left | no | the cookie would be needed: `HeadSent` |
//! | C1 to C4: parallel requests lose no update of each other's, nothing comes back | no | the browser keeps the cookie that came last |
//! | C6: a flash is delivered once | not in parallel requests | |
//! | E1 to E3, E5: time-outs | yes | |
//! | A1: bound to the client's address | yes | |
//! | F1, F4: outages, what survives | | there is no store |
//! | F3: limits of size | yes | 4,096 bytes in place of `max_size`, if that is more |
//! | H1 to H6 | yes | |
//! | O1, O2: listing and ending an owner's sessions | no | [`Unsupported`](crate::ErrorKind::Unsupported) |
//!
//! So keep in it what may be seen again: a language, a basket; and give it short time-outs. Where
//! a logout must be final, use a store.
//!
//! ```
//! use session_core::{KeyRing, SessionConfig, SessionManager};
//!
//! let config = SessionConfig::builder().secret_key(KeyRing::generate()?).build()?;
//! let sessions = SessionManager::sealed(config)?;
//! # Ok::<(), session_core::Error>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::{Timestamp, millis};
use crate::config::SessionConfig;
use crate::data::Data;
use crate::error::{Error, ErrorKind, StoreError, StoreErrorKind};
use crate::expiry::Expiry;
use crate::id::{SessionId, Signed, Token};
use crate::limit::Limit;
use crate::manager::SessionManager;
use crate::record::{Generation, Owner, Record, Version};
use crate::sealing::{NotSealed, SealingKeys, TAG_BYTES, sealed_len};
use crate::store::{Created, Cursor, Only, Page, Store, Touch, Written};

impl SessionManager {
    /// A manager of sessions that live in their cookies (or whatever the transport is).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the configuration has no `secret_key`, or an `owner_sessions_max`.
    pub fn sealed(config: SessionConfig) -> Result<Self, Error> {
        let Some(ring) = &config.options.secret_key else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "sealed sessions need a secret_key: set one, the same on every node",
            ));
        };
        Limit::refuse_sealed(&config)?;
        let sealed = Arc::new(Sealed {
            keys: SealingKeys::new(ring, CONTEXT, KEY_NAME_CONTEXT, config.cookie.name()),
            name_bytes: config.cookie.name().len(),
        });
        Ok(Self::of(Nowhere, Arc::new(config), Some(sealed)))
    }

    /// The manager that one exchange works with: what it writes goes into its own cookie.
    pub(crate) fn of_exchange(&self, found: Option<(SessionId, &Record)>) -> Self {
        let Some(sealed) = self.sealed_by() else {
            return self.clone();
        };
        let records = found.map(|(id, record)| (id, record.clone()));
        let slot = Slot {
            sealed: Arc::clone(sealed),
            records: Mutex::new(records.into_iter().collect()),
        };
        Self::of(
            slot,
            Arc::clone(self.shared_config()),
            Some(Arc::clone(sealed)),
        )
    }
}

/// Seals sessions into their cookie and opens them.
pub(crate) struct Sealed {
    keys: SealingKeys,
    name_bytes: usize,
}

impl Sealed {
    /// The cookie's value for a session.
    pub(crate) fn seal(&self, token: &Token, record: &Record) -> Result<String, Error> {
        let text = self.keys.seal(BOUND, inside(token, record));
        let text = text.map_err(|why| match why {
            NotSealed::Random(error) => error,
            NotSealed::TooLarge => Error::new(ErrorKind::TooLarge, "the session is too large"),
        })?;
        self.check(text.len())
            .map_err(|message| Error::new(ErrorKind::TooLarge, message))?;
        Ok(text)
    }

    /// The session that a cookie's value holds; `None` if this system did not seal it.
    pub(crate) fn open(&self, text: &[u8]) -> Option<(Token, Record, Signed)> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let (inside, signed) = self.keys.open(BOUND, text).ok()?;
        let (token, record) = opened(&inside)?;
        Some((token, record, signed))
    }

    fn check(&self, value_bytes: usize) -> Result<(), String> {
        let bytes = self.name_bytes + value_bytes;
        if bytes > BYTES_MAX {
            return Err(format!(
                "the cookie would have {bytes} bytes with its name and browsers keep {BYTES_MAX}"
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

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
fn inside(token: &Token, record: &Record) -> Vec<u8> {
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

fn opened(inside: &[u8]) -> Option<(Token, Record)> {
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

/// The sessions of one exchange: the one that came with the request, and those begun since.
///
/// The manager reads and writes it as it does any store, so its rules need no exceptions; the
/// exchange's end seals what is in force.
struct Slot {
    sealed: Arc<Sealed>,
    records: Mutex<Vec<(SessionId, Record)>>,
}

impl Slot {
    fn records(&self) -> MutexGuard<'_, Vec<(SessionId, Record)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what would not fit into the cookie, before it counts as saved.
    fn check(&self, id: &SessionId, record: &Record) -> Result<(), StoreError> {
        let bytes = sealed_len(inside(&Token::blank(*id), record).len());
        let checked = self.sealed.check(bytes);
        checked.map_err(|message| StoreError::new(StoreErrorKind::TooLarge, message))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

#[async_trait]
impl Store for Slot {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        self.check(id, record)?;
        let mut records = self.records();
        if records.iter().any(|(known, _)| known == id) {
            return Ok(Created::Taken);
        }
        records.push((*id, record.clone()));
        Ok(Created::Done)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let records = self.records();
        let found = records.iter().find(|(known, _)| known == id);
        Ok(found.map(|(_, record)| record.clone()))
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        self.check(id, record)?;
        let mut records = self.records();
        let Some((_, stored)) = records.iter_mut().find(|(known, _)| known == id) else {
            return Ok(Written::Gone);
        };
        if stored.version != expected {
            return Ok(Written::Conflict);
        }
        let accessed_at = stored.accessed_at.max(record.accessed_at);
        *stored = Record {
            accessed_at,
            ..record.clone()
        };
        Ok(Written::Done)
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let mut records = self.records();
        let found = records.iter_mut().find(|(known, _)| known == id);
        Ok(match found.map(|(_, record)| record.touch(touch)) {
            Some(true) => Written::Done,
            Some(false) => Written::Conflict,
            None => Written::Gone,
        })
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let mut records = self.records();
        let Some(at) = records.iter().position(|(known, _)| known == id) else {
            return Ok(Written::Gone);
        };
        if let Only::Generation(generation) = only
            && records[at].1.generation != generation
        {
            return Ok(Written::Conflict);
        }
        records.swap_remove(at);
        Ok(Written::Done)
    }

    async fn owned_by(&self, _: &Owner) -> Result<Vec<SessionId>, StoreError> {
        Err(unsupported())
    }

    async fn scan(&self, _: Cursor, _: usize) -> Result<Page, StoreError> {
        Err(unsupported())
    }

    async fn sweep(&self, _: Timestamp, _: usize) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Where sealed sessions can be looked for from outside of an exchange.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Store for Nowhere {
    async fn create(&self, _: &SessionId, _: &Record) -> Result<Created, StoreError> {
        Err(unsupported())
    }

    async fn load(&self, _: &SessionId) -> Result<Option<Record>, StoreError> {
        Err(unsupported())
    }

    async fn update(&self, _: &SessionId, _: &Record, _: Version) -> Result<Written, StoreError> {
        Err(unsupported())
    }

    async fn touch(&self, _: &SessionId, _: &Touch) -> Result<Written, StoreError> {
        Err(unsupported())
    }

    async fn delete(&self, _: &SessionId, _: Only) -> Result<Written, StoreError> {
        Err(unsupported())
    }

    async fn owned_by(&self, _: &Owner) -> Result<Vec<SessionId>, StoreError> {
        Err(unsupported())
    }

    async fn scan(&self, _: Cursor, _: usize) -> Result<Page, StoreError> {
        Err(unsupported())
    }

    async fn sweep(&self, _: Timestamp, _: usize) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn unsupported() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unsupported,
        "sealed sessions are kept by their clients, so none can be looked up",
    )
}

/// RFC 6265bis section 5.6: name and value of a cookie that every browser keeps, in bytes.
const BYTES_MAX: usize = 4096;
const FORMAT: u8 = 1;
const BOUND: &[u8] = b"session-kit sealed session v1";
const CONTEXT: &str = "session-kit 2026-11-21 session sealing v1";
const KEY_NAME_CONTEXT: &str = "session-kit 2026-11-21 session sealing key id v1";

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
