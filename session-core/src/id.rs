//! Session ids, secrets and the tokens that carry them: the one file that makes them.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE64URL_NOPAD as BASE64URL;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::{Error, ErrorKind};
use crate::keys::TokenKeys;

/// The name of a record: 128 random bits, written as 22 characters of base64url.
///
/// It can only be drawn or parsed, so whatever holds one holds exactly 16 bytes; no path, key
/// or statement is ever built from anything a client sent unparsed. In JSON it is the text, and what
/// is read is checked as by `parse`.
///
/// ```
/// use session_core::SessionId;
///
/// let id = SessionId::random()?;
/// let text = id.to_string();
/// assert_eq!(text.len(), SessionId::TEXT_LEN);
/// assert_eq!(text.parse::<SessionId>().unwrap(), id);
/// assert!(format!("{text}\n").parse::<SessionId>().is_err());
/// assert!(serde_json::from_str::<SessionId>(r#""../../etc/passwd""#).is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; Self::BYTES]);

impl SessionId {
    /// Length in bytes.
    pub const BYTES: usize = 16;
    /// Length of the text form in characters.
    pub const TEXT_LEN: usize = 22;

    /// A new id from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; Self::BYTES];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id of these bytes, as a store kept them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The id as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The id as text, without an allocation.
    ///
    /// ```
    /// # use session_core::SessionId;
    /// let id = SessionId::from_bytes([0; 16]);
    /// assert_eq!(id.encode().as_str(), "AAAAAAAAAAAAAAAAAAAAAA");
    /// ```
    #[must_use]
    pub fn encode(&self) -> IdText {
        let mut text = [0; Self::TEXT_LEN];
        BASE64URL.encode_mut(&self.0, &mut text);
        IdText(text)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode().as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = BadToken;

    /// Parses exactly 22 characters of base64url whose unused trailing bits are zero.
    fn from_str(text: &str) -> Result<Self, BadToken> {
        decode_exact(text.as_bytes()).map(Self)
    }
}

/// The text of a [`SessionId`]: 22 ASCII characters on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText([u8; SessionId::TEXT_LEN]);

impl IdText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64url is ASCII")
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What only the client holds: 256 random bits, wiped from memory when dropped.
///
/// It has no text form of its own, its `Debug` shows nothing, and it cannot be compared except
/// through its [`Digest`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; Self::BYTES]);

impl Secret {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// A new secret from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; Self::BYTES];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// What a record keeps of this secret: BLAKE3 over the id and the secret.
    ///
    /// 256 uniformly random bits cannot be guessed, so a slow hash would add cost and no safety.
    #[must_use]
    pub fn digest(&self, id: &SessionId) -> Digest {
        Token::new(*id, self.clone()).digest()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The digest of a [`Secret`] under its id; equality takes constant time.
///
/// As text it carries the algorithm, `b3.` and 43 characters of base64url, so that another
/// algorithm can be told apart.
///
/// ```
/// use session_core::{Digest, Secret, SessionId};
///
/// let (id, secret) = (SessionId::random()?, Secret::random()?);
/// let digest = secret.digest(&id);
/// assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
/// assert_ne!(secret.digest(&SessionId::random()?), digest);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    const TAG: &'static str = "b3.";
    /// Length of the text form in characters.
    pub const TEXT_LEN: usize = 46;

    /// Writes what `Display` does.
    pub(crate) fn append_to(&self, text: &mut String) {
        text.push_str(Self::TAG);
        BASE64URL.encode_append(&self.0, text);
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq::constant_time_eq_32(&self.0, &other.0)
    }
}

impl Eq for Digest {}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 43];
        BASE64URL.encode_mut(&self.0, &mut text);
        f.write_str(Self::TAG)?;
        f.write_str(std::str::from_utf8(&text).expect("base64url is ASCII"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl FromStr for Digest {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let text = text.strip_prefix(Self::TAG).ok_or(BadToken)?;
        decode_exact(text.as_bytes()).map(Self)
    }
}

/// What travels between client and server: `id.secret`, plus `.mac` where a secret key is set, in
/// base64url without padding (RFC 4648 section 5).
///
/// The [`SessionId`] (128 random bits) names a record for its whole life and is public: safe in
/// stores, logs and device lists. The [`Secret`] (256 random bits) is held by the client alone; a
/// record keeps only its [`Digest`], so a leaked store or backup opens no session. Everything random
/// comes straight from the operating system.
///
/// ```
/// use session_core::Token;
///
/// let token = Token::random()?;
/// let text = token.expose(None);
/// let (parsed, _) = Token::parse(text.as_bytes(), None).unwrap();
/// assert_eq!(parsed.id(), token.id());
/// assert_eq!(format!("{:?}", token), format!("Token({}..)", token.id()));
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// # Source
///
/// OWASP Session Management Cheat Sheet, "Session ID Entropy": it asks for 64 bits of entropy.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Token {
    /// Id and secret side by side, as MAC and digest take them: each copy would have to be wiped.
    bytes: [u8; Self::BYTES],
}

/// Which key of the ring signed a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The first one, or no key is configured.
    Current,
    /// An older one: the client should be sent the token anew.
    Older,
}

