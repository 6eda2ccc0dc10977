//! The store goes away under a running program, and comes back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::demo::Demo;

#[tokio::test]
async fn a_store_that_is_down_is_never_an_empty_session() {
    let dir = tempfile::tempdir().expect("a folder");
    let (sessions, aside) = (dir.path().join("store"), dir.path().join("aside"));
    let store = format!("file:{}", sessions.display());
    let demo = Demo::start(&["--store", &store]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    client.post("/login", "user=ada").await;
    let token = client.token();

    take_away(&sessions, &aside);
    let table = [
        ("GET", "/"),
        ("GET", "/count"),
        ("GET", "/peek"),
        ("GET", "/reset"),
        ("POST", "/login"),
        ("POST", "/logout"),
        ("GET", "/me"),
        ("GET", "/values/a"),
        ("GET", "/slow?ms=0&key=a"),
        ("GET", "/devices"),
        ("POST", "/devices/revoke"),
        ("GET", "/csrf"),
        ("POST", "/transfer"),
        ("GET", "/lang/de"),
        ("GET", "/healthz"),
    ];
    for (method, path) in table {
        let reply = client.send(method, path, &[], "").await;
        assert_eq!(reply.status, 503, "{method} {path}: {}", reply.body);
        assert_ne!(reply.header("retry-after"), "", "{method} {path}");
        assert_eq!(reply.header("set-cookie"), "", "{method} {path}");
    }
    assert_eq!(client.get("/plain").await.short(), (200, "ok"));

    bring_back(&sessions, &aside);
    assert_eq!(client.get("/healthz").await.status, 200);
    assert_eq!(client.get("/count").await.short(), (200, "2"));
    assert_eq!(client.token(), token);
}

/// Whoever holds the lock of a session's file makes the store wait, as a hung disk does.
#[tokio::test]
async fn a_store_that_hangs_is_answered_503_in_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = format!("file:{}", dir.path().display());
    let demo = Demo::start(&["--store", &store, "--store-timeout=5"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;

    let file = fs::File::open(only_file(&dir.path().join("sessions"))).expect("it is there");
    file.lock().expect("nobody else has it now");
    let reply = client.get("/count").await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert_ne!(reply.header("retry-after"), "");
    assert_eq!(client.get("/plain").await.status, 200);
    assert_eq!(Client::new(&demo.url).get("/count").await.body, "1");

    // Closing it would not do while another test's thread is starting a process.
    file.unlock().expect("it is locked");
    let count: u64 = client.get("/count").await.body.parse().expect("a number");
    // Whether the one that was answered 503 has counted is not known to anybody.
    assert!((2..=3).contains(&count), "{count}");
}

fn only_file(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("it can be listed");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("one").path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = entries.remove(0);
    if entry.is_dir() {
        only_file(&entry)
    } else {
        entry
    }
}

/// Puts a file in the place of each folder with sessions in it, and one in that of the whole
/// store: the program holds its folders open, so that moving them alone changes nothing for it.
fn take_away(store: &Path, aside: &Path) {
    fs::create_dir(aside).expect("a folder can be made");
    let folders = fs::read_dir(store.join("sessions")).expect("sessions are there");
    for folder in folders {
        let folder = folder.expect("it can be listed").path();
        let name = folder.file_name().expect("it has a name");
        fs::rename(&folder, aside.join(name)).expect("it can be moved");
        fs::write(folder, "").expect("a file can be made");
    }
    fs::rename(store, aside.join("store")).expect("it can be moved");
    fs::write(store, "").expect("a file can be made");
}

fn bring_back(store: &Path, aside: &Path) {
    fs::remove_file(store).expect("the file can go");
    fs::rename(aside.join("store"), store).expect("it can be moved");
    for folder in fs::read_dir(aside).expect("it can be listed") {
        let folder = folder.expect("it can be listed").path();
        let name = folder.file_name().expect("it has a name");
        let place = store.join("sessions").join(name);
        fs::remove_file(&place).expect("the file can go");
        fs::rename(&folder, place).expect("it can be moved");
    }
}
