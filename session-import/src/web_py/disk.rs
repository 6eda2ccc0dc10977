//! web.py's folder of session files.

use std::path::Path;

use super::decode;
use crate::error::ImportError;
use crate::files::{Files, Layout};
use crate::imported::Imported;

/// The folder of a web.py `DiskStore`. Its methods block, for as long as the disk takes.
///
/// An id is 40 lower-case hex digits; for anything else there is no session, and no file is
/// looked for. web.py writes a session's file at every request, so the file's time of change is
/// [`Imported::accessed_at`].
///
/// ```
/// use session_import::web_py::DiskStore;
///
/// # let dir = tempfile::tempdir()?;
/// # let id = "0123456789abcdef0123456789abcdef01234567";
/// # std::fs::write(dir.path().join(id), "fXEALg==")?;
/// let old = DiskStore::open(dir.path())?;
/// assert!(old.read(id)?.is_some());
/// assert!(old.take(id)?.is_some());
/// assert!(old.take(id)?.is_none());
/// assert!(old.read("../../etc/passwd")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DiskStore(Files);

impl DiskStore {
    /// The store in the folder `dir`, which must be there.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ImportErrorKind::Unavailable): it is not, or cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ImportError> {
        Files::open(dir.as_ref(), Layout::WebPy).map(Self)
    }

    /// The session `id`; it stays where it is.
    ///
    /// # Errors
    ///
    /// As for [`decode`], and [`Unavailable`](crate::ImportErrorKind::Unavailable).
    pub fn read(&self, id: &str) -> Result<Option<Imported>, ImportError> {
        let Some(file) = self.0.read(id)? else {
            return Ok(None);
        };
        Ok(Some(Imported {
            accessed_at: file.written_at,
            ..decode(&file.bytes)?
        }))
    }

    /// Removes the session `id`, and says whether it was this call that did: of several, one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ImportErrorKind::Unavailable).
    pub fn remove(&self, id: &str) -> Result<bool, ImportError> {
        self.0.remove(id)
    }

    /// Reads and removes the session `id`: of several calls, one gets it. One that cannot be
    /// decoded is kept.
    ///
    /// If what is done with it fails afterwards, it is lost; `read`, `save`, and then
    /// [`remove`](Self::remove) loses no value.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn take(&self, id: &str) -> Result<Option<Imported>, ImportError> {
        let old = self.read(id)?;
        Ok(if self.remove(id)? { old } else { None })
    }

    /// The ids of all sessions, in no order. Each opens its session in the old application:
    /// they belong into no log.
    pub fn ids(&self) -> impl Iterator<Item = Result<String, ImportError>> + use<> {
        self.0.ids()
    }
}
