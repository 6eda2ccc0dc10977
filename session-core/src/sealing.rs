//! Sealing under the key ring: XChaCha20-Poly1305, the key named in front of the text.
//!
//! ```text
//! v1.<key>.<base64url of nonce, ciphertext and tag>
//! ```
//!
//! The first key seals, all of them open. `<key>` is derived from the key and tells nothing
//! about it.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD as BASE64URL;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::id::{Signed, fill_random};
use crate::keys::KeyRing;

/// Keys for one purpose and name.
pub(crate) struct SealingKeys(Vec<SealingKey>);

struct SealingKey {
    name: String,
    cipher: XChaCha20Poly1305,
}

/// Why nothing was sealed.
#[derive(Debug)]
pub(crate) enum NotSealed {
    Random(Error),
    TooLarge,
}

/// Why a sealed text opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    Malformed,
    NewerFormat,
    UnknownKey,
    /// Altered, or sealed for another place.
    Refused,
}

impl SealingKeys {
    /// The keys that follow from a ring's; `key_name_context` names them.
    pub(crate) fn new(
        ring: &KeyRing,
        context: &'static str,
        key_name_context: &'static str,
        name: &str,
    ) -> Self {
        let keys = ring.derived(context, name).map(|key| {
            let name = blake3::derive_key(key_name_context, &*key);
            SealingKey {
                name: BASE64URL.encode(&name[..KEY_NAME_BYTES]),
                cipher: XChaCha20Poly1305::new((&*key).into()),
            }
        });
        Self(keys.collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Seals `inside`, bound to `bound`.
    pub(crate) fn seal(&self, bound: &[u8], mut inside: Vec<u8>) -> Result<String, NotSealed> {
        let first = &self.0[0];
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce).map_err(NotSealed::Random)?;
        let mut text = String::with_capacity(sealed_len(inside.len()));
        first
            .cipher
            .encrypt_in_place(&XNonce::from(nonce), bound, &mut inside)
            .map_err(|_| NotSealed::TooLarge)?;
        text.push_str(FORMAT);
        text.push_str(&first.name);
        text.push('.');
        // 24 bytes are 32 characters exactly, so the two parts are one text.
        BASE64URL.encode_append(&nonce, &mut text);
        BASE64URL.encode_append(&inside, &mut text);
        Ok(text)
    }

    /// What is inside, and whether the first key sealed it.
    pub(crate) fn open(
        &self,
        bound: &[u8],
        text: &str,
    ) -> Result<(Zeroizing<Vec<u8>>, Signed), NotOpened> {
        let Some(rest) = text.strip_prefix(FORMAT) else {
            let newer = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
            return match newer.and_then(|(number, _)| number.parse::<u32>().ok()) {
                Some(2..) => Err(NotOpened::NewerFormat),
                _ => Err(NotOpened::Malformed),
            };
        };
        let (name, encoded) = rest.split_once('.').ok_or(NotOpened::Malformed)?;
        let position = self.0.iter().position(|key| key.name == name);
        let position = position.ok_or(NotOpened::UnknownKey)?;
        let bytes = BASE64URL.decode(encoded.as_bytes());
        // What is sealed is opened where it stands.
        let mut inside = Zeroizing::new(bytes.map_err(|_| NotOpened::Malformed)?);
        let (nonce, sealed) = inside
            .split_first_chunk_mut::<NONCE_BYTES>()
            .ok_or(NotOpened::Malformed)?;
        let (sealed, tag) = sealed
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(NotOpened::Refused)?;
        self.0[position]
            .cipher
            .decrypt_inout_detached(&XNonce::from(*nonce), bound, sealed.into(), &(*tag).into())
            .map_err(|_| NotOpened::Refused)?;
        let end = NONCE_BYTES + sealed.len();
        inside.truncate(end);
        inside.drain(..NONCE_BYTES);
        let signed = if position == 0 {
            Signed::Current
        } else {
            Signed::Older
        };
        Ok((inside, signed))
    }
}

/// The length of the text that seals so many bytes.
pub(crate) fn sealed_len(inside_bytes: usize) -> usize {
    FORMAT.len() + KEY_NAME_LEN + 1 + BASE64URL.encode_len(NONCE_BYTES + inside_bytes + TAG_BYTES)
}

const FORMAT: &str = "v1.";
const KEY_NAME_BYTES: usize = 6;
const KEY_NAME_LEN: usize = 8;
const NONCE_BYTES: usize = 24;
/// Room for it in what is sealed saves a copy.
pub(crate) const TAG_BYTES: usize = 16;
