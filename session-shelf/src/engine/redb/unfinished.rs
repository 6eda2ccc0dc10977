//! A file whose making was cut short.
//!
//! redb makes a file long, writes its header without the first nine bytes, by which it knows its
//! own, and those last, with a sync between. If the process ends before that, what is left is not
//! empty and no database, and would be refused for ever. Nothing was stored in it: a session is in
//! a page behind the header, and until the nine bytes are there nothing is written behind it.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt as _;

use redb::StorageBackend as _;
use redb::backends::FileBackend;

use crate::failure::Failure;

/// Empties such a file, so that it can be made anew; `false`: it is something else, and stays as it
/// is. `true` also if another has it locked, and may be making it.
pub(super) fn emptied(file: &File) -> Result<bool, Failure> {
    if !is_unfinished(file)? {
        return Ok(false);
    }
    let all = (Bound::Unbounded, Bound::Unbounded);
    let lock = FileBackend::new(file.try_clone()?).map_err(super::not_opened)?;
    match lock.try_lock_range(all.0, all.1) {
        Ok(true) => {}
        Ok(false) => return Ok(true),
        Err(_) => return Ok(false),
    }
    // Somebody else may have made it since.
    let is_unfinished = is_unfinished(file)?;
    if is_unfinished {
        file.set_len(0)?;
        file.sync_all()?;
    }
    lock.close()?;
    Ok(true)
}

/// Whether there is nothing in it but zeros, and perhaps a header without its beginning.
fn is_unfinished(file: &File) -> io::Result<bool> {
    let len = file.metadata()?.len();
    if len == 0 || len > BYTES_MAX {
        return Ok(false);
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let (header, pages) = bytes.split_at(bytes.len().min(HEADER_BYTES));
    let (begin, rest) = header.split_at(header.len().min(MAGIC_BYTES));
    let are_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let is_header = rest.get(PAGE_SIZE_AT..PAGE_SIZE_AT + 4) == Some(&PAGE_SIZE.to_le_bytes());
    Ok(are_zero(begin) && are_zero(pages) && (are_zero(rest) || is_header))
}

/// A new file has a megabyte and a half; one that is much longer is somebody else's.
const BYTES_MAX: u64 = 16 << 20;

const MAGIC_BYTES: usize = 9;

const HEADER_BYTES: usize = 320;

/// Where the size of a page is said, after the first nine bytes, and what it is.
const PAGE_SIZE_AT: usize = 3;
const PAGE_SIZE: u32 = 4096;

#[cfg(test)]
#[path = "unfinished_tests.rs"]
mod tests;
