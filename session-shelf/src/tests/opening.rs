//! Opening and closing: who may, what is made, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use session_core::{Created, ErrorKind, Store};

use super::child::{Running, command, task, tell};
use super::{ENGINES, EngineKind, config, counted, id, open};
use crate::ShelfStore;

#[tokio::test]
async fn child() {
    let Some(asked) = task().filter(|task| ["use", "try"].contains(&&*task.word)) else {
        return;
    };
    match ShelfStore::with_config(config(asked.kind, &asked.folder)) {
        Ok(store) => {
            let created = store.create(&id(1), &counted(1)).await.unwrap();
            assert_eq!(created, Created::Done);
            tell("open");
            if asked.word == "use" {
                std::future::pending::<()>().await;
            }
        }
        Err(error) => tell(&format!("{:?} {error}", error.kind())),
    }
}

const CHILD: &str = "tests::opening::child";

#[cfg(feature = "redb")]
#[test]
fn a_file_that_is_no_database_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hosts");
    let content = "127.0.0.1 localhost\n".repeat(1000);
    fs::write(&path, &content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _ = ShelfStore::redb(&path).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[tokio::test]
async fn who_comes_second_is_told_that_another_has_it_open() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let mut other = Running::start(command(&[], CHILD, *kind, "use 0", dir.path()));
        other.wait_for(1);
        let error = ShelfStore::with_config(config(*kind, dir.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = error.to_string();
        let path = config(*kind, dir.path()).path().display().to_string();
        let why = format!("opening the database failed: {path}: another process");
        assert!(text.starts_with(&why), "{text}");
        other.kill();
        // The lock has gone with the process, and what it stored is there.
        let (store, _) = open(config(*kind, dir.path()));
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(counted(1)));
        let again = ShelfStore::with_config(config(*kind, dir.path())).unwrap_err();
        assert!(
            again.to_string().contains("another store of this one"),
            "{again}"
        );
        let told = Running::start(command(&[], CHILD, *kind, "try 0", dir.path())).finish();
        assert!(
            told[0].starts_with("Unavailable opening the database failed"),
            "{told:?}"
        );
    }
}

/// As a child has it between its `fork` and its `exec`, when what it has inherited is closed.
#[tokio::test]
async fn what_stays_locked_for_a_moment_is_waited_for() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (lingering, shelf) = open(config(*kind, dir.path()));
        let created = lingering.create(&id(1), &counted(1)).await.unwrap();
        assert_eq!(created, Created::Done);
        let leaving = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            drop((lingering, shelf));
        });
        let (store, _) = open(config(*kind, dir.path()));
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(counted(1)));
        leaving.join().unwrap();
    }
}

#[tokio::test]
async fn a_store_that_is_dropped_has_closed_the_database() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..10 {
            let store = ShelfStore::with_config(config(*kind, dir.path())).unwrap();
            let clone = store.clone();
            drop(store);
            let created = clone.create(&id(number), &counted(1)).await.unwrap();
            assert_eq!(created, Created::Done);
            let locked = match kind {
                #[cfg(feature = "sled")]
                EngineKind::Sled => dir.path().join("sled/lock"),
                #[cfg(feature = "redb")]
                EngineKind::Redb => dir.path().join("sessions.redb"),
            };
            assert!(is_open(&locked), "{}", locked.display());
            drop(clone);
            assert!(!is_open(&locked), "{}", locked.display());
        }
        // Another process may have it.
        let (other, gone) = (id(1), dir.path());
        drop(
            open(config(*kind, gone))
                .0
                .delete(&other, session_core::Only::Any)
                .await,
        );
        let told = Running::start(command(&[], CHILD, *kind, "try 0", gone)).finish();
        assert_eq!(told, ["open"]);
    }
}

/// Whether this process has a file open.
fn is_open(file: &Path) -> bool {
    let file = file.canonicalize().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap();
    // One that was closed meanwhile has no link any more.
    open.flatten()
        .filter_map(|one| fs::read_link(one.path()).ok())
        .any(|open| open == file)
}

