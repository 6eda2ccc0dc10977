//! Whatever is in the place of a file of ours is refused, and what it leads to is left alone.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use session_core::{Created, ErrorKind, Only, Owner, Store, StoreErrorKind, Touch, Written};
use session_fs::{FsConfig, FsStore};
use session_test_servers::PinnedFile;

use crate::{START, TIMEOUT, files, folder, id, next, owned, path_of, record};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

/// All operations on the session, each of which must be refused.
async fn all_are_refused(store: &FsStore, number: u8) {
    let (id, record) = (id(number), record());
    let touch = Touch {
        generation: record.generation,
        accessed_at: START.after(TIMEOUT),
    };
    let answers = [
        store.create(&id, &record).await.map(|_| ()),
        store.load(&id).await.map(|_| ()),
        store.update(&id, &record, record.version).await.map(|_| ()),
        store.touch(&id, &touch).await.map(|_| ()),
        store.delete(&id, Only::Any).await.map(|_| ()),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let error = answer.expect_err(&format!("operation {number}"));
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    }
    assert_eq!(store.sweep(START.after(2 * TIMEOUT), 10).await.unwrap(), 0);
}

#[tokio::test]
async fn a_link_in_place_of_a_session_file_is_not_followed() {
    let (dir, store) = folder();
    let record = record();
    assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
    let place = path_of(dir.path(), &id(1));
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    fs::rename(&place, &target).unwrap();
    let before = fs::read(&target).unwrap();
    for link in [target.clone(), outside.path().join("missing")] {
        symlink(&link, &place).unwrap();
        all_are_refused(&store, 1).await;
        fs::remove_file(&place).unwrap();
    }
    assert_eq!(fs::read(&target).unwrap(), before);
    assert_eq!(files(outside.path()), [target]);
}

#[tokio::test]
async fn a_second_name_for_a_session_file_is_refused() {
    let (dir, store) = folder();
    assert_eq!(
        store.create(&id(1), &record()).await.unwrap(),
        Created::Done
    );
    let place = path_of(dir.path(), &id(1));
    let other = dir.path().join("other");
    fs::hard_link(&place, &other).unwrap();
    let before = fs::read(&other).unwrap();
    all_are_refused(&store, 1).await;
    let error = store.load(&id(1)).await.unwrap_err().to_string();
    let why = format!("loading the session failed: {}: the ", place.display());
    assert!(error.starts_with(&why), "{error}");
    assert_eq!(fs::read(&other).unwrap(), before);
    fs::remove_file(&other).unwrap();
    assert!(store.load(&id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_and_does_not_block() {
    let (dir, store) = folder();
    assert_eq!(
        store.create(&id(1), &record()).await.unwrap(),
        Created::Done
    );
    let place = path_of(dir.path(), &id(1));
    fs::remove_file(&place).unwrap();

    fifo(&place);
    all_are_refused(&store, 1).await;
    assert!(fs::metadata(&place).unwrap().file_type().is_fifo());
    fs::remove_file(&place).unwrap();

    fs::create_dir(&place).unwrap();
    all_are_refused(&store, 1).await;
    fs::remove_dir(&place).unwrap();

    let _socket = UnixListener::bind(&place).unwrap();
    all_are_refused(&store, 1).await;
}

#[tokio::test]
async fn a_link_in_place_of_a_folder_is_not_followed() {
    let (dir, store) = folder();
    let record = owned("ada");
    assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
    for name in ["sessions/01", "sessions", "owners"] {
        let place = dir.path().join(name);
        let away = tempfile::tempdir().unwrap();
        let target = away.path().join("target");
        fs::rename(&place, &target).unwrap();
        symlink(&target, &place).unwrap();
        let store = FsStore::open(dir.path()).unwrap();
        all_are_refused_here(&store, name).await;
        fs::remove_file(&place).unwrap();
        fs::rename(&target, &place).unwrap();
        assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&record));
    }
}

async fn all_are_refused_here(store: &FsStore, name: &str) {
    let record = owned("ada");
    let id = id(1);
    let answers = [
        store.create(&id, &record).await.map(|_| ()),
        store.load(&id).await.map(|_| ()),
        store.delete(&id, Only::Any).await.map(|_| ()),
    ];
    for answer in answers {
        let error = answer.expect_err(name);
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{name}: {error}");
    }
}

#[tokio::test]
async fn a_link_or_fifo_in_place_of_the_sweep_lock_is_refused() {
    let (dir, store) = folder();
    store.ping().await.unwrap();
    let place = dir.path().join("sweep.lock");
    symlink("elsewhere", &place).unwrap();
    assert!(store.sweep(START, 10).await.is_err());
    fs::remove_file(&place).unwrap();
    fifo(&place);
    assert!(store.sweep(START, 10).await.is_err());
    fs::remove_file(&place).unwrap();
    assert_eq!(store.sweep(START, 10).await.unwrap(), 0);
    assert!(!dir.path().join("elsewhere").exists());
}

#[tokio::test]
async fn folders_are_0700_and_files_0600_and_looser_folders_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("a/b");
    let store = FsStore::open(&base).unwrap();
    assert!(!base.exists(), "the folder is made on first use");
    assert_eq!(
        store.create(&id(1), &owned("ada")).await.unwrap(),
        Created::Done
    );
    store.sweep(START, 1).await.unwrap();
    for file in files(&base) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        for folder in file
            .ancestors()
            .skip(1)
            .take_while(|at| at.starts_with(dir.path().join("a")))
        {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }
    let sessions = base.join("sessions");
    fs::set_permissions(&sessions, fs::Permissions::from_mode(0o755)).unwrap();
    FsStore::open(&base).unwrap().ping().await.unwrap();
    assert_eq!(mode(&sessions), 0o700);
}

