//! The options of the store, and what an acknowledged write survives.

use std::path::{Path, PathBuf};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, by `kill -9` too: the bytes are with the operating system.
    ///
    /// A power cut may cost the last seconds: a session may be back at an earlier version,
    /// absent, or unreadable (it is then kept and reported as corrupt).
    #[default]
    Os,
    /// A power cut too: the bytes are on the disk, and so are the names of new files and the
    /// absence of deleted ones.
    ///
    /// # Cost
    ///
    /// One `fdatasync` a write (60 to 80 µs on a virtual disk, more on a spinning one), shared
    /// by all who wait for the same file; creating and deleting also wait for the folder.
    Disk,
}

/// The options of an [`FsStore`](crate::FsStore).
///
/// ```
/// use session_fs::{Durability, FsConfig, FsStore};
///
/// let store = FsStore::with_config(
///     FsConfig::new("/var/lib/shop/sessions")
///         .filename_template("shop-%s.session")
///         .durability(Durability::Disk),
/// )?;
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FsConfig {
    dir: PathBuf,
    filename_template: String,
    durability: Durability,
}

impl FsConfig {
    /// The defaults, for sessions under `dir`.
    ///
    /// The folder is made on first use, with mode 0700. A relative path is resolved when the
    /// store is opened; symbolic links on the way to `dir`, and `dir` itself being one, are
    /// followed: they are the administrator's. Below it no link is followed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            filename_template: Self::FILENAME_TEMPLATE.to_owned(),
            durability: Durability::default(),
        }
    }

    /// The default of [`filename_template`](Self::filename_template).
    pub const FILENAME_TEMPLATE: &'static str = "%s.session";

    /// How a session's file is called; `%s` stands for the id as 32 hex digits.
    ///
    /// Exactly one `%s`, and around it only ASCII letters, digits, `-`, `_` and `.`; it must not
    /// begin with a dot or contain two in a row, and has at most 128 characters. Stores with
    /// different templates in one folder do not see each other's sessions.
    ///
    /// # Default
    ///
    /// [`FILENAME_TEMPLATE`](Self::FILENAME_TEMPLATE).
    #[must_use]
    pub fn filename_template(mut self, template: impl Into<String>) -> Self {
        self.filename_template = template.into();
        self
    }

    /// What an acknowledged write survives.
    ///
    /// # Default
    ///
    /// [`Durability::Os`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn template(&self) -> &str {
        &self.filename_template
    }

    pub(crate) fn chosen_durability(&self) -> Durability {
        self.durability
    }
}
