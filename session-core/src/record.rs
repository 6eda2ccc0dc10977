//! What a store keeps under an id, and its JSON form.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::clock::Timestamp;
use crate::data::Data;
use crate::error::{Error, ErrorKind};
use crate::expiry::Expiry;
use crate::id::{Digest, fresh_nonce};
use crate::store::Touch;

/// A session as a store keeps it; cloning shares the data.
///
/// # The stored form, format 1
///
/// One JSON object, UTF-8. This library writes its first fields at fixed offsets, so that a
/// store can move `accessed` and `expires` in place, and `data` last:
///
/// ```text
/// {"format":1,"version":"0000000000000001-0123456789abcdef","generation":         1,
///  "accessed":  1764000000000,"expires":  1764086400000,"timeout":       86400000,
///  "ends":           null,"data_at":       417, ... ,"data":{"count":1}}
/// ```
///
/// (on one line). Other writers may use any order, spacing and escapes of JSON.
///
/// | field | value |
/// |---|---|
/// | `format` | 1; a larger number is refused and kept |
/// | `version` | 16 hex digits counting writes, `-`, 16 hex digits drawn by the writer |
/// | `generation` | counts the secrets given out by `renew` and `login`, from 1 |
/// | `created`, `accessed`, `expires`, `ends`, `secret_at` | integer milliseconds since 1970 UTC; `expires` and `ends` may be `null`: never |
/// | `timeout` | integer milliseconds of allowed inactivity, or `null` |
/// | `own_timeout` | milliseconds, where `set_timeout` or `remember` set the session's own |
/// | `persistent` | boolean: set by `remember` |
/// | `secret` | `b3.` and base64url: BLAKE3 over id and secret |
/// | `previous` | `null`, or `{"secret", "until", "valid"}`: the last superseded digest |
/// | `owner`, `address`, `agent` | strings; absent or `null` where there is none, as is `previous` |
/// | `own` | the library's own values: flashes, CSRF seed |
/// | `data_at`, `index` | where `data` starts and its keys' lengths with a CRC-32; optional, and ignored when they do not fit |
/// | `data` | the application's values |
///
/// # Rules for other languages
///
/// - Integers beyond 2^53 do not survive JavaScript: the library's own fields stay below, the
///   application should store such numbers as strings.
/// - NaN and infinities are not JSON (Python's `json` writes them by default): refused as corrupt.
/// - Bytes are base64url strings without padding; times are integer milliseconds.
/// - A writer must change `version`, or requests in flight overwrite what it wrote; it may leave
///   out `data_at` and `index`.
///
/// `tests/vectors` holds records that the tests read back with Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Changes with every write; `touch` leaves it.
    pub version: Version,
    /// Which of the record's secrets is in force.
    pub generation: Generation,
    /// When the session was first stored.
    pub created_at: Timestamp,
    /// When it was last read or written, to within `touch_interval`.
    pub accessed_at: Timestamp,
    /// The limits that [`expires_at`](Self::expires_at) follows from.
    pub expiry: Expiry,
    /// A time-out that was set for this session and does not follow the configuration's.
    pub own_timeout: Option<Duration>,
    /// The cookie is persistent though the configuration's is not: `remember`.
    pub persistent: bool,
    /// The digest of the secret in force.
    pub secret: Digest,
    /// When that secret was given out.
    pub secret_at: Timestamp,
    /// The secret before it, for as long as it is remembered.
    pub previous: Option<Box<Previous>>,
    /// The application's user, bound by `login`.
    pub owner: Option<Owner>,
    /// The client's address at creation or login.
    pub address: Option<IpAddr>,
    /// The client's user agent at creation or login, at most [`Record::AGENT_BYTES_MAX`] bytes.
    pub agent: Option<Arc<str>>,
    /// The library's own values: flashes, CSRF seed.
    pub own: Data,
    /// The application's values.
    pub data: Data,
}

impl Record {
    /// Longest user agent kept, in bytes.
    pub const AGENT_BYTES_MAX: usize = 256;

    /// An empty record of a session that begins at `now`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn new(secret: Digest, now: Timestamp, expiry: Expiry) -> Result<Self, Error> {
        Ok(Self {
            version: Version::first()?,
            generation: Generation::FIRST,
            created_at: now,
            accessed_at: now,
            expiry,
            own_timeout: None,
            persistent: false,
            secret,
            secret_at: now,
            previous: None,
            owner: None,
            address: None,
            agent: None,
            own: Data::new(),
            data: Data::new(),
        })
    }

    /// When the session expires; `None` means never.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expiry.expires_at(self.accessed_at)
    }

    /// Whether the session has expired at `now`: its last moment is the one before.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }

    /// Applies a touch as every store must: never back, expiry from the stored limits, version
    /// left as it is. Says whether the record is of the touch's generation.
    pub fn touch(&mut self, touch: &Touch) -> bool {
        if self.generation != touch.generation {
            return false;
        }
        self.accessed_at = self.accessed_at.max(touch.accessed_at);
        true
    }
}

