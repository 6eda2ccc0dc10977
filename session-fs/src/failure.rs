//! What goes wrong on the way to a file, and what the caller is told.

use std::fmt;
use std::io;
use std::path::Path;

use session_core::{StoreError, StoreErrorKind};

/// Why an operation stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The folder was deleted under the running store; it is made anew and the operation begins
    /// again.
    FolderDeleted,
    /// Another has the file's lock, or it cannot be done at once: nothing was written, and it is
    /// begun anew, later or on a blocking thread.
    WouldWait,
    /// Another is just bringing to the disk what this would tell of: begun anew later, as after
    /// [`WouldWait`](Self::WouldWait).
    Syncing,
    Io(io::Error),
    /// What was written may not have reached the disk; it is there to be read nevertheless, also
    /// if the reason is a lack of room.
    Sync(io::Error),
    Store(StoreError),
}

impl Failure {
    /// Whether nothing can have been written because there was no room or no permission to grow.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Io(error) if kind_of(error) != StoreErrorKind::Unavailable)
    }

    /// What is told of it: at `place` an operation failed.
    pub(crate) fn into_store_error(self, operation: &'static str, place: &Path) -> StoreError {
        let failed = |kind, why: &dyn fmt::Display| {
            let place = place.display();
            StoreError::new(kind, format!("{operation} failed: {place}: {why}"))
        };
        let unavailable = |why: &dyn fmt::Display| failed(StoreErrorKind::Unavailable, why);
        match self {
            Self::Store(error) => failed(error.kind(), &error).caused_by(error),
            Self::Io(error) => failed(kind_of(&error), &error).caused_by(error),
            Self::Sync(error) => {
                unavailable(&format_args!("waiting for the disk: {error}")).caused_by(error)
            }
            Self::FolderDeleted => unavailable(&"the folder is being deleted"),
            Self::Syncing => unavailable(&"waiting for the disk: another's sync does not end"),
            Self::WouldWait => unavailable(&"another keeps the session's file locked"),
        }
    }

    pub(crate) fn corrupt(why: &'static str) -> Self {
        Self::Store(StoreError::new(StoreErrorKind::Corrupt, why))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn kind_of(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        io::ErrorKind::FileTooLarge => StoreErrorKind::TooLarge,
        _ => StoreErrorKind::Unavailable,
    }
}

/// Something is in the place of a file of ours that we did not make, and it is left alone.
pub(crate) fn refused(why: &'static str) -> Failure {
    Failure::Io(io::Error::other(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn a_lack_of_room_is_full_unless_only_the_sync_reports_it() {
        let error = |errno: rustix::io::Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        use rustix::io::Errno;
        for (failure, kind) in [
            (Failure::Io(error(Errno::NOSPC)), StoreErrorKind::Full),
            (Failure::Io(error(Errno::DQUOT)), StoreErrorKind::Full),
            (Failure::Io(error(Errno::FBIG)), StoreErrorKind::TooLarge),
            (Failure::Io(error(Errno::IO)), StoreErrorKind::Unavailable),
            (
                Failure::Io(error(Errno::MFILE)),
                StoreErrorKind::Unavailable,
            ),
            (
                Failure::Sync(error(Errno::NOSPC)),
                StoreErrorKind::Unavailable,
            ),
        ] {
            let place = Path::new("/var/lib/shop");
            let error = failure.into_store_error("updating the session", place);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with("updating the session failed: /var/lib/shop: ")
            );
            let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
            assert!(source.raw_os_error().is_some());
        }
    }
}
