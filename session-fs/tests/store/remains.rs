//! What crashes, damage and other programs leave in the folder.

use std::fs;
use std::io::Write;

use session_core::{
    Created, Cursor, Only, Record, SessionId, Store, StoreErrorKind, Timestamp, Touch, Written,
};
use session_fs::FsStore;
use std::time::Duration;

use crate::{START, TIMEOUT, files, folder, id, next, path_of, record};

/// A session of two versions, its file's bytes, and where the second begins.
async fn two_versions(
    store: &FsStore,
    dir: &std::path::Path,
) -> (SessionId, Record, Vec<u8>, usize) {
    let (id, first) = (id(1), record());
    assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
    let length = fs::metadata(path_of(dir, &id)).unwrap().len() as usize;
    let second = next(&first, "second");
    assert_eq!(
        store.update(&id, &second, first.version).await.unwrap(),
        Written::Done
    );
    let bytes = fs::read(path_of(dir, &id)).unwrap();
    (id, first, bytes, length)
}

#[tokio::test]
async fn after_a_torn_end_the_next_version_is_found() {
    let (dir, store) = folder();
    let (id, first, bytes, length) = two_versions(&store, dir.path()).await;
    let path = path_of(dir.path(), &id);
    for cut in (length..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&first));
        let update = next(&first, "after the crash");
        assert_eq!(
            store.update(&id, &update, first.version).await.unwrap(),
            Written::Done
        );
        assert_eq!(store.load(&id).await.unwrap(), Some(update));

        fs::write(&path, &bytes[..cut]).unwrap();
        let touch = Touch {
            generation: first.generation,
            accessed_at: START.after(TIMEOUT),
        };
        assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
        let touched = store.load(&id).await.unwrap().unwrap();
        assert_eq!(
            (touched.version, touched.accessed_at),
            (first.version, touch.accessed_at)
        );
    }
}

#[tokio::test]
async fn a_session_that_was_never_acknowledged_is_absent_and_swept_later() {
    let (dir, store) = folder();
    let (id, first, bytes, length) = two_versions(&store, dir.path()).await;
    let path = path_of(dir.path(), &id);
    for cut in [0, 1, 50, 67, 100, length - 1] {
        let begin = || fs::write(&path, &bytes[..cut]).unwrap();
        begin();
        assert_eq!(store.load(&id).await.unwrap(), None);
        assert_eq!(
            store.update(&id, &first, first.version).await.unwrap(),
            Written::Gone
        );
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let ms = written
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let written = Timestamp::from_unix_ms(i64::try_from(ms).unwrap());
        let soon = written.after(Duration::from_secs(590));
        assert_eq!(store.sweep(soon, 10).await.unwrap(), 0);
        assert!(path.exists());
        assert_eq!(
            store
                .sweep(written.after(Duration::from_secs(600)), 10)
                .await
                .unwrap(),
            0
        );
        assert!(!path.exists());
        begin();
        assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&first));
        begin();
        assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Gone);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_damaged_file_is_kept_and_reported_and_can_be_deleted() {
    let (dir, store) = folder();
    let (id, first, mut bytes, length) = two_versions(&store, dir.path()).await;
    let path = path_of(dir.path(), &id);
    bytes[length + 200] ^= 1;
    for content in [bytes, b"{}".to_vec(), vec![b'x'; 100_000]] {
        fs::write(&path, &content).unwrap();
        let touch = Touch {
            generation: first.generation,
            accessed_at: START,
        };
        let only = Only::Generation(first.generation);
        for answer in [
            store.load(&id).await.map(|_| ()),
            store.update(&id, &first, first.version).await.map(|_| ()),
            store.touch(&id, &touch).await.map(|_| ()),
            store.delete(&id, only).await.map(|_| ()),
        ] {
            assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Corrupt);
        }
        assert_eq!(store.create(&id, &first).await.unwrap(), Created::Taken);
        let end = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(store.sweep(end, 10).await.unwrap(), 0);
        let page = store.scan(Cursor::start(), 10).await.unwrap();
        assert_eq!(page.ids, [id]);
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_sparse_file_of_any_length_is_not_read_into_memory() {
    let (dir, store) = folder();
    let (id, ..) = two_versions(&store, dir.path()).await;
    let path = path_of(dir.path(), &id);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let (dir, store) = folder();
    let (id, first, ..) = two_versions(&store, dir.path()).await;
    let beside = path_of(dir.path(), &id).with_file_name("notes.txt");
    fs::File::create(&beside)
        .unwrap()
        .write_all(b"mine")
        .unwrap();
    let end = Timestamp::from_unix_ms(i64::MAX);
    assert_eq!(store.sweep(end, 10).await.unwrap(), 1);
    assert_eq!(store.load(&id).await.unwrap(), None);
    assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
    assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
    assert_eq!(files(dir.path()), [beside, dir.path().join("sweep.lock")]);
}

#[tokio::test]
async fn a_deleted_folder_is_made_anew() {
    let (dir, store) = folder();
    let (id, first, ..) = two_versions(&store, dir.path()).await;
    for name in ["", "sessions", "owners"] {
        fs::remove_dir_all(dir.path().join(name)).unwrap();
        if name != "owners" {
            assert_eq!(store.load(&id).await.unwrap(), None);
            assert_eq!(store.create(&id, &first).await.unwrap(), Created::Done);
        }
        store.ping().await.unwrap();
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&first));
    }
}

#[tokio::test]
async fn ping_notices_that_another_folder_is_at_the_path() {
    let above = tempfile::tempdir().unwrap();
    let (dir, away) = (above.path().join("dir"), above.path().join("away"));
    let store = FsStore::open(&dir).unwrap();
    store.ping().await.unwrap();
    fs::rename(&dir, &away).unwrap();
    assert_eq!(
        store.ping().await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    fs::create_dir(&dir).unwrap();
    assert_eq!(
        store.ping().await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    fs::remove_dir(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    store.ping().await.unwrap();
}

/// The function in the crate's documentation.
fn documented_python() -> String {
    let docs = include_str!("../../src/lib.rs");
    let start = docs.find("```python\n").unwrap() + "```python\n".len();
    let code = &docs[start..][..docs[start..].find("//! ```").unwrap()];
    let lines = code
        .lines()
        .map(|line| line.trim_start_matches("//!").strip_prefix(' '));
    lines
        .map(|line| format!("{}\n", line.unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn the_documented_python_reads_a_session_and_its_touches() {
    let (dir, store) = folder();
    let (id, ..) = two_versions(&store, dir.path()).await;
    for seconds in [0, 3, 8] {
        if seconds > 0 {
            let touch = Touch {
                generation: record().generation,
                accessed_at: START.after(Duration::from_secs(seconds)),
            };
            assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
        }
        let stored = store.load(&id).await.unwrap().unwrap();
        let code = documented_python()
            + "import sys; r = load(sys.argv[1]); print(r['version'], r['accessed'], r['agent'])";
        let python = std::process::Command::new("python3")
            .args(["-c", &code])
            .arg(path_of(dir.path(), &id))
            .output()
            .expect("this test needs python3");
        let accessed = stored.accessed_at.as_unix_ms();
        let expected = format!("{} {accessed} second\n", stored.version);
        assert_eq!(String::from_utf8(python.stdout).unwrap(), expected);
    }
}
