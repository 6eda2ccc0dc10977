//! The file that holds the secret key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use session_kit::{Error, ErrorKind, KeyRing};

/// The keys in `path`, as [`KeyRing::from_base64`] reads them. A missing file is made, with a new random key
/// and mode 0600.
///
/// # Errors
///
/// [`ErrorKind::Invalid`]: the file can be read by others, is no base64, or the key is too weak.
/// [`ErrorKind::Unavailable`]: it can be neither read nor made. No message holds any of the key.
pub fn load(path: &Path) -> Result<KeyRing, Error> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path)?;
            let file = File::open(path).map_err(|error| failed("reading", path, error))?;
            read(path, file)
        }
        Err(error) => Err(failed("reading", path, error)),
    }
}

fn read(path: &Path, mut file: File) -> Result<KeyRing, Error> {
    let metadata = file
        .metadata()
        .map_err(|error| failed("reading", path, error))?;
    // The opened file is asked, not the path: what is checked is what is read.
    if metadata.mode() & 0o077 != 0 {
        return Err(invalid(format!(
            "the secret key file {} is open to others: chmod 600 it, and replace the key if it may have been read",
            path.display()
        )));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| failed("reading", path, error))?;
    KeyRing::from_base64(&text).map_err(|error| {
        let message = format!("reading {} failed: {error}", path.display());
        invalid(message).caused_by(error)
    })
}

/// Writes a new key beside `path` and links it into place, so that of two programs which start at
/// once both use the key of one, and neither reads half a key.
fn make(path: &Path) -> Result<(), Error> {
    let keys = KeyRing::generate()?;
    let mut new = PathBuf::from(path).into_os_string();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let made = write(&new, &keys).and_then(|()| match fs::hard_link(&new, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // What is left of a failed attempt is of no use to anybody.
    let _ = fs::remove_file(&new);
    made.map_err(|error| failed("making", path, error))
}

fn write(path: &Path, keys: &KeyRing) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", BASE64.encode(keys.expose_first()))?;
    file.sync_all()
}

fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let message = format!(
        "{doing} the secret key file {} failed: {error}",
        path.display()
    );
    Error::new(ErrorKind::Unavailable, message).caused_by(error)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_file_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = load(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(load(&path).unwrap().expose_first(), made.expose_first());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let good = BASE64.encode(b"0123456789abcdef0123456789abcdef");
        let table = [
            (good.as_str(), 0o644, "open to others"),
            (good.as_str(), 0o660, "open to others"),
            ("c2hvcnQ=", 0o600, "5 bytes"),
            ("not base64!", 0o600, "no base64"),
            ("", 0o600, "0 bytes"),
        ];
        for (text, mode, part) in table {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