/// The superseded secret that a record remembers (rules I6 and I7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its digest.
    pub secret: Digest,
    /// Until when it is remembered; `None`: until the new secret is first presented.
    pub until: Option<Timestamp>,
    /// Whether it still opens the session, as after a timed renewal.
    pub valid: bool,
}

/// Identifies one write of a record: a counter and the writer's random number.
///
/// ```
/// use session_core::Version;
///
/// let first = Version::first()?;
/// let second = first.next()?;
/// assert!(second.counter() == 2 && second != first);
/// assert_eq!(second.to_string().parse::<Version>().unwrap(), second);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    counter: u64,
    nonce: u64,
}

impl Version {
    /// Length of the text form: two times 16 hex digits and a hyphen.
    pub const TEXT_LEN: usize = 33;

    /// The version of a record that is being created.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn first() -> Result<Self, Error> {
        Ok(Self {
            counter: 1,
            nonce: fresh_nonce()?,
        })
    }

    /// The version of the write that replaces this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    pub fn next(self) -> Result<Self, Error> {
        Ok(Self {
            counter: self.counter.wrapping_add(1),
            nonce: fresh_nonce()?,
        })
    }

    /// The version of these parts, as a store kept them.
    #[must_use]
    pub const fn from_parts(counter: u64, nonce: u64) -> Self {
        Self { counter, nonce }
    }

    /// Counts the writes of the record, from 1.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.counter
    }

    /// The writer's random number.
    #[must_use]
    pub const fn nonce(self) -> u64 {
        self.nonce
    }

    fn decode(text: &str) -> Option<Self> {
        let part = |digits: &[u8]| {
            let mut bytes = [0; PART_LEN / 2];
            // Another length is no part, nor would the array take it.
            let fits = digits.len() == PART_LEN;
            let decoded = fits.then(|| HEXLOWER_PERMISSIVE.decode_mut(digits, &mut bytes).ok());
            decoded.flatten().map(|_| u64::from_be_bytes(bytes))
        };
        let (counter, nonce) = text.split_once('-')?;
        let (counter, nonce) = (part(counter.as_bytes())?, part(nonce.as_bytes())?);
        Some(Self::from_parts(counter, nonce))
    }
}

/// Digits of the counter, and of the nonce.
const PART_LEN: usize = 16;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.counter, self.nonce)
    }
}

impl std::str::FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::decode(text)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, "a record's version is malformed"))
    }
}

/// Counts a record's secrets: `renew` and `login` add one.
///
/// A request acts only on the generation it was let in under; after a login nothing that began
/// before it can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation of a new record.
    pub const FIRST: Self = Self(1);

    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The application's user id that a session is bound to: 1 to 255 bytes of text.
///
/// Stores keep it in plain text beside the session and index by it, so an internal id serves
/// better than an e-mail address. In JSON it is text, checked as by [`new`](Self::new) when it is read.
///
/// ```
/// use session_core::Owner;
///
/// assert_eq!(Owner::new("user-17")?.as_str(), "user-17");
/// assert!(Owner::new("").is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// Longest owner in bytes.
    pub const BYTES_MAX: usize = 255;

    /// An owner of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: empty, longer than 255 bytes, or with a NUL, which PostgreSQL
    /// cannot keep in text.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        let bytes = name.len();
        if bytes == 0 || bytes > Self::BYTES_MAX || name.contains('\0') {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("an owner has 1 to 255 bytes and no NUL; this one has {bytes} bytes"),
            ));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_in_either_case_and_in_its_whole_length_only() {
        let version = Version::from_parts(0x1f, u64::MAX);
        let text = "000000000000001f-ffffffffffffffff";
        assert_eq!(version.to_string(), text);
        for spelling in [text, "000000000000001F-FfFfFfFfFfFfFfFf"] {
            assert_eq!(spelling.parse::<Version>().unwrap(), version);
        }
        for malformed in [
            "",
            "-",
            "1f-ffffffffffffffff",
            "000000000000001fffffffffffffffffff",
            "000000000000001f-fffffffffffffffff",
            "000000000000001f-ffffffffffffffff-",
            "+00000000000001f-ffffffffffffffff",
            "000000000000001g-ffffffffffffffff",
            "00000000000001é-ffffffffffffffff",
        ] {
            let error = malformed.parse::<Version>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{malformed}");
        }
    }
}