impl Token {
    const BYTES: usize = SessionId::BYTES + Secret::BYTES;
    /// Length of an unsigned token's text.
    pub const TEXT_LEN: usize = SessionId::TEXT_LEN + 1 + 43;
    /// Length of a signed token's text.
    pub const SIGNED_TEXT_LEN: usize = Self::TEXT_LEN + 1 + MAC_TEXT_LEN;

    /// A new id and secret, drawn together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut token = Self::unset();
        fill_random(&mut token.bytes)?;
        Ok(token)
    }

    /// The token of this id and secret.
    #[must_use]
    pub fn new(id: SessionId, secret: Secret) -> Self {
        let mut token = Self::unset();
        token.bytes[..SessionId::BYTES].copy_from_slice(&id.0);
        token.bytes[SessionId::BYTES..].copy_from_slice(&secret.0);
        token
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let (id, _) = self
            .bytes
            .split_first_chunk()
            .expect("it is longer than an id");
        SessionId(*id)
    }

    /// What the record keeps of the secret.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(*blake3::hash(&self.bytes).as_bytes())
    }

    /// The text to send, signed by the first of `keys`: the only way a secret leaves.
    #[must_use]
    pub fn expose(&self, keys: Option<&TokenKeys>) -> String {
        let mut text = String::with_capacity(Self::SIGNED_TEXT_LEN);
        let (id, secret) = self.bytes.split_at(SessionId::BYTES);
        BASE64URL.encode_append(id, &mut text);
        text.push('.');
        BASE64URL.encode_append(secret, &mut text);
        if let Some(keys) = keys {
            text.push('.');
            text.push(MAC_TAG);
            BASE64URL.encode_append(&keys.sign(&self.bytes), &mut text);
        }
        text
    }

    /// Parses exactly the text [`expose`](Self::expose) makes under one of `keys`.
    ///
    /// Length and alphabet must match to the character, trailing bits included; the MAC is
    /// compared in constant time. With keys an unsigned token is refused, without keys a signed
    /// one, so a setting that is lost fails closed.
    ///
    /// # Errors
    ///
    /// [`BadToken`], which does not say what was wrong.
    pub fn parse(text: &[u8], keys: Option<&TokenKeys>) -> Result<(Self, Signed), BadToken> {
        let (plain, mac) = match keys {
            None => (text, None),
            Some(keys) => {
                if text.len() != Self::SIGNED_TEXT_LEN {
                    return Err(BadToken);
                }
                let (plain, mac) = text.split_at(Self::TEXT_LEN);
                (plain, Some((keys, mac)))
            }
        };
        if plain.len() != Self::TEXT_LEN || plain[SessionId::TEXT_LEN] != b'.' {
            return Err(BadToken);
        }
        let mut token = Self::unset();
        let (id, secret) = token.bytes.split_at_mut(SessionId::BYTES);
        decode_into(&plain[..SessionId::TEXT_LEN], id)?;
        decode_into(&plain[SessionId::TEXT_LEN + 1..], secret)?;
        let Some((keys, mac)) = mac else {
            return Ok((token, Signed::Current));
        };
        let encoded = match mac {
            [b'.', tag, encoded @ ..] if *tag == MAC_TAG as u8 => encoded,
            _ => return Err(BadToken),
        };
        let signed = keys.verify(&token.bytes, &decode_exact(encoded)?);
        Ok((token, signed.ok_or(BadToken)?))
    }

    /// A key of its own that only who holds the token can compute.
    pub(crate) fn derive_key(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.bytes)
    }

    /// Id and secret, to be sealed.
    #[cfg(feature = "sealed")]
    pub(crate) fn expose_bytes(&self) -> zeroize::Zeroizing<[u8; Self::BYTES]> {
        zeroize::Zeroizing::new(self.bytes)
    }

    /// The token of such bytes.
    #[cfg(feature = "sealed")]
    pub(crate) fn from_exposed_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        Self { bytes: *bytes }
    }

    /// A token as long as any, with which nobody is let in.
    #[cfg(feature = "sealed")]
    pub(crate) fn blank(id: SessionId) -> Self {
        Self::new(id, Secret([0; Secret::BYTES]))
    }

    /// To be filled: it leaves this file only whole.
    fn unset() -> Self {
        let bytes = [0; Self::BYTES];
        Self { bytes }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}..)", self.id())
    }
}

