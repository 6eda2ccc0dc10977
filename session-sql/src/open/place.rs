//! Whether SQLite's file is still where it was opened.
//!
//! Who moves, replaces or deletes the file under a running program leaves it with one that has no
//! name: what is written there is read back, and gone with the next restart. And a connection that
//! is opened later would be to another file, with the old one's write-ahead log beside it.

use std::io;
use std::path::{Path, PathBuf};

/// A path, and the file that it led to.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    file: Identity,
}

impl Place {
    /// The place of a file that is open.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "only SQLite's database is a file")
    )]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: identity(path)?,
        })
    }

    /// An error if the path leads elsewhere by now. The system has the answer in its memory, as the
    /// file is open.
    pub(crate) fn check(&self) -> Result<(), sqlx::Error> {
        match identity(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Err(sqlx::Error::InvalidArgument(
                "the database's file was moved, replaced or deleted; start the program again"
                    .to_owned(),
            )),
        }
    }
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    let file = std::fs::metadata(path)?;
    Ok((
        std::os::unix::fs::MetadataExt::dev(&file),
        std::os::unix::fs::MetadataExt::ino(&file),
    ))
}

/// Elsewhere a file that is open is neither moved nor deleted.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &Path) -> io::Result<Identity> {
    Ok(())
}
