//! Files: opened and read, and appended to.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::Floor;

/// One file a key, in a folder that exists.
#[derive(Clone, Debug)]
pub struct FileFloor(Arc<PathBuf>);

impl FileFloor {
    /// Files in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(Arc::new(folder))
    }

    fn path(&self, key: usize) -> PathBuf {
        self.0.join(key.to_string())
    }
}

impl Floor for FileFloor {
    const READ: &'static str = "open and read";
    const WRITE: &'static str = "open and append";

    async fn fill(&self, key: usize, value: &str) {
        std::fs::write(self.path(key), value).expect("the folder takes files");
    }

    async fn read(&self, key: usize) {
        let mut text = Vec::new();
        let mut file = File::open(self.path(key)).expect("the file is there");
        // The file grows by the appends: a session's log is read to its last version only.
        let read = Read::by_ref(&mut file)
            .take(64 << 10)
            .read_to_end(&mut text);
        read.expect("the file can be read");
        black_box(text);
    }

    async fn write(&self, key: usize, value: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.path(key))
            .expect("the file is there");
        // As a log that is compacted: it never grows beyond a few versions.
        let length = file.metadata().expect("the file has a length").len();
        if length > 16 * value.len() as u64 {
            file.set_len(0).expect("the file can be cut");
        }
        file.write_all(value.as_bytes()).expect("the disk has room");
    }
}
