//! Beaker's folder of session files.

use std::path::Path;

use super::decode_container;
use crate::error::ImportError;
use crate::files::{Files, Layout};
use crate::imported::Imported;

/// The folder of Beaker's `type = file`: `data_dir/container_file`. Its methods block, for as
/// long as the disk takes.
///
/// An id is 32 lower-case hex digits; for anything else there is no session, and no file is
/// looked for.
///
/// ```
/// use session_import::beaker::FileStore;
///
/// # let data_dir = tempfile::tempdir()?;
/// # let dir = data_dir.path().join("container_file");
/// # std::fs::create_dir(&dir)?;
/// let old = FileStore::open(dir)?;
/// assert!(old.read("0123456789abcdef0123456789abcdef")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore(Files);

impl FileStore {
    /// The store in the folder `dir`, which must be there.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ImportErrorKind::Unavailable): it is not, or cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ImportError> {
        Files::open(dir.as_ref(), Layout::Beaker).map(Self)
    }

    /// The session `id`; it stays where it is.
    ///
    /// # Errors
    ///
    /// As for [`decode_container`], and [`Unavailable`](crate::ImportErrorKind::Unavailable).
    pub fn read(&self, id: &str) -> Result<Option<Imported>, ImportError> {
        let Some(file) = self.0.read(id)? else {
            return Ok(None);
        };
        decode_container(&file.bytes).map(Some)
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
