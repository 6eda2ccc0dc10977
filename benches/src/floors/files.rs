//! Files: opened and read; opened, locked, read, compared and added to.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Floor;

/// One file a key, in a folder that exists: versions of one length, the newest last.
#[derive(Clone, Debug)]
pub struct FileFloor(Arc<Files>);

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    /// Of every version in bytes; the values of one run are all like the first.
    length: AtomicU64,
}

impl FileFloor {
    /// Files in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(Arc::new(Files {
            folder,
            length: AtomicU64::new(0),
        }))
    }

    fn path(&self, key: usize) -> PathBuf {
        self.0.folder.join(key.to_string())
    }

    /// The newest version, and where the file ends.
    fn newest(&self, file: &File) -> (Vec<u8>, u64) {
        let end = file.metadata().expect("the file has a length").len();
        let length = self.0.length.load(Ordering::Relaxed);
        let mut value = vec![0; length as usize];
        let read = file.read_exact_at(&mut value, end - length);
        read.expect("the file has a version");
        (value, end)
    }
}

impl Floor for FileFloor {
    const READ: &'static str = "open and read";
    const WRITE: &'static str = "open, lock, read, compare and append";

    async fn fill(&self, key: usize, value: &str) {
        self.0.length.store(value.len() as u64, Ordering::Relaxed);
        std::fs::write(self.path(key), value).expect("the folder takes files");
    }

    async fn read(&self, key: usize) {
        let file = File::open(self.path(key)).expect("the file is there");
        black_box(self.newest(&file));
    }

    async fn write(&self, key: usize, value: &str) {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(self.path(key));
        let file = file.expect("the file is there");
        // It ends when the file is closed.
        file.lock().expect("the file can be locked");
        let (before, end) = self.newest(&file);
        assert!(before == value.as_bytes(), "nobody else writes");
        // As a log begins again when what is superseded has grown long: never by cutting it to
        // nothing, after which a file system may write it to the disk when it is closed.
        let starts_again = end - before.len() as u64 >= SUPERSEDED_MAX.max(value.len() as u64);
        let at = if starts_again { 0 } else { end };
        let written = file.write_all_at(value.as_bytes(), at);
        written.expect("the disk has room");
        if starts_again {
            let cut = file.set_len(value.len() as u64);
            cut.expect("the file can be cut");
        }
    }
}

const SUPERSEDED_MAX: u64 = 16 << 10;