#[test]
fn what_is_made_is_its_owners_alone() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("above/made");
        let loose = ["sh", "-c", "umask 0; exec \"$0\" \"$@\""];
        let child = Running::start(command(&loose, CHILD, *kind, "try 0", &made));
        assert_eq!(child.finish(), ["open"]);
        let found = below(&dir.path().join("above"));
        assert!(found.iter().any(|path| path.is_file()), "{found:?}");
        for path in found {
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            if path.is_dir() && !path.ends_with("blobs") {
                assert_eq!(mode, 0o700, "{}", path.display());
            } else if path.is_file() {
                assert_eq!(mode, 0o600, "{}", path.display());
            }
        }
    }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() {
            let entries = fs::read_dir(&found[at]).unwrap();
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    found
}

#[tokio::test]
async fn what_was_open_to_others_is_closed_to_them() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        drop(open(config(*kind, dir.path())));
        let inside = below(dir.path()).into_iter().skip(1);
        let inside: Vec<_> = inside.filter(|path| !path.ends_with("blobs")).collect();
        for path in &inside {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let _open = open(config(*kind, dir.path()));
        for path in &inside {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        let above = dir.path().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(above, 0o755, "the folder given is the administrator's");
    }
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let sled = dir.path().join("sled");
        fs::create_dir(&sled).unwrap();
        let garbage = "no database at all ".repeat(100_000);
        let files = [dir.path().join("sessions.redb"), sled.join("db")];
        for file in &files {
            fs::write(file, &garbage).unwrap();
        }
        fs::write(sled.join("conf"), "neither is this").unwrap();
        let error = ShelfStore::with_config(config(*kind, dir.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?}: {error}");
        let path = config(*kind, dir.path()).path().display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
        for file in &files {
            assert_eq!(fs::read_to_string(file).unwrap(), garbage);
        }
    }
}

#[test]
fn a_path_that_cannot_be_used_is_said_at_once() {
    for kind in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "in the way").unwrap();
        let error = ShelfStore::with_config(config(*kind, &file)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        fs::create_dir(dir.path().join("sessions.redb")).unwrap();
        fs::write(dir.path().join("sled"), "in the way").unwrap();
        let error = ShelfStore::with_config(config(*kind, dir.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    #[cfg(feature = "sled")]
    assert!(
        ShelfStore::sled("")
            .unwrap_err()
            .to_string()
            .contains("the path is empty")
    );
    #[cfg(feature = "redb")]
    assert!(
        ShelfStore::redb("")
            .unwrap_err()
            .to_string()
            .contains("the path is empty")
    );
}

#[test]
fn a_database_of_something_else_or_of_a_later_version_is_refused() {
    for kind in ENGINES {
        for (key, entry, refused) in [
            (&b"x"[..], &b"y"[..], ErrorKind::Corrupt),
            (b"s", br#"{"layout":2}"#, ErrorKind::NewerFormat),
        ] {
            let dir = tempfile::tempdir().unwrap();
            {
                let (store, shelf) = open(config(*kind, dir.path()));
                let changes = vec![(b"s".to_vec(), None), (key.to_vec(), Some(entry.to_vec()))];
                shelf
                    .write(|changing| changing.apply(changes.clone()))
                    .unwrap();
                drop((store, shelf));
            }
            let error = ShelfStore::with_config(config(*kind, dir.path())).unwrap_err();
            assert_eq!(error.kind(), refused, "{error}");
        }
    }
}

#[cfg(feature = "sled")]
#[tokio::test]
async fn a_snapshot_that_was_not_finished_keeps_nobody_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = ShelfStore::sled(dir.path()).unwrap();
        assert_eq!(
            store.create(&id(1), &counted(1)).await.unwrap(),
            Created::Done
        );
    }
    let unfinished = dir.path().join("sled/snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(&unfinished, "half of it").unwrap();
    let store = ShelfStore::sled(dir.path()).unwrap();
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(counted(1)));
    assert!(!unfinished.exists());
    // But one that a process is just writing stays.
    fs::write(&unfinished, "half of it").unwrap();
    let _ = ShelfStore::sled(dir.path()).unwrap_err();
    assert!(unfinished.exists());
}

#[tokio::test]
async fn a_relative_path_is_resolved_when_the_store_is_opened() {
    for kind in ENGINES {
        let dir = tempfile::Builder::new().tempdir_in(".").unwrap();
        let relative = Path::new(".").join(dir.path().file_name().unwrap());
        let store = ShelfStore::with_config(config(*kind, &relative)).unwrap();
        assert!(store.path().is_absolute());
        assert!(store.path().starts_with(dir.path().canonicalize().unwrap()));
        assert_eq!(
            store.create(&id(1), &counted(1)).await.unwrap(),
            Created::Done
        );
    }
}
