//! Files of an old library, one per session; the one place that forms paths.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use session_core::Timestamp;

use crate::error::{ImportError, ImportErrorKind};
use crate::imported::BYTES_MAX;

/// A session's id in the old library: lower-case hex digits, of the length it makes.
///
/// Only a parsed one becomes part of a path. The digits are lower-case because a file system
/// may take the others for the same.
pub(crate) struct OldId<'a>(&'a str);

impl<'a> OldId<'a> {
    pub(crate) fn parse(text: &'a str, digits: usize) -> Option<Self> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == digits && text.bytes().all(hex)).then_some(Self(text))
    }
}

/// Where in its folder a library keeps a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// `ID`, of 40 digits.
    WebPy,
    /// `a/ab/ID.cache`, of 32 digits.
    Beaker,
}

impl Layout {
    fn digits(self) -> usize {
        match self {
            Self::WebPy => 40,
            Self::Beaker => 32,
        }
    }

    /// Where the session's file is or would be. The folders on the way are folders: a link in
    /// place of one would lead elsewhere.
    fn path(self, dir: &Path, OldId(id): &OldId<'_>) -> io::Result<PathBuf> {
        let mut path = dir.to_owned();
        match self {
            Self::WebPy => path.push(id),
            Self::Beaker => {
                for folder in [&id[..1], &id[..2]] {
                    path.push(folder);
                    if !fs::symlink_metadata(&path)?.is_dir() {
                        return Err(io::Error::other("it is not in a folder"));
                    }
                }
                path.push(format!("{id}.cache"));
            }
        }
        Ok(path)
    }

    fn id(self, name: &str) -> Option<&str> {
        let id = match self {
            Self::WebPy => name,
            Self::Beaker => name.strip_suffix(".cache")?,
        };
        OldId::parse(id, self.digits()).map(|OldId(id)| id)
    }

    /// How many levels of folders are between the outermost one and the files.
    fn depth(self) -> usize {
        match self {
            Self::WebPy => 0,
            Self::Beaker => 2,
        }
    }
}

/// The bytes of one session, and when they were written.
pub(crate) struct OldFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written_at: Option<Timestamp>,
}

/// A folder of an old library's files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    layout: Layout,
}

impl Files {
    pub(crate) fn open(dir: &Path, layout: Layout) -> Result<Self, ImportError> {
        let opened = fs::read_dir(dir);
        opened.map_err(|source| unavailable("opening the old sessions' folder", source))?;
        Ok(Self {
            dir: dir.to_owned(),
            layout,
        })
    }

    /// The file of session `id`; `None` if there is none, or if no such id was ever made.
    pub(crate) fn read(&self, id: &str) -> Result<Option<OldFile>, ImportError> {
        let Some(id) = OldId::parse(id, self.layout.digits()) else {
            return Ok(None);
        };
        match self
            .layout
            .path(&self.dir, &id)
            .and_then(|path| read(&path))
        {
            Ok(file) if file.bytes.len() > BYTES_MAX * 2 => Err(ImportError::new(
                ImportErrorKind::TooLarge,
                "reading an old session failed: its file is too long",
            )),
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable("reading an old session", error)),
        }
    }

    /// Removes the file of session `id`, and says whether it was this call that did.
    pub(crate) fn remove(&self, id: &str) -> Result<bool, ImportError> {
        let Some(id) = OldId::parse(id, self.layout.digits()) else {
            return Ok(false);
        };
        let path = self.layout.path(&self.dir, &id);
        match path.and_then(fs::remove_file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unavailable("removing an old session", error)),
        }
    }

    /// The ids of all sessions there are, in no order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Result<String, ImportError>> + use<> {
        let layout = self.layout;
        let mut left = vec![(self.dir.clone(), layout.depth())];
        let mut entries: Option<(fs::ReadDir, usize)> = None;
        std::iter::from_fn(move || {
            loop {
                let Some((folder, depth)) = &mut entries else {
                    let (path, depth) = left.pop()?;
                    match fs::read_dir(path) {
                        Ok(folder) => entries = Some((folder, depth)),
                        Err(error) => {
                            return Some(Err(unavailable("listing the old sessions", error)));
                        }
                    }
                    continue;
                };
                let depth = *depth;
                match folder.next() {
                    None => entries = None,
                    Some(Err(error)) => {
                        return Some(Err(unavailable("listing the old sessions", error)));
                    }
                    Some(Ok(entry)) if depth > 0 => {
                        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                            left.push((entry.path(), depth - 1));
                        }
                    }
                    Some(Ok(entry)) => {
                        // Whatever else lies there, such as a file half written, is no session.
                        if let Some(id) = entry.file_name().to_str().and_then(|n| layout.id(n)) {
                            return Some(Ok(id.to_owned()));
                        }
                    }
                }
            }
        })
    }
}

fn read(path: &Path) -> io::Result<OldFile> {
    // A link would lead out of the folder, and reading a pipe would wait for ever.
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX as u64 * 2 + 1)
        .read_to_end(&mut bytes)?;
    let written = found.modified().ok();
    let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(OldFile {
        bytes,
        written_at: since.map(|since| Timestamp::from_unix_ms(0).after(since)),
    })
}

fn unavailable(operation: &'static str, source: io::Error) -> ImportError {
    ImportError::new(
        ImportErrorKind::Unavailable,
        format!("{operation} failed: {source}"),
    )
    .caused_by(source)
}
