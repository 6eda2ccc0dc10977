//! The store goes away under a running program, and comes back.

use std::fs;

use crate::client::Client;
use crate::demo::Demo;

#[tokio::test]
async fn a_store_that_is_down_is_never_an_empty_session() {
    let dir = tempfile::tempdir().expect("a folder");
    let (sessions, aside) = (dir.path().join("sessions"), dir.path().join("aside"));
    let store = format!("file:{}", sessions.display());
    let demo = Demo::start(&["--store", &store]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    client.post("/login", "user=ada").await;
    let token = client.token();

    fs::rename(&sessions, &aside).expect("the folder can be moved");
    // A file in the folder's place, which nothing can be made in.
    fs::write(&sessions, "").expect("a file");
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

    fs::remove_file(&sessions).expect("the file can go");
    fs::rename(&aside, &sessions).expect("the folder comes back");
    assert_eq!(client.get("/healthz").await.status, 200);
    assert_eq!(client.get("/count").await.short(), (200, "2"));
    assert_eq!(client.token(), token);
}
