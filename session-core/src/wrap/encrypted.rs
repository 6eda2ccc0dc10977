//! Encryption at rest: what a session says is unreadable, and cannot be altered, in the store.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::data::Data;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::keys::KeyRing;
use crate::record::{Owner, Record, Version};
use crate::sealing::{NotOpened, NotSealed, SealingKeys};
use crate::store::{Created, Cursor, IntoStore, Only, Page, Store, Touch, Written};
use async_trait::async_trait;

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
///
/// # What is sealed, what stays plain
///
/// Sealed with XChaCha20-Poly1305 are `data`, `own`, `address` and `agent`. The record that the
/// store keeps is an ordinary one: without `own`, `address` and `agent`, and with data of the
/// form
///
/// ```text
/// {"sealed":"v1.<key>.<base64url of nonce, ciphertext and tag>"}
/// ```
///
/// These stay plain, because stores and the manager work by them:
///
/// | field | why | bound |
/// |---|---|---|
/// | `version`, `generation` | conditional writes | yes |
/// | `created`, `timeout`, `ends`, `own_timeout`, `persistent` | expiry, sweep | yes |
/// | `accessed`, `expires` | `touch` moves them | no |
/// | `secret`, `secret_at`, `previous` | digests, which open nothing | yes |
/// | `owner` | the index; an internal id serves better than an e-mail address | yes |
///
/// The length of the sealed text tells the length of what is inside, to the byte.
///
/// # Rules
///
/// - *Bound* fields and the session's id are associated data: whoever can write to the store
///   but has no key cannot move a record to another id, put a secret's digest or an owner of
///   their own into it, or take data from one version to another. Such a record is
///   [`Corrupt`](crate::StoreErrorKind::Corrupt). They can still delete a record, or put a
///   whole earlier one back under its own id, and keep it alive by its `accessed`.
/// - A record that is not sealed is `Corrupt` too, unless [`Encrypted::accept_plain`] is asked
///   for. Nothing is ever stored in plain text.
/// - The first key of the ring seals, all of them open; `<key>` names the one. It is derived
///   from the key and tells nothing about it. A record is sealed under the first key when it is
///   next written.
/// - Every write draws a new nonce of 192 bits from the operating system: enough for any number
///   of writes under one key.
/// - Undecodable records can be deleted, revoked and swept as everywhere.
///
/// A key is [changed in three steps](KeyRing#to-change-the-key): add the new one as an older one on
/// every node, then make it the first, then drop the old one. A key that was dropped makes the records
/// under it `Corrupt`, and by default their users are signed out. A session that is only read is not
/// written, so its record stays under the old key for as long as it is used. What ends that is an
/// [`absolute_timeout`](crate::SessionConfigBuilder::absolute_timeout), or a
/// [`renew_every`](crate::SessionConfigBuilder::renew_every), which writes.
///
/// A program in another language opens a record with the ring's key `K` (its bytes, of length
/// `n`): the key is BLAKE3 `derive_key("session-kit 2026-11-21 record sealing v1", n as 8 bytes
/// little-endian, K)`, `<key>` is the base64url of the first 6 bytes of
/// `derive_key("session-kit 2026-11-21 record sealing key id v1", key)`. The associated data are
/// these lines, joined by `\n`: `session-kit sealed record v1`, id, version, generation, created,
/// timeout, ends, `own_timeout`, persistent, secret, `secret_at`, the previous secret's digest,
/// until and valid joined by spaces, `=` and the owner; each as the record's JSON has it, without
/// padding, and `null` for what is absent. Inside is a JSON object with `address`, `agent`,
/// `own`, `index` (lengths; may be left out) and `data`.
///
/// # Cost
///
/// About 180 bytes and a third of the data's size in the store, and a few microseconds for a
/// session of some kilobytes.
pub struct Encrypted {
    inner: Arc<dyn Store>,
    keys: SealingKeys,
    accept_plain: bool,
}

impl Encrypted {
    /// Seals records in front of `store` under keys derived from `ring`.
    ///
    /// A ring that also signs tokens may be used: each purpose has its own derived keys.
    #[must_use]
    pub fn new(store: impl IntoStore, ring: &KeyRing) -> Self {
        Self {
            inner: store.into_store(),
            keys: SealingKeys::new(ring, SEALING_CONTEXT, KEY_NAME_CONTEXT, ""),
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
        let too_large =
            || StoreError::new(StoreErrorKind::TooLarge, "the session is too large to seal");
        let sealed = self
            .keys
            .seal(&bound(id, record), inside(record).into_bytes())
            .map_err(|why| match why {
                NotSealed::TooLarge => too_large(),
                NotSealed::Random(source) => {
                    StoreError::new(StoreErrorKind::Unavailable, "sealing the session failed")
                        .caused_by(source)
                }
            })?;
        let text = format!("\"{sealed}\"");
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
        let (buffer, _) = self
            .keys
            .open(&bound(id, &record), text)
            .map_err(|why| match why {
                NotOpened::Malformed => corrupt("the sealed text is malformed"),
                NotOpened::NewerFormat => StoreError::new(
                    StoreErrorKind::NewerFormat,
                    "the record is sealed in a newer format",
                ),
                NotOpened::UnknownKey => {
                    corrupt("the record is sealed under a key that is not in the ring")
                }
                NotOpened::Refused => {
                    corrupt("the sealed record was altered or belongs to another id")
                }
            })?;
        if !record.own.is_empty() || record.address.is_some() || record.agent.is_some() {
            return Err(corrupt("the sealed record has plain parts beside it"));
        }
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
const SEALED: &str = "sealed";

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
