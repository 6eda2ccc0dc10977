//! The one file that forms keys.

use data_encoding::HEXLOWER;
use session_core::{Owner, SessionId};

/// The keys of one store.
///
/// What follows the prefix is an id (22 characters of base64url), `owner:` and 64 hex digits, or
/// `probe:` and an id: their lengths differ, so none can be mistaken for another. None of it
/// holds a brace, so only the prefix can put a hash tag into a key.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(crate) fn session(&self, id: &SessionId) -> Vec<u8> {
        self.joined(&[id.encode().as_str()])
    }

    pub(crate) fn owner(&self, owner: &Owner) -> Vec<u8> {
        let hash = blake3::hash(owner.as_str().as_bytes());
        self.joined(&["owner:", &HEXLOWER.encode(hash.as_bytes())])
    }

    /// A key that is nobody's, in another slot each time.
    pub(crate) fn probe(&self, random: &SessionId) -> Vec<u8> {
        self.joined(&["probe:", random.encode().as_str()])
    }

    /// The glob pattern of all sessions' keys.
    pub(crate) fn pattern(&self) -> Vec<u8> {
        let mut pattern = Vec::with_capacity(2 * self.prefix.len() + SessionId::TEXT_LEN);
        for byte in self.prefix.bytes() {
            if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'-' | b'\\') {
                pattern.push(b'\\');
            }
            pattern.push(byte);
        }
        pattern.extend([b'?'; SessionId::TEXT_LEN]);
        pattern
    }

    /// The id of a session's key; `None` for every other key.
    pub(crate) fn id_of(&self, key: &[u8]) -> Option<SessionId> {
        id_of(key.strip_prefix(self.prefix.as_bytes())?)
    }

    fn joined(&self, parts: &[&str]) -> Vec<u8> {
        let length = self.prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut key = Vec::with_capacity(length);
        key.extend(self.prefix.bytes());
        for part in parts {
            key.extend(part.bytes());
        }
        key
    }
}

/// The id of this text.
pub(crate) fn id_of(text: &[u8]) -> Option<SessionId> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::from_bytes([7; 16])
    }

    #[test]
    fn only_a_sessions_key_has_an_id() {
        let keys = Keys::new("session:");
        assert_eq!(keys.id_of(&keys.session(&id())), Some(id()));
        let owner = Owner::new("ada").unwrap();
        let text = id().to_string();
        for key in [
            keys.owner(&owner),
            keys.probe(&id()),
            format!("other:{text}").into_bytes(),
            format!("session:{text}x").into_bytes(),
            b"session:".to_vec(),
            b"session:\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        ] {
            assert_eq!(keys.id_of(&key), None, "{}", String::from_utf8_lossy(&key));
        }
    }

    #[test]
    fn a_prefix_means_itself_in_the_pattern() {
        let pattern = Keys::new(r"a*b?[c]\").pattern();
        let marks = "?".repeat(22);
        assert_eq!(pattern, format!(r"a\*b\?\[c\]\\{marks}").into_bytes());
    }

    #[test]
    fn owners_have_keys_of_one_length_whatever_they_are_called() {
        let keys = Keys::new("session:");
        let all = ["ada", "ADA", "a*", "{x}", "session:", "\u{1F980}"]
            .map(|name| keys.owner(&Owner::new(name).unwrap()));
        for (at, key) in all.iter().enumerate() {
            assert_eq!(key.len(), "session:owner:".len() + 64);
            assert!(!all[..at].contains(key) && !key.contains(&b'{'));
        }
    }
}
