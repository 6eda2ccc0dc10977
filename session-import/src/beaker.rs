//! Sessions of Beaker, with `data_serializer = json` or `pickle`, unless they are encrypted.
//!
//! Beaker wraps a session up to three times: its values as JSON, compressed, or as a pickle; that as
//! base64 (older versions without it); and that, in most stores, in a pickle of the store's.
//!
//! | Beaker's `type` | kept | read with |
//! |---|---|---|
//! | `file` | a file per session, `container_file/a/ab/ID.cache` | [`FileStore`] |
//! | `ext:database`, `ext:sqla` | rows `namespace, accessed, created, data`; the id is the namespace | the application's own SQL, and [`decode_container`] for `data` |
//! | `ext:redis` | a string per session, `beaker_cache:ID:session` | [`decode_container`] |
//! | `ext:memcached` | a value per session | [`decode`] |
//! | `cookie` | in the cookie, signed with `validate_key` | [`verify_signed`], then [`decode`] |
//!
//! `memory` ends with its process. What `encrypt_key` has encrypted cannot be moved.
//!
//! Beaker's own keys are not among the values: `_accessed_time` and `_creation_time` (they are
//! [`Imported::accessed_at`] and [`Imported::created_at`]), `_id`, `_domain` and `_path`.
//!
//! With `secret`, the cookie holds the id behind a signature; [`verify_signed`] checks it:
//!
//! ```
//! use session_import::beaker::verify_signed;
//!
//! let cookie = "d9acffcd9355d9726cea38c522ceb653ae16ba6a0123456789abcdef0123456789abcdef";
//! let id = verify_signed(cookie, b"the old secret");
//! assert_eq!(id, Some("0123456789abcdef0123456789abcdef"));
//! assert_eq!(verify_signed(cookie, b"another one"), None);
//! ```
//!
//! # Source
//!
//! Beaker 1.14.1, `beaker/session.py`, `container.py`, `util.py` and `ext/`; 1.11.0 for values
//! without base64.

mod files;
mod json;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::base64;
use crate::error::{ImportError, ImportErrorKind};
use crate::imported::{BYTES_MAX, Imported, moment};
use crate::pickle::{Heap, Id, Node, load};

pub use files::FileStore;

/// Reads a session's values: the base64 text that Beaker keeps, or JSON without wrapping.
///
/// # Errors
///
/// [`ImportErrorKind::Corrupt`]: neither; or it is encrypted, which looks the same.
/// [`ImportErrorKind::TooLarge`]: before or after decompression.
pub fn decode(text: &[u8]) -> Result<Imported, ImportError> {
    if text.trim_ascii_start().starts_with(b"{") {
        return json::decode(text);
    }
    let packed = base64::decode(text)?.ok_or_else(|| corrupt("it is neither base64 nor JSON"))?;
    // A zlib stream with deflate begins so, and no pickle of a dictionary does.
    if packed.first() == Some(&0x78) {
        return json::decode(&inflate(&packed)?);
    }
    let (heap, root) = load(&packed)?;
    match heap.node(root) {
        Node::Dict(entries) => values(&heap, entries),
        _ => Err(corrupt("it is not a dictionary")),
    }
}

/// Reads what Beaker's file, database and Redis stores keep: a pickle around a session's values.
///
/// A container without a session in it is a session without values.
///
/// # Errors
///
/// As for [`decode`].
pub fn decode_container(pickle: &[u8]) -> Result<Imported, ImportError> {
    let (heap, root) = load(pickle)?;
    let entries = match heap.node(root) {
        Node::Dict(entries) => entries,
        Node::Text(text) => return decode(text.as_bytes()),
        _ => return Err(corrupt("its container is not a dictionary")),
    };
    let session = entries.iter().rev();
    let mut session = session.filter(|(key, _)| heap.text(*key) == Some("session"));
    match session.next().map(|(_, value)| heap.node(*value)) {
        None => Ok(Imported::default()),
        Some(Node::Text(text)) => decode(text.as_bytes()),
        Some(Node::Bytes(bytes)) => decode(bytes),
        // Older versions (1.11 is one) keep the values themselves, unless they are encrypted.
        Some(Node::Dict(entries)) => values(&heap, entries),
        Some(_) => Err(corrupt("its container holds something else")),
    }
}

/// Checks a value that Beaker has signed, and returns it without the signature: the session's
/// id, signed with `secret`, or with `validate_key` the values of `type = cookie`.
///
/// `cookie` is the cookie's value. Beaker binds its signature neither to the cookie's name nor to
/// a time: an application that had several cookies under one secret checks more than this.
#[must_use]
pub fn verify_signed<'a>(cookie: &'a str, secret: &[u8]) -> Option<&'a str> {
    let (signature, value) = cookie.trim_matches('"').split_at_checked(40)?;
    let signature = HEXLOWER.decode(signature.as_bytes()).ok()?;
    let mac = Hmac::<Sha1>::new_from_slice(secret).ok()?;
    let mac = mac.chain_update(value);
    mac.verify_slice(&signature).ok().map(|()| value)
}

fn values(heap: &Heap<'_>, entries: &[(Id, Id)]) -> Result<Imported, ImportError> {
    Imported::from_dict(heap, entries, |imported, key, value| {
        let seconds = match value {
            Node::Float(seconds) => Some(*seconds),
            Node::Int(seconds) => Some(*seconds as f64),
            _ => None,
        };
        own(imported, key, seconds)
    })
}

/// Notes what one of Beaker's own keys says, and tells whether it is one.
fn own(imported: &mut Imported, key: &str, seconds: Option<f64>) -> bool {
    match key {
        "_accessed_time" => imported.accessed_at = seconds.and_then(moment),
        "_creation_time" => imported.created_at = seconds.and_then(moment),
        "_id" | "_domain" | "_path" => {}
        _ => return false,
    }
    true
}

fn inflate(packed: &[u8]) -> Result<Vec<u8>, ImportError> {
    use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

    decompress_to_vec_zlib_with_limit(packed, BYTES_MAX).map_err(|error| {
        if error.status == TINFLStatus::HasMoreOutput {
            ImportError::new(
                ImportErrorKind::TooLarge,
                format!(
                    "decompressing a Beaker session failed: it has more than {BYTES_MAX} bytes"
                ),
            )
        } else {
            corrupt("it cannot be decompressed")
        }
    })
}

fn corrupt(what: &str) -> ImportError {
    ImportError::new(
        ImportErrorKind::Corrupt,
        format!("reading a Beaker session failed: {what}"),
    )
}
