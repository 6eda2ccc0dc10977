//! Encryption at rest: what a session says is unreadable, and cannot be altered, in the store.
//!
//! # What is sealed, what stays plain
//!
//! Sealed with XChaCha20-Poly1305 are `data`, `own`, `address` and `agent`. The record that the
//! store keeps is an ordinary one: without `own`, `address` and `agent`, and with data of the
//! form
//!
//! ```text
//! {"sealed":"v1.<key>.<base64url of nonce, ciphertext and tag>"}
//! ```
//!
//! These stay plain, because stores and the manager work by them:
//!
//! | field | why | bound |
//! |---|---|---|
//! | `version`, `generation` | conditional writes | yes |
//! | `created`, `timeout`, `ends`, `own_timeout`, `persistent` | expiry, sweep | yes |
//! | `accessed`, `expires` | `touch` moves them | no |
//! | `secret`, `secret_at`, `previous` | digests, which open nothing | yes |
//! | `owner` | the index; an internal id serves better than an e-mail address | yes |
//!
//! The length of the sealed text tells the length of what is inside, to the byte.
//!
//! # Rules
//!
//! - *Bound* fields and the session's id are associated data: whoever can write to the store
//!   but has no key cannot move a record to another id, put a secret's digest or an owner of
//!   their own into it, or take data from one version to another. Such a record is
//!   [`Corrupt`](crate::StoreErrorKind::Corrupt). They can still delete a record, or put a
//!   whole earlier one back under its own id, and keep it alive by its `accessed`.
//! - A record that is not sealed is `Corrupt` too, unless [`Encrypted::accept_plain`] is asked
//!   for. Nothing is ever stored in plain text.
//! - The first key of the ring seals, all of them open; `<key>` names the one. It is derived
//!   from the key and tells nothing about it. A record is sealed under the first key when it is
//!   next written.
//! - Every write draws a new nonce of 192 bits from the operating system: enough for any number
//!   of writes under one key.
//! - Undecodable records can be deleted, revoked and swept as everywhere.
//!
//! To rotate without a fault, first add the new key as an older one on every node, then make it
//! the first. A key that was removed makes the records under it `Corrupt`.
//!
//! A program in another language opens a record with the ring's key `K` (its bytes, of length
//! `n`): the key is BLAKE3 `derive_key("session-kit 2026-11-21 record sealing v1", n as 8 bytes
//! little-endian, K)`, `<key>` is the base64url of the first 6 bytes of
//! `derive_key("session-kit 2026-11-21 record sealing key id v1", key)`. The associated data are
//! these lines, joined by `\n`: `session-kit sealed record v1`, id, version, generation, created,
//! timeout, ends, `own_timeout`, persistent, secret, `secret_at`, the previous secret's digest,
//! until and valid joined by spaces, `=` and the owner; each as the record's JSON has it, without
//! padding, and `null` for what is absent. Inside is a JSON object with `address`, `agent`,
//! `own`, `index` (lengths; may be left out) and `data`.
//!
//! # Cost
//!
//! About 180 bytes and a third of the data's size in the store, and a few microseconds for a
//! session of some kilobytes.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD as BASE64URL;

use crate::clock::Timestamp;
use crate::data::Data;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::{SessionId, fill_random};
use crate::keys::KeyRing;
use crate::record::{Owner, Record, Version};
use crate::store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};

mod inside;

use self::inside::{bound, inside, opened};

/// Seals what is personal in each record before a store gets it (rule W2).
///
/// ```
/// use session_core::wrap::Encrypted;
/// use session_core::{Clock, Data, Expiry, KeyRing, MemoryStore, Record, Store, Token};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backend: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let store = Encrypted::new(Arc::clone(&backend), &KeyRing::generate()?);
///
/// let token = Token::random()?;
/// let mut record = Record::new(token.digest(), Clock::system().now(), Expiry::NEVER)?;
/// record.data = Data::parse(r#"{"diagnosis":"flu"}"#)?;
/// let _ = store.create(&token.id(), &record).await?;
///
/// let kept = backend.load(&token.id()).await?.unwrap();
/// assert!(!kept.encode().contains("flu"));
/// assert_eq!(store.load(&token.id()).await?, Some(record));
/// # Ok(())
/// # }
/// ```
pub struct Encrypted {
    inner: Arc<dyn Store>,
    /// The first seals, all open.
    keys: Vec<SealingKey>,
    accept_plain: bool,
}

struct SealingKey {
    name: String,
    cipher: XChaCha20Poly1305,
}

impl Encrypted {
    /// Seals records in front of `store` under keys derived from `ring`.
    ///
    /// A ring that also signs tokens may be used: each purpose has its own derived keys.
    #[must_use]
    pub fn new(store: impl IntoStore, ring: &KeyRing) -> Self {
        let keys = ring.derived(SEALING_CONTEXT, "").map(|key| {
            let name = blake3::derive_key(KEY_NAME_CONTEXT, &*key);
            SealingKey {
                name: BASE64URL.encode(&name[..KEY_NAME_BYTES]),
                cipher: XChaCha20Poly1305::new((&*key).into()),
            }
        });
        Self {
            inner: store.into_store(),
            keys: keys.collect(),
            accept_plain: false,
        }
    }

