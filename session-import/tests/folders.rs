//! The folders of old libraries: what is looked at, and what is not.

use std::fs;
use std::path::Path;
use std::sync::Barrier;

use session_import::ImportErrorKind;
use session_import::beaker::FileStore;
use session_import::web_py::DiskStore;

const WEB_PY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
const BEAKER_ID: &str = "0123456789abcdef0123456789abcdef";

/// `{'count': 3}`, as web.py 0.76 keeps it.
const SESSION: &str = "gASVDgAAAAAAAAB9lIwFY291bnSUSwNzLg==\n";

fn web_py(dir: &Path) -> DiskStore {
    fs::write(dir.join(WEB_PY_ID), SESSION).unwrap();
    DiskStore::open(dir).unwrap()
}

#[test]
fn no_path_is_formed_from_anything_but_an_id() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("sessions");
    fs::create_dir(&dir).unwrap();
    let store = web_py(&dir);
    fs::write(outer.path().join(WEB_PY_ID), SESSION).unwrap();
    fs::write(dir.join("short"), SESSION).unwrap();
    fs::write(dir.join("0"), SESSION).unwrap();
    fs::write(dir.join(WEB_PY_ID.to_uppercase()), SESSION).unwrap();
    let absolute = outer.path().join(WEB_PY_ID);
    for bad in [
        "",
        ".",
        "..",
        "short",
        "0",
        &format!("../{WEB_PY_ID}"),
        &format!("./{WEB_PY_ID}"),
        absolute.to_str().unwrap(),
        &WEB_PY_ID.to_uppercase(),
        &format!("{WEB_PY_ID}\n"),
        &format!("{WEB_PY_ID}\0"),
        &WEB_PY_ID[1..],
        &format!("{WEB_PY_ID}0"),
        &format!("{}é", &WEB_PY_ID[2..]),
    ] {
        assert!(store.read(bad).unwrap().is_none(), "{bad:?}");
        assert!(store.take(bad).unwrap().is_none(), "{bad:?}");
        assert!(!store.remove(bad).unwrap(), "{bad:?}");
    }
    assert!(outer.path().join(WEB_PY_ID).exists());
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 4);
}

#[test]
fn a_session_is_read_often_and_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = web_py(dir.path());
    for _ in 0..2 {
        let old = store.read(WEB_PY_ID).unwrap().unwrap();
        assert_eq!(old.data.as_str(), r#"{"count":3}"#);
    }
    let together = Barrier::new(8);
    for _ in 0..200 {
        let store = web_py(dir.path());
        let take = || {
            together.wait();
            usize::from(store.take(WEB_PY_ID).unwrap().is_some())
        };
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(taken, 1);
        assert!(!dir.path().join(WEB_PY_ID).exists());
    }
}

#[test]
fn the_time_of_the_last_request_is_that_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = web_py(dir.path());
    let file = fs::File::options()
        .write(true)
        .open(dir.path().join(WEB_PY_ID));
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_764_000_000_500);
    file.unwrap().set_modified(at).unwrap();
    let old = store.read(WEB_PY_ID).unwrap().unwrap();
    assert_eq!(old.accessed_at.unwrap().as_unix_ms(), 1_764_000_000_500);
}

#[test]
fn what_cannot_be_decoded_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = web_py(dir.path());
    fs::write(dir.path().join(WEB_PY_ID), &SESSION[..20]).unwrap();
    let error = store.take(WEB_PY_ID).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::Corrupt);
    assert!(dir.path().join(WEB_PY_ID).exists());
    // Nor is a file without end read to its end.
    let file = fs::File::options()
        .write(true)
        .open(dir.path().join(WEB_PY_ID));
    file.unwrap().set_len(1 << 40).unwrap();
    let error = store.take(WEB_PY_ID).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::TooLarge);
    assert!(dir.path().join(WEB_PY_ID).exists());
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = DiskStore::open(dir.path()).unwrap();
    fs::create_dir(dir.path().join(WEB_PY_ID)).unwrap();
    let error = store.read(WEB_PY_ID).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::Unavailable);
    #[cfg(unix)]
    {
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), SESSION).unwrap();
        let other = WEB_PY_ID.replace('0', "f");
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(&other)).unwrap();
        let error = store.read(&other).unwrap_err();
        assert_eq!(error.kind(), ImportErrorKind::Unavailable);
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_folder_is_not_followed() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = elsewhere
        .path()
        .join("01")
        .join(format!("{BEAKER_ID}.cache"));
    fs::create_dir(elsewhere.path().join("01")).unwrap();
    fs::write(&theirs, "another program's").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("0")).unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    let unavailable = ImportErrorKind::Unavailable;
    assert_eq!(store.read(BEAKER_ID).unwrap_err().kind(), unavailable);
    assert_eq!(store.remove(BEAKER_ID).unwrap_err().kind(), unavailable);
    assert!(theirs.exists());
    // The folder itself may be wherever its owner has put it.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    assert!(
        FileStore::open(&link)
            .unwrap()
            .read(BEAKER_ID)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_folder_that_is_not_there_is_said_to_be_so_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let error = DiskStore::open(&missing).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::Unavailable);
    let error = FileStore::open(&missing).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::Unavailable);
    assert!(!missing.exists());
}

#[test]
fn all_sessions_are_listed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = web_py(dir.path());
    let other = WEB_PY_ID.replace('0', "f");
    fs::write(dir.path().join(&other), SESSION).unwrap();
    // What web.py has just begun to write, and what is not its.
    fs::write(dir.path().join(format!("{WEB_PY_ID}.Thread-1")), "").unwrap();
    fs::write(dir.path().join("README"), "").unwrap();
    let mut ids: Vec<_> = store.ids().map(Result::unwrap).collect();
    ids.sort();
    assert_eq!(ids, [WEB_PY_ID.to_owned(), other]);
}

#[test]
fn the_folders_of_beaker_are_walked_to_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let pickle = b"}U\x07session}U\x05countK\x03ss.";
    let ids = [BEAKER_ID.to_owned(), BEAKER_ID.replace('0', "f")];
    for id in &ids {
        let folder = dir.path().join(&id[..1]).join(&id[..2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{id}.cache")), pickle).unwrap();
        fs::write(folder.join(format!("{id}.cache.temp")), "").unwrap();
    }
    fs::write(dir.path().join(format!("{BEAKER_ID}.cache")), pickle).unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    let mut listed: Vec<_> = store.ids().map(Result::unwrap).collect();
    listed.sort();
    assert_eq!(listed, ids);
    for id in &ids {
        assert!(store.read(id).unwrap().is_some());
        let old = store.take(id).unwrap().unwrap();
        assert_eq!(old.data.as_str(), r#"{"count":3}"#);
        assert!(store.take(id).unwrap().is_none());
    }
    assert!(
        store
            .read("../0123456789abcdef0123456789abc")
            .unwrap()
            .is_none()
    );
}
