//! The key ring: secret keys, and what is derived from them per purpose and cookie name.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Error, ErrorKind};
use crate::id::{MAC_BYTES, Signed, fill_random};

/// Secret keys: the first signs, all verify.
///
/// A token under an older key is sent again under the first. No key is used as it is: one is derived
/// from it for each purpose and cookie name, so a token made for one application's cookie is refused
/// under another's even when both share a key.
///
/// MACs are keyed BLAKE3 cut to 128 bits and keys are derived with BLAKE3's `derive_key`: on a
/// processor without SHA instructions a MAC costs a fraction of HMAC-SHA-256, one primitive
/// serves digest, derivation and MAC, and the `b` before the MAC leaves room for another.
///
/// ```
/// use session_core::KeyRing;
///
/// let old = [7_u8; 31];
/// assert!(KeyRing::new(&old).is_err(), "shorter than 32 bytes");
/// let ring = KeyRing::generate()?;
/// assert_eq!(format!("{ring:?}"), "KeyRing(1 key)");
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// # To change the key
///
/// Nodes are deployed one after the other, and a node signs out whoever comes with a token under a
/// key that it does not know. So the new key goes to every node before any of them signs with it:
///
/// 1. `OLD,NEW` on every node: the new key is added as an older one.
/// 2. `NEW,OLD` on every node: the new key signs. A token under the old one is sent again under the
///    new one when its session is next used.
/// 3. `NEW` on every node, once the last session under the old key has been used or has ended: the
///    longest time-out of any session after the last node took step 2. Longer time-outs than
///    [`timeout`](crate::SessionConfigBuilder::timeout) are those that `remember` and `set_timeout` give.
///
/// Each step ends before the next begins. A key that leaked is dropped at once instead, on every node.
///
/// Whose token is under a dropped key is signed out: they get a new session, as if they had come
/// without a token. The record of the old one stays in the store until it expires, and in the
/// owner's list of devices. What is sealed under a dropped key cannot be opened: a cookie of
/// `SessionManager::sealed` counts as none. A store of revocations and a store that is encrypted at rest
/// need the old key for longer: see `SessionManager::sealed_with_revocations` and `wrap::Encrypted`.
#[derive(Clone)]
pub struct KeyRing(Vec<Zeroizing<Vec<u8>>>);

impl KeyRing {
    /// The fewest bytes a key may have.
    pub const KEY_BYTES_MIN: usize = 32;

    /// A ring of one key, which signs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: under 32 bytes, or one byte repeated, which is no secret.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        Ok(Self(vec![checked(key)?]))
    }

    /// A ring of keys in base64, as `openssl rand -base64 32` prints one; several are separated
    /// by commas, the one that signs first.
    ///
    /// The standard and the URL-safe alphabet are read, with padding or without; white space
    /// around a key is ignored.
    ///
    /// ```
    /// use session_core::KeyRing;
    ///
    /// # let (new, old) = ("wJ3kFzX0cJp5m0b1bq1oX0yq3y5x4m2v7cZt9QxYbE8=", "T2xkIGtleXMgYXJlIGtlcHQgZm9yIGEgd2hpbGUuLi4");
    /// let ring = KeyRing::from_base64(&format!("{new}, {old}"))?;
    /// assert_eq!(format!("{ring:?}"), "KeyRing(2 keys)");
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: a key is no base64, or as for [`new`](Self::new). No message holds
    /// any of a key.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let keys = text.split(',').map(|key| checked(&decoded(key.trim())?));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// A ring of one key drawn from the operating system's generator.
    ///
    /// Tokens signed by it are worthless after a restart, unless it is written down with
    /// [`expose_first`](Self::expose_first).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut key = Zeroizing::new(vec![0; Self::KEY_BYTES_MIN]);
        fill_random(&mut key)?;
        Ok(Self(vec![key]))
    }

    /// The same ring with an older key, which only verifies. It is also how a new key
    /// [begins](Self#to-change-the-key).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: as for [`new`](Self::new).
    pub fn and_older(mut self, key: &[u8]) -> Result<Self, Error> {
        self.0.push(checked(key)?);
        Ok(self)
    }

    /// The bytes of the key that signs, to be written to a file only its owner can read.
    #[must_use]
    pub fn expose_first(&self) -> &[u8] {
        &self.0[0]
    }

    pub(crate) fn token_keys(&self, cookie_name: &str) -> TokenKeys {
        let keys = self.derived(TOKEN_MAC_CONTEXT, cookie_name);
        TokenKeys(keys.map(|key| *key).collect())
    }

    /// A key for one purpose and name from each secret key, in the ring's order.
    pub(crate) fn derived(
        &self,
        context: &'static str,
        name: &str,
    ) -> impl Iterator<Item = Zeroizing<[u8; 32]>> {
        self.0.iter().map(move |key| {
            let mut material = Zeroizing::new(Vec::with_capacity(key.len() + name.len() + 8));
            material.extend_from_slice(&(key.len() as u64).to_le_bytes());
            material.extend_from_slice(key);
            material.extend_from_slice(name.as_bytes());
            Zeroizing::new(blake3::derive_key(context, &material))
        })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "KeyRing({count} key{plural})")
    }
}