    /// Also loads records that were stored before encryption was turned on; each is sealed when
    /// it is next written.
    ///
    /// # Cost
    ///
    /// Whoever can write to the store can then plant or alter records in plain text, so turn it
    /// off once [`scan`](Store::scan) finds none. It is logged as a warning.
    #[must_use]
    pub fn accept_plain(mut self) -> Self {
        tracing::warn!(target: "session", "records in plain text are accepted");
        self.accept_plain = true;
        self
    }

    fn seal(&self, id: &SessionId, record: &Record) -> Result<Record, StoreError> {
        let first = &self.keys[0];
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce).map_err(|source| {
            StoreError::new(StoreErrorKind::Unavailable, "sealing the session failed")
                .caused_by(source)
        })?;
        let too_large =
            || StoreError::new(StoreErrorKind::TooLarge, "the session is too large to seal");
        let mut buffer = inside(record).into_bytes();
        first
            .cipher
            .encrypt_in_place(&XNonce::from(nonce), &bound(id, record), &mut buffer)
            .map_err(|_| too_large())?;

        let encoded = BASE64URL.encode_len(NONCE_BYTES + buffer.len());
        let mut text = String::with_capacity(FORMAT.len() + first.name.len() + encoded + 3);
        text.push('"');
        text.push_str(FORMAT);
        text.push_str(&first.name);
        text.push('.');
        // 24 bytes are 32 characters exactly, so the two parts are one text.
        BASE64URL.encode_append(&nonce, &mut text);
        BASE64URL.encode_append(&buffer, &mut text);
        text.push('"');
        let entry = [(SEALED, text.as_str())];
        let data = Data::build(entry.into_iter(), text.len() + SEALED.len() + 5, 1)
            .map_err(|source| too_large().caused_by(source))?;
        Ok(Record {
            address: None,
            agent: None,
            own: Data::new(),
            data,
            ..record.clone()
        })
    }

    fn open(&self, id: &SessionId, record: Record) -> Result<Record, StoreError> {
        let Some(text) = sealed_text(&record.data) else {
            return if self.accept_plain {
                Ok(record)
            } else {
                Err(corrupt("the stored record is not sealed"))
            };
        };
        let rest = text.strip_prefix(FORMAT).ok_or_else(|| {
            let newer = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
            match newer.and_then(|(number, _)| number.parse::<u32>().ok()) {
                Some(2..) => StoreError::new(
                    StoreErrorKind::NewerFormat,
                    "the record is sealed in a newer format",
                ),
                _ => corrupt("the sealed text is malformed"),
            }
        })?;
        if !record.own.is_empty() || record.address.is_some() || record.agent.is_some() {
            return Err(corrupt("the sealed record has plain parts beside it"));
        }
        let (name, encoded) = rest
            .split_once('.')
            .ok_or_else(|| corrupt("the sealed text is malformed"))?;
        let key = self
            .keys
            .iter()
            .find(|key| key.name == name)
            .ok_or_else(|| corrupt("the record is sealed under a key that is not in the ring"))?;
        let bytes = BASE64URL
            .decode(encoded.as_bytes())
            .map_err(|source| corrupt("the sealed text is malformed").caused_by(source))?;
        let (nonce, sealed) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(|| corrupt("the sealed text is malformed"))?;
        let mut buffer = sealed.to_vec();
        key.cipher
            .decrypt_in_place(&XNonce::from(*nonce), &bound(id, &record), &mut buffer)
            .map_err(|_| corrupt("the sealed record was altered or belongs to another id"))?;
        opened(record, &buffer)
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted")
            .field("inner", &self.inner)
            .field("keys", &self.keys.len())
            .field("accept_plain", &self.accept_plain)
            .finish()
    }
}

#[async_trait]
impl Store for Encrypted {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let sealed = self.seal(id, record)?;
        self.inner.create(id, &sealed).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let record = self.inner.load(id).await?;
        record.map(|record| self.open(id, record)).transpose()
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let sealed = self.seal(id, record)?;
        self.inner.update(id, &sealed, expected).await
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        self.inner.touch(id, touch).await
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        self.inner.delete(id, only).await
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        self.inner.owned_by(owner).await
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        self.inner.scan(cursor, limit).await
    }

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.inner.sweep(expired_before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

const SEALING_CONTEXT: &str = "session-kit 2026-11-21 record sealing v1";
const KEY_NAME_CONTEXT: &str = "session-kit 2026-11-21 record sealing key id v1";
const KEY_NAME_BYTES: usize = 6;
const NONCE_BYTES: usize = 24;
const SEALED: &str = "sealed";
const FORMAT: &str = "v1.";

/// The text of data that has the form of sealed data, whatever is in it.
fn sealed_text(data: &Data) -> Option<&str> {
    if data.len() != 1 {
        return None;
    }
    data.raw(SEALED)?.strip_prefix('"')?.strip_suffix('"')
}

fn corrupt(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, message)
}

#[cfg(test)]
#[path = "encrypted_tests.rs"]
mod tests;
