//! The only place that forms paths: out of a parsed id, or a hash, and nothing else.
//!
//! ```text
//! DIR/sessions/ab/<template with the id in hex>   ab: the id's first byte
//! DIR/owners/cd/<hash of the owner>/<id in hex>   cd: the hash's first byte
//! DIR/sweep.lock
//! ```
//!
//! Hex is lower-case, so that two ids never meet on a file system that ignores case, as two
//! base64url ids would.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use session_core::{Error, ErrorKind, Owner, SessionId};

/// The folder of session files.
pub(crate) const SESSIONS: &str = "sessions";
/// The folder of the owner index.
pub(crate) const OWNERS: &str = "owners";
/// The file whose lock the one sweeper holds.
pub(crate) const SWEEP_LOCK: &str = "sweep.lock";
/// What a ping writes to.
pub(crate) const PING: &str = "ping";

/// Length of an id in hex.
pub(crate) const ID_HEX: usize = 2 * SessionId::BYTES;
const TEMPLATE_MAX: usize = 128;

/// A checked `filename_template`.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    before: String,
    after: String,
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], with the reason.
    pub(crate) fn new(template: &str) -> Result<Self, Error> {
        let refused = |why: &str| {
            Error::new(
                ErrorKind::Invalid,
                format!("the filename template {template:?} is refused: {why}"),
            )
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let Some((before, after)) = template.split_once("%s") else {
            return Err(refused("it has no %s"));
        };
        if template.len() > TEMPLATE_MAX {
            return Err(refused("it is longer than 128 characters"));
        }
        if after.contains("%s") {
            return Err(refused("it has more than one %s"));
        }
        if !before.bytes().chain(after.bytes()).all(plain) {
            return Err(refused(
                "around %s only ASCII letters, digits, '-', '_' and '.' are allowed",
            ));
        }
        if before.starts_with('.') || template.contains("..") {
            return Err(refused("it begins with a dot or has two in a row"));
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// The name of a session's file in its folder.
    pub(crate) fn name(&self, id: &SessionId) -> String {
        [&self.before, id_hex(id).as_str(), &self.after].concat()
    }

    /// The path of a session's file below the folder of sessions.
    pub(crate) fn path(&self, id: &SessionId) -> String {
        let folder = shard(id.as_bytes()[0]);
        [&folder, "/", &self.before, id_hex(id).as_str(), &self.after].concat()
    }

    /// The same, out of the store's folder.
    pub(crate) fn within(&self, dir: &Path, id: &SessionId) -> PathBuf {
        dir.join(SESSIONS).join(self.path(id))
    }

    /// The id in the name of a file, if this template made it.
    pub(crate) fn id_of(&self, name: &[u8]) -> Option<SessionId> {
        parse_id(
            name.strip_prefix(self.before.as_bytes())?
                .strip_suffix(self.after.as_bytes())?,
        )
    }
}

/// The folder of the sessions, or owners, whose name begins with this byte.
pub(crate) fn shard(first: u8) -> String {
    HEXLOWER.encode(&[first])
}

/// An id as 32 lower-case hex digits: the name of its marker in the owner index.
pub(crate) fn id_hex(id: &SessionId) -> String {
    HEXLOWER.encode(id.as_bytes())
}

/// Reads an id of exactly 32 lower-case hex digits.
pub(crate) fn parse_id(hex: &[u8]) -> Option<SessionId> {
    if hex.len() != ID_HEX {
        return None;
    }
    let bytes = HEXLOWER.decode(hex).ok()?;
    Some(SessionId::from_bytes(bytes.try_into().ok()?))
}

/// Where an owner's markers are: two folders below the folder of owners.
pub(crate) struct OwnerPath {
    /// The outer folder.
    pub(crate) shard: String,
    /// The inner folder: 64 hex digits, whatever the owner's text.
    pub(crate) name: String,
    /// Both.
    pub(crate) path: String,
}

impl OwnerPath {
    pub(crate) fn new(owner: &Owner) -> Self {
        let name = blake3::hash(owner.as_str().as_bytes()).to_hex().to_string();
        let shard = name[..2].to_owned();
        let path = format!("{shard}/{name}");
        Self { shard, name, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_one_plain_name() {
        for good in ["%s", "%s.session", "sess_%s", "a-%s.v1", "a.%s.b"] {
            assert!(Template::new(good).is_ok(), "{good}");
        }
        let long = format!("{}%s", "x".repeat(127));
        for bad in [
            "", "s", "%", "%d", "%s%s", "%s-%s", "/%s", "a/%s", "%s/../x", "../%s", ".%s", "..%s",
            "%s..", "a..%s", "%s\0", "%s\n", "%s ", "é%s", "a\\%s", "%%s", "%s%", "C:%s", &long,
        ] {
            let error = Template::new(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn a_name_goes_back_to_its_id_and_no_other_name_does() {
        let template = Template::new("a-%s.b").unwrap();
        let id = SessionId::from_bytes([0xab; 16]);
        let name = template.name(&id);
        assert_eq!(name, format!("a-{}.b", "ab".repeat(16)));
        assert_eq!(template.path(&id), format!("ab/{name}"));
        assert_eq!(template.id_of(name.as_bytes()), Some(id));
        for other in [
            name.to_uppercase(),
            name.replace("a-", "b-"),
            format!("{name}~"),
        ] {
            assert_eq!(template.id_of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(template.id_of(b"a-.b"), None);
    }

    #[test]
    fn no_owner_becomes_a_path() {
        for text in ["../../etc/passwd", "/", ".", "a\nb", "\u{202e}"] {
            let path = OwnerPath::new(&Owner::new(text).unwrap());
            assert!(path.name.len() == 64 && path.name.bytes().all(|b| b.is_ascii_hexdigit()));
            assert_eq!(path.path, format!("{}/{}", &path.name[..2], path.name));
        }
    }
}