/// Keys that sign the tokens of one cookie name.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TokenKeys(Vec<[u8; 32]>);

impl TokenKeys {
    pub(crate) fn sign(&self, input: &[u8]) -> [u8; MAC_BYTES] {
        mac(&self.0[0], input)
    }

    /// Which key made `tag`, compared in constant time; `None` when no key did.
    pub(crate) fn verify(&self, input: &[u8], tag: &[u8; MAC_BYTES]) -> Option<Signed> {
        let position = self
            .0
            .iter()
            .position(|key| constant_time_eq::constant_time_eq_16(&mac(key, input), tag))?;
        Some(if position == 0 {
            Signed::Current
        } else {
            Signed::Older
        })
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys(..)")
    }
}

const TOKEN_MAC_CONTEXT: &str = "session-kit 2026-11-21 token mac v1";

fn mac(key: &[u8; 32], input: &[u8]) -> [u8; MAC_BYTES] {
    let full = blake3::keyed_hash(key, input);
    let mut cut = [0; MAC_BYTES];
    cut.copy_from_slice(&full.as_bytes()[..MAC_BYTES]);
    cut
}

/// The decoder's own error would tell of a character of the key and its place.
fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let spellings = [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD];
    let decode = |spelling: &data_encoding::Encoding| spelling.decode(text.as_bytes()).ok();
    let key = spellings.iter().find_map(decode).ok_or_else(|| {
        Error::new(
            ErrorKind::Invalid,
            "the secret key is no base64: make one with `openssl rand -base64 32`",
        )
    })?;
    Ok(Zeroizing::new(key))
}

