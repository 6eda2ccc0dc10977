//! How tokens travel, who may use them, and when they are good no more.

use std::time::Duration;

use crate::client::Client;
use crate::demo::Demo;

#[tokio::test]
async fn by_header_no_cookie_is_set_and_a_removal_is_empty() {
    let demo = Demo::start(&["--store", "memory:", "--transport", "header"]);
    let client = Client::by_header(&demo.url);
    let first = client.get("/count").await;
    assert_ne!(first.header("x-session-id"), "");
    let mut replies = vec![first, client.get("/count").await];
    assert_eq!(replies[1].body, "2");
    replies.push(client.post("/login", "user=ada").await);
    let removal = client.post("/logout", "").await;
    assert_eq!(
        removal
            .headers
            .get("x-session-id")
            .map(|value| value.as_bytes()),
        Some(&b""[..])
    );
    assert_eq!(client.token(), None);
    replies.push(removal);
    for reply in replies {
        assert_eq!(reply.header("set-cookie"), "");
        assert!(reply.header("vary").eq_ignore_ascii_case("x-session-id"));
    }
    // A cookie means nothing then.
    let by_cookie = Client::new(&demo.url);
    let sid = [("cookie", "sid=AAAAAAAAAAAAAAAAAAAAAA.x")];
    assert_eq!(by_cookie.send("GET", "/peek", &sid, "").await.body, "0");
}

#[tokio::test]
async fn an_expired_session_is_empty_or_401_with_the_message() {
    let fresh = Demo::start(&["--store", "memory:", "--timeout", "1"]);
    let told = [
        "--store",
        "memory:",
        "--timeout",
        "86400",
        "--absolute-timeout",
        "1",
        "--expired-message",
        "Too late, sign in again.",
    ];
    let told = Demo::start(&told);
    let kept = [
        "--store",
        "memory:",
        "--absolute-timeout",
        "1",
        "--timeout",
        "1",
        "--ignore-expiry",
    ];
    let kept = Demo::start(&kept);
    let [a, b, c] = [&fresh, &told, &kept].map(|demo| Client::new(&demo.url));
    for client in [&a, &b, &c] {
        assert_eq!(client.get("/count").await.body, "1");
    }
    // A real process has a real clock.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(a.get("/peek").await.short(), (200, "0"));
    let reply = b.get("/peek").await;
    assert_eq!(reply.short(), (401, "Too late, sign in again."));
    assert_eq!(b.token(), None, "the cookie is removed");
    assert_eq!(b.get("/peek").await.short(), (200, "0"));
    assert_eq!(c.get("/peek").await.body, "1");
    assert_eq!(
        c.get("/me").await.json()["expires_at"],
        serde_json::json!(null)
    );
}

#[tokio::test]
async fn a_stranger_token_counts_as_expired() {
    let demo = Demo::start(&["--store", "memory:", "--expired-message", "gone"]);
    let elsewhere = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&elsewhere.url);
    client.get("/count").await;
    client.move_to(&demo.url);
    assert_eq!(client.get("/count").await.short(), (401, "gone"));
    assert_eq!(client.get("/plain").await.status, 200);
}

#[tokio::test]
async fn a_session_can_be_held_to_the_address_behind_a_trusted_proxy() {
    let demo = Demo::start(&[
        "--store",
        "memory:",
        "--ignore-change-ip",
        "false",
        "--trust-proxy",
        "127.0.0.0/8",
    ]);
    let client = Client::new(&demo.url);
    let from = |address| [("x-forwarded-for", address)];
    let (here, there) = (from("198.51.100.7"), from("203.0.113.9"));
    client.send("POST", "/login", &here, "user=ada").await;
    client.send("GET", "/count", &here, "").await;
    assert_eq!(client.send("GET", "/peek", &there, "").await.body, "0");
    assert_eq!(client.send("GET", "/peek", &here, "").await.body, "1");
    let list = client.send("GET", "/devices", &here, "").await.json();
    assert_eq!(list[0]["ip"], "198.51.100.7");
}

#[tokio::test]
async fn a_signed_token_is_good_as_long_as_the_key_file_is_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let key = dir.path().join("key");
    let key = key.to_str().expect("a path of text");
    let store = format!("file:{}", dir.path().join("sessions").display());
    let args = [
        "--store",
        store.as_str(),
        "--secret-key-file",
        key,
        "--cookie-name",
        "signed",
    ];
    let demo = Demo::start(&args);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let token = client.token().expect("a session");
    assert!(token.starts_with("signed="), "{token}");
    drop(demo);

    let demo = Demo::start(&args);
    client.move_to(&demo.url);
    assert_eq!(client.get("/count").await.body, "2");
    drop(demo);

    std::fs::remove_file(key).expect("the key can be removed");
    let demo = Demo::start(&args);
    client.move_to(&demo.url);
    assert_eq!(client.get("/peek").await.body, "0");
}
