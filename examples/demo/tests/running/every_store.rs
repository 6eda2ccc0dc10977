//! Whatever keeps the sessions, the demo does the same.

use crate::client::Client;
use crate::demo::Demo;

/// What becomes of the sessions when the program ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    Keeps,
    Forgets,
}

async fn does_what_it_does_everywhere(args: &[&str], restart: Restart) {
    let demo = Demo::start(args);
    let client = Client::new(&demo.url);
    assert_eq!(client.get("/peek").await.body, "0");
    assert_eq!(client.token(), None, "reading stores nothing");
    for n in 1..=3 {
        assert_eq!(client.get("/count").await.body, n.to_string());
    }
    assert_eq!(client.post("/login", "user=ada").await.status, 303);
    assert_eq!(
        client
            .send("PUT", "/values/colour", &[], "\"blue\"")
            .await
            .status,
        204
    );

    assert_eq!(demo.interrupt_and_wait().code, Some(0));
    let demo = Demo::start(args);
    client.move_to(&demo.url);
    if restart == Restart::Forgets {
        assert_eq!(client.get("/peek").await.body, "0");
        return;
    }
    let me = client.get("/me").await.json();
    assert_eq!(me["user"], "ada");
    assert_eq!(me["values"]["count"], 3);
    assert_eq!(me["values"]["colour"], "blue");
    assert_eq!(client.get("/healthz").await.status, 200);

    let in_cookie = args.iter().find_map(|arg| arg.strip_prefix("cookie:"));
    if in_cookie.is_some() {
        assert_eq!(client.get("/devices").await.status, 501);
        let page = client.get("/").await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("ada"), "{}", page.body);
        let ends_others = page.body.contains("name=\"others\"");
        assert_eq!(ends_others, in_cookie != Some(""), "{}", page.body);
    }
    if in_cookie == Some("") {
        let told = client.post("/devices/revoke", "others=1").await;
        assert_eq!(told.status, 501);
        assert_eq!(client.post("/logout", "").await.status, 303);
    } else {
        let thief = client.twin();
        let other = Client::new(&demo.url);
        assert_eq!(other.post("/login", "user=ada").await.status, 303);
        if in_cookie.is_none() {
            assert_eq!(devices(&client).await, 2);
        }
        assert_eq!(client.post("/devices/revoke", "others=1").await.status, 303);
        if in_cookie.is_none() {
            assert_eq!(devices(&client).await, 1);
        }
        assert_eq!(
            other.get("/me").await.json()["user"],
            serde_json::Value::Null
        );
        assert_eq!(client.get("/me").await.json()["user"], "ada");
        assert_eq!(client.post("/logout", "").await.status, 303);
        assert_eq!(
            thief.get("/me").await.json()["user"],
            serde_json::Value::Null
        );
    }
    assert_eq!(
        client.get("/me").await.json()["user"],
        serde_json::Value::Null
    );
    assert_eq!(demo.interrupt_and_wait().code, Some(0));
}

async fn devices(client: &Client) -> usize {
    let list = client.get("/devices").await.json();
    list.as_array().expect("a list").len()
}

async fn over(url: &str) {
    does_what_it_does_everywhere(&["--store", url], Restart::Keeps).await;
}

/// The URL of a store in a new folder.
fn in_folder(scheme: &str, name: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("{scheme}:{}", dir.path().join(name).display());
    (dir, url)
}

#[tokio::test]
async fn in_memory() {
    does_what_it_does_everywhere(&["--store", "memory:"], Restart::Forgets).await;
}

#[tokio::test]
async fn in_files() {
    let (_dir, url) = in_folder("file", "sessions");
    over(&url).await;
}

#[cfg(feature = "shelf")]
#[tokio::test]
async fn on_a_sled_shelf() {
    let (_dir, url) = in_folder("shelf", "shelf");
    over(&url).await;
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn on_a_redb_shelf() {
    let (_dir, url) = in_folder("redb", "sessions.redb");
    over(&url).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn in_sqlite() {
    let (_dir, url) = in_folder("sqlite", "sessions.db");
    over(&url).await;
}

#[cfg(feature = "sealed")]
#[tokio::test]
async fn sealed_in_the_cookie() {
    over_sealed("").await;
}

#[cfg(feature = "sealed")]
#[tokio::test]
async fn sealed_in_the_cookie_with_revocations_in_files() {
    let (_dir, url) = in_folder("file", "revocations");
    over_sealed(&url).await;
}

#[cfg(all(feature = "sealed", feature = "redis"))]
#[tokio::test]
async fn sealed_in_the_cookie_with_revocations_in_redis() {
    let server = session_test_servers::RedisServer::start().expect("a server");
    over_sealed(&server.url()).await;
}

#[cfg(feature = "sealed")]
async fn over_sealed(revocations: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let key = dir.path().join("key");
    let key = key.to_str().expect("a path of text");
    let store = format!("cookie:{revocations}");
    let args = ["--store", &store, "--secret-key-file", key];
    does_what_it_does_everywhere(&args, Restart::Keeps).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn in_postgres() {
    let server = session_test_servers::PostgresServer::start().expect("a server");
    over(&server.url()).await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn in_mariadb() {
    let server = session_test_servers::MariaDbServer::start().expect("a server");
    over(&server.url()).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn in_redis() {
    let server = session_test_servers::RedisServer::start().expect("a server");
    over(&server.url()).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn in_redis_behind_sentinels() {
    let servers = session_test_servers::RedisSentinel::start().expect("servers");
    over(&servers.url()).await;
}

#[cfg(feature = "redis-cluster")]
#[tokio::test]
async fn in_a_redis_cluster() {
    let servers = session_test_servers::RedisCluster::start().expect("servers");
    over(&servers.url()).await;
}

#[cfg(all(feature = "redis", feature = "tls"))]
#[tokio::test]
async fn in_redis_over_tls() {
    let builder = session_test_servers::RedisServer::builder();
    let server = builder.tls(true).start().expect("a server");
    let ca = server.ca().display();
    over(&format!("{}?ca={ca}", server.url())).await;
}