fn checked(key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let least = KeyRing::KEY_BYTES_MIN;
    if key.len() < least {
        let got = key.len();
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "the secret key has {got} bytes and needs at least {least}: make one with `openssl rand -base64 32`"
            ),
        ));
    }
    if key.iter().all(|byte| *byte == key[0]) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "the secret key is one byte repeated: draw a random one",
        ));
    }
    Ok(Zeroizing::new(key.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Token;

    fn ring() -> KeyRing {
        KeyRing::new(b"0123456789abcdef0123456789abcdef").unwrap()
    }

    #[test]
    fn i3_a_short_or_constant_key_is_refused() {
        assert_eq!(
            KeyRing::new(&[1, 2, 3]).unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(
            KeyRing::new(&[9; 64]).unwrap_err().kind(),
            ErrorKind::Invalid
        );
        let error = ring().and_older(b"short").unwrap_err();
        assert!(error.to_string().contains("5 bytes"), "{error}");
    }

    #[test]
    fn a_key_is_read_in_every_spelling_of_base64() {
        let key = [vec![0xfa; 31], vec![0xff, 0xef]].concat();
        for key in [
            &key[..],
            &[&key[..], b"x"].concat(),
            &[&key[..], b"xy"].concat(),
        ] {
            for spelling in [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD] {
                let text = spelling.encode(key);
                assert!(
                    text.contains(['+', '-']) && text.contains(['/', '_']),
                    "{text}"
                );
                let ring = KeyRing::from_base64(&format!(" {text}\n")).unwrap();
                assert_eq!(ring.expose_first(), key);
            }
        }
    }

    #[test]
    fn i3_the_first_key_of_a_list_signs_and_all_verify() {
        let [new, old] = [b'n', b'o'].map(|first| {
            let mut key = b"0123456789abcdef0123456789abcdef".to_vec();
            key[0] = first;
            key
        });
        let list = format!("{},{}", BASE64.encode(&new), BASE64URL.encode(&old));
        let ring = KeyRing::from_base64(&list).unwrap();
        let token = Token::random().unwrap();
        for (key, signed) in [(&new, Signed::Current), (&old, Signed::Older)] {
            let text = token.expose(Some(&KeyRing::new(key).unwrap().token_keys("sid")));
            let (_, by) = Token::parse(text.as_bytes(), Some(&ring.token_keys("sid"))).unwrap();
            assert_eq!(by, signed);
        }
    }

    #[test]
    fn i3_a_bad_key_in_base64_is_refused_and_not_told() {
        let good = BASE64.encode(b"0123456789abcdef0123456789abcdef");
        let zeros = BASE64.encode(&[0; 32]);
        for (text, part) in [
            ("", "0 bytes"),
            ("c2hvcnQ=", "5 bytes"),
            (&zeros, "one byte repeated"),
            ("not base64!", "no base64"),
            (&good[1..], "no base64"),
            (&good.replace('M', "+").replace('Y', "_"), "no base64"),
            (&format!("{good},"), "0 bytes"),
            (&format!("{good},{zeros}"), "one byte repeated"),
            (&format!("{good};{good}"), "no base64"),
        ] {
            let error = KeyRing::from_base64(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let told = format!("{error} {error:?}");
            assert!(told.contains(part), "{part}: {told}");
            assert!(text.is_empty() || !told.contains(text), "{told}");
            assert!(!told.contains("MDEy"), "{told}");
        }
    }

    #[test]
    fn i3_the_first_key_signs_and_all_verify() {
        let token = Token::random().unwrap();
        let old = ring();
        let new = KeyRing::generate()
            .unwrap()
            .and_older(old.expose_first())
            .unwrap();
        let under_old = token.expose(Some(&old.token_keys("sid")));
        let (back, signed) =
            Token::parse(under_old.as_bytes(), Some(&new.token_keys("sid"))).unwrap();
        assert_eq!((back.id(), signed), (token.id(), Signed::Older));
        let under_new = token.expose(Some(&new.token_keys("sid")));
        let (_, signed) = Token::parse(under_new.as_bytes(), Some(&new.token_keys("sid"))).unwrap();
        assert_eq!(signed, Signed::Current);
        assert!(Token::parse(under_new.as_bytes(), Some(&old.token_keys("sid"))).is_err());
    }

    #[test]
    fn i3_a_token_of_one_cookie_name_is_refused_under_another() {
        let token = Token::random().unwrap();
        let text = token.expose(Some(&ring().token_keys("app_a")));
        assert!(Token::parse(text.as_bytes(), Some(&ring().token_keys("app_b"))).is_err());
    }

    #[test]
    fn i1_no_key_shows_in_debug_output() {
        let keys = ring().token_keys("sid");
        assert_eq!(
            format!("{keys:?} {:?}", ring()),
            "TokenKeys(..) KeyRing(1 key)"
        );
    }
}
