//! The options of the store, and what an acknowledged write survives.

use std::path::{Path, PathBuf};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, by `kill -9` too: the bytes are with the operating system.
    ///
    /// On sled, a power cut may cost the last half second: a session may be back at an earlier
    /// version, or absent. On redb this is the same as [`Disk`](Self::Disk): it has no way to
    /// hand its pages to the operating system that a power cut could not turn into the loss of
    /// the whole file.
    #[default]
    Os,
    /// A power cut too: the bytes are on the disk.
    ///
    /// # Cost
    ///
    /// One `fdatasync` (60 µs on a virtual disk, 5 ms on others), shared by all who wait for it.
    Disk,
}

/// The options of a [`ShelfStore`](crate::ShelfStore).
///
/// ```
/// use session_shelf::{Durability, ShelfConfig, ShelfStore};
///
/// # let dir = tempfile::tempdir()?;
/// # #[cfg(feature = "sled")] {
/// let config = ShelfConfig::sled(dir.path().join("sessions"))
///     .durability(Durability::Disk)
///     .cache_bytes(16 << 20);
/// let store = ShelfStore::with_config(config)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ShelfConfig {
    engine: EngineKind,
    path: PathBuf,
    durability: Durability,
    cache_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineKind {
    #[cfg(feature = "sled")]
    Sled,
    #[cfg(feature = "redb")]
    Redb,
}

impl ShelfConfig {
    /// The defaults, for sled in the folder `sled` below `dir`.
    ///
    /// The folders are made if they are missing, with mode 0700. A relative path is resolved
    /// when the store is opened.
    #[cfg(feature = "sled")]
    pub fn sled(dir: impl Into<PathBuf>) -> Self {
        Self::new(EngineKind::Sled, dir.into())
    }

    /// The defaults, for redb in one file.
    ///
    /// The file is made if it is missing, with mode 0600, and so are folders above it, with mode
    /// 0700. A relative path is resolved when the store is opened.
    #[cfg(feature = "redb")]
    pub fn redb(file: impl Into<PathBuf>) -> Self {
        Self::new(EngineKind::Redb, file.into())
    }

    #[cfg(any(feature = "sled", feature = "redb"))]
    fn new(engine: EngineKind, path: PathBuf) -> Self {
        Self {
            engine,
            path,
            durability: Durability::default(),
            cache_bytes: Self::CACHE_BYTES,
        }
    }

    /// The default of [`cache_bytes`](Self::cache_bytes): 64 MiB.
    pub const CACHE_BYTES: usize = 64 << 20;

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

    /// How much memory is for what was read and written last: a quarter of it for records, the
    /// rest for the engine's pages, of which sled has a mebibyte at least; about, and for sled a
    /// multiple of it. A record of more than a 128th of it is not kept.
    ///
    /// # Default
    ///
    /// [`CACHE_BYTES`](Self::CACHE_BYTES).
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    pub(crate) fn at(mut self, path: PathBuf) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn engine(&self) -> EngineKind {
        self.engine
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg_attr(not(feature = "sled"), expect(dead_code, reason = "redb has only one"))]
    pub(crate) fn chosen_durability(&self) -> Durability {
        self.durability
    }

    /// The engine's part of the memory.
    pub(crate) fn page_bytes(&self) -> usize {
        self.cache_bytes - self.record_bytes()
    }

    /// The records' part of it.
    pub(crate) fn record_bytes(&self) -> usize {
        self.cache_bytes / 4
    }
}