/// A token that a later version of this system has made.
#[derive(Debug)]
pub(crate) struct NewerFormat;

/// The text is not an id, digest or token of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadToken;

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session id, digest or token of this system")
    }
}

impl std::error::Error for BadToken {}

/// A MAC of a token: 128 bits of keyed BLAKE3.
pub(crate) const MAC_BYTES: usize = 16;
/// Names the MAC's algorithm in the token.
const MAC_TAG: char = 'b';
const MAC_TEXT_LEN: usize = 1 + 22;

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|source| {
        Error::new(
            ErrorKind::Unavailable,
            "drawing random bytes from the operating system failed",
        )
        .caused_by(source)
    })
}

/// A number no other write of this process draws, nor, but for a chance of 2^-64 a pair, any
/// other process: it tells one writer's version of a record from another's.
///
/// It guards against confusion, not against guessing, so it is a counter with a random start:
/// a system call for each write would be a fifth of its cost.
pub(crate) fn fresh_nonce() -> Result<u64, Error> {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    // The golden ratio's odd multiple walks all 2^64 values and keeps neighbours apart.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let next = match NEXT.get() {
        Some(next) => next,
        None => {
            let mut start = [0; 8];
            fill_random(&mut start)?;
            NEXT.get_or_init(|| AtomicU64::new(u64::from_le_bytes(start)))
        }
    };
    Ok(next.fetch_add(STEP, Ordering::Relaxed))
}

/// A map by session id.
pub(crate) type IdMap<V> = HashMap<SessionId, V, BuildHasherDefault<IdHasher>>;

/// Ids are uniformly random and drawn by the library: eight of their bytes are a hash.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Decodes base64url without padding into exactly `N` bytes; trailing bits must be zero.
fn decode_exact<const N: usize>(text: &[u8]) -> Result<[u8; N], BadToken> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// As [`decode_exact`]. It is not `data_encoding`'s, which reads any alphabet and takes over twice as
/// long: every request decodes a token.
fn decode_into(text: &[u8], bytes: &mut [u8]) -> Result<(), BadToken> {
    let (quads, rest) = text.as_chunks::<4>();
    let (triples, last) = bytes.as_chunks_mut::<3>();
    if quads.len() != triples.len() {
        return Err(BadToken);
    }
    // Of every character alike; one that is bad, or a trailing bit that is set, shows at the end.
    let mut seen = 0;
    for (quad, triple) in quads.iter().zip(triples) {
        let bits = placed(*quad);
        seen |= bits;
        let [_, a, b, c] = bits.to_be_bytes();
        *triple = [a, b, c];
    }
    let trailing = match (rest, last) {
        ([], []) => 0,
        ([a, b], [x]) => {
            let bits = placed([*a, *b, ZERO, ZERO]);
            seen |= bits;
            let [_, first, trailing, _] = bits.to_be_bytes();
            *x = first;
            trailing
        }
        ([a, b, c], [x, y]) => {
            let bits = placed([*a, *b, *c, ZERO]);
            seen |= bits;
            let [_, first, second, trailing] = bits.to_be_bytes();
            (*x, *y) = (first, second);
            trailing
        }
        _ => return Err(BadToken),
    };
    match seen & BAD == 0 && trailing == 0 {
        true => Ok(()),
        false => Err(BadToken),
    }
}

/// The 24 bits of four characters.
fn placed([a, b, c, d]: [u8; 4]) -> u32 {
    let value = |place: usize, byte: u8| VALUES[place][usize::from(byte)];
    value(0, a) | value(1, b) | value(2, c) | value(3, d)
}

/// The character of value 0.
const ZERO: u8 = b'A';
/// What a character has that is none of base64url's.
const BAD: u32 = 1 << 31;
/// Each character's value, at each of its four places.
static VALUES: [[u32; 256]; 4] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [[BAD; 256]; 4];
    let mut value = 0;
    while value < alphabet.len() {
        let character = alphabet[value] as usize;
        values[0][character] = (value as u32) << 18;
        values[1][character] = (value as u32) << 12;
        values[2][character] = (value as u32) << 6;
        values[3][character] = value as u32;
        value += 1;
    }
    values
};

#[cfg(test)]
#[path = "id_tests.rs"]
mod tests;