#[tokio::test]
async fn templates_that_could_leave_the_folder_are_refused() {
    for template in ["%s/../../x", "/%s", "%s%s", "none", ".%s"] {
        let config = FsConfig::new("/nonexistent").filename_template(template);
        let error = FsStore::with_config(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{template}");
    }
    assert_eq!(FsStore::open("").unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn stores_with_other_templates_do_not_see_each_others_sessions() {
    let (dir, store) = folder();
    let config = FsConfig::new(dir.path()).filename_template("shop-%s.v1");
    let shop = FsStore::with_config(config).unwrap();
    let first = record();
    assert_eq!(shop.create(&id(1), &first).await.unwrap(), Created::Done);
    assert_eq!(store.load(&id(1)).await.unwrap(), None);
    let page = store.scan(session_core::Cursor::start(), 10).await.unwrap();
    assert_eq!((page.ids.len(), page.next), (0, None));
    let mut update = next(&first, "x");
    let answer = store.update(&id(1), &update, first.version).await.unwrap();
    assert_eq!(answer, Written::Gone);

    // Nor does one take the other's for what is left of its own.
    let ada = Owner::new("ada").unwrap();
    update.owner = Some(ada.clone());
    let answer = shop.update(&id(1), &update, first.version).await.unwrap();
    assert_eq!(answer, Written::Done);
    assert!(store.owned_by(&ada).await.unwrap().is_empty());
    assert_eq!(shop.owned_by(&ada).await.unwrap(), [id(1)]);
}

/// As in a folder that was restored with another's rights: what is due can be read and not removed.
#[tokio::test]
async fn a_sweep_that_can_remove_nothing_is_no_success_and_hinders_no_other() {
    let (dir, store) = folder();
    for number in 1..=2 {
        let created = store.create(&id(number), &record()).await.unwrap();
        assert_eq!(created, Created::Done);
    }
    let pinned = PinnedFile::at(&path_of(dir.path(), &id(1))).unwrap();
    let due = START.after(TIMEOUT);
    assert_eq!(store.sweep(due, 100).await.unwrap(), 1, "the other");
    let error = store.sweep(due, 100).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    drop(pinned);
    assert_eq!(store.sweep(due, 100).await.unwrap(), 1);
}
