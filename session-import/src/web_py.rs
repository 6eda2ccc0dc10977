//! Sessions of web.py: base64 of a pickle, in files or rows.
//!
//! | web.py | kept | read with |
//! |---|---|---|
//! | `DiskStore` | a file per session, named by its id | [`DiskStore`] |
//! | `DBStore` | rows `session_id, atime, data` | the application's own SQL, and [`decode`] for `data` |
//! | `ShelfStore` | a pickle of `(time, values)` under each id of a `dbm` file | a line of Python, and [`decode_shelf`] |
//!
//! `MemoryStore` ends with its process, and nothing of it can be moved.
//!
//! web.py's own keys are not among the values: `session_id`, `ip` (it is
//! [`Imported::address`]), `send_cookie` and `_killed`.
//!
//! ```
//! use session_import::web_py;
//!
//! // base64.encodebytes(pickle.dumps({"ip": "127.0.0.1", "count": 3}))
//! let text = b"gASVIAAAAAAAAAB9lCiMAmlwlIwJMTI3LjAuMC4xlIwFY291bnSUSwN1Lg==\n";
//! let old = web_py::decode(text)?;
//! assert_eq!(old.data.as_str(), r#"{"count":3}"#);
//! assert_eq!(old.address, Some([127, 0, 0, 1].into()));
//! # Ok::<(), session_import::ImportError>(())
//! ```
//!
//! # Source
//!
//! web.py 0.76, `web/session.py`, and 0.40 for Python 2.

mod disk;

use crate::base64;
use crate::error::{ImportError, ImportErrorKind};
use crate::imported::{Imported, moment};
use crate::pickle::{Heap, Id, Node, load};

pub use disk::DiskStore;

/// Reads what `DiskStore` and `DBStore` keep: the text in a session's file, or its row's `data`.
///
/// # Errors
///
/// [`ImportErrorKind::Corrupt`]: not base64 of a pickle of a dictionary.
/// [`ImportErrorKind::TooLarge`].
pub fn decode(text: &[u8]) -> Result<Imported, ImportError> {
    let pickle = base64::decode(text)?.ok_or_else(|| corrupt("it is not base64"))?;
    let (heap, root) = load(&pickle)?;
    values(&heap, root)
}

/// Reads what `ShelfStore` keeps: the bytes under a session's id, a pickle of `(time, values)`.
///
/// Python's `shelve` writes them into a file of whatever `dbm` the machine had, so Python is the
/// one to get them out: `for id in shelf.dict: shelf.dict[id]` are these bytes.
///
/// # Errors
///
/// As for [`decode`].
pub fn decode_shelf(pickle: &[u8]) -> Result<Imported, ImportError> {
    let (heap, root) = load(pickle)?;
    let Node::Array(pair) = heap.node(root) else {
        return Err(corrupt("it is not a pair"));
    };
    let &[time, root] = &pair[..] else {
        return Err(corrupt("it is not a pair"));
    };
    let accessed_at = match heap.node(time) {
        Node::Float(seconds) => moment(*seconds),
        _ => None,
    };
    Ok(Imported {
        accessed_at,
        ..values(&heap, root)?
    })
}

fn values(heap: &Heap<'_>, root: Id) -> Result<Imported, ImportError> {
    let Node::Dict(entries) = heap.node(root) else {
        return Err(corrupt("it is not a dictionary"));
    };
    Imported::from_dict(heap, entries, |imported, key, value| match (key, value) {
        ("ip", Node::Text(address)) => {
            imported.address = address.parse().ok();
            true
        }
        ("session_id" | "ip" | "send_cookie" | "_killed", _) => true,
        _ => false,
    })
}

fn corrupt(what: &str) -> ImportError {
    ImportError::new(
        ImportErrorKind::Corrupt,
        format!("reading a web.py session failed: {what}"),
    )
}
