//! Two programs on one store, as behind a load balancer.

use std::path::Path;

use tokio::task::JoinSet;

use crate::client::Client;
use crate::demo::Demo;

#[tokio::test]
async fn two_programs_on_one_folder_share_every_session_and_lose_no_count() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = format!("file:{}", dir.path().display());
    let demos = [(); 2].map(|()| Demo::start(&["--store", &store]));
    let client = Client::new(&demos[0].url);
    client.post("/login", "user=ada").await;
    client.get("/count").await;

    let mut counting = JoinSet::new();
    for demo in demos.iter().cycle().take(16) {
        let client = client.twin();
        client.move_to(&demo.url);
        counting.spawn(async move {
            for _ in 0..25 {
                let reply = client.get("/count").await;
                assert_eq!(reply.status, 200, "{}", reply.body);
            }
        });
    }
    counting.join_all().await;
    client.move_to(&demos[1].url);
    assert_eq!(client.get("/peek").await.body, "401");

    let elsewhere = client.twin();
    elsewhere.move_to(&demos[0].url);
    client.post("/logout", "").await;
    let me = elsewhere.get("/me").await.json();
    assert_eq!(me["user"], serde_json::json!(null));
}

/// One session, two frameworks: programs under each, on every store that programs can share.
#[cfg(all(feature = "actix", feature = "axum"))]
mod two_frameworks {
    use super::*;

    /// Clients, half of them under each framework.
    const CLIENTS: usize = 16;
    /// Requests of each.
    const REQUESTS: usize = 25;

    /// Starts the demo under either framework, lets both count at once on a session that began
    /// under this crate's, and signs in under that one and out under the other.
    async fn share_every_session_on(store: &str) {
        let other = match crate::FRAMEWORK {
            "axum" => "actix",
            _ => "axum",
        };
        let demos = [crate::FRAMEWORK, other];
        let demos = demos.map(|name| Demo::start_under(name, &["--store", store]));
        let client = Client::new(&demos[0].url);
        client.send("PUT", "/values/count", &[], "0").await;
        let mut counting = JoinSet::new();
        for demo in demos.iter().cycle().take(CLIENTS) {
            let client = client.twin();
            client.move_to(&demo.url);
            counting.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..REQUESTS {
                    let reply = client.get("/count").await;
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    answers.push(reply.body.parse::<usize>().expect("a number"));
                }
                answers
            });
        }
        let mut answers: Vec<usize> = counting.join_all().await.concat();
        answers.sort_unstable();
        let total = CLIENTS * REQUESTS;
        assert!(answers.into_iter().eq(1..=total), "all answers differ");

        // A login under one is known to the other, and so is its end.
        client.post("/login", "user=ada").await;
        let [here, there] = [client.twin(), client.twin()];
        there.move_to(&demos[1].url);
        assert_eq!(there.get("/me").await.json()["user"], "ada");
        assert_eq!(there.get("/peek").await.body, total.to_string());
        there.post("/logout", "").await;
        let me = here.get("/me").await.json();
        assert_eq!(me["user"], serde_json::json!(null));
    }

    #[tokio::test]
    async fn c2_lose_no_count_in_files() {
        let dir = tempfile::tempdir().expect("a folder");
        share_every_session_on(&format!("file:{}", dir.path().display())).await;
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn c2_lose_no_count_in_sqlite() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("sessions.db");
        share_every_session_on(&format!("sqlite:{}", file.display())).await;
    }

    #[cfg(feature = "postgres")]
    #[tokio::test]
    async fn c2_lose_no_count_in_postgres() {
        let server = session_test_servers::PostgresServer::start().expect("a server");
        share_every_session_on(&server.url()).await;
    }

    #[cfg(feature = "mysql")]
    #[tokio::test]
    async fn c2_lose_no_count_in_mariadb() {
        let server = session_test_servers::MariaDbServer::start().expect("a server");
        share_every_session_on(&server.url()).await;
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn c2_lose_no_count_in_redis() {
        let server = session_test_servers::RedisServer::start().expect("a server");
        share_every_session_on(&server.url()).await;
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn c2_lose_no_count_in_redis_behind_sentinels() {
        let servers = session_test_servers::RedisSentinel::start().expect("servers");
        share_every_session_on(&servers.url()).await;
    }

    #[cfg(feature = "redis-cluster")]
    #[tokio::test]
    async fn c2_lose_no_count_in_a_redis_cluster() {
        let servers = session_test_servers::RedisCluster::start().expect("servers");
        share_every_session_on(&servers.url()).await;
    }
}

/// Four programs on one folder.
fn four_programs(dir: &Path) -> [Demo; 4] {
    let store = format!("file:{}", dir.display());
    [(); 4].map(|()| Demo::start(&["--store", &store]))
}

#[tokio::test]
async fn c2_sixty_four_clients_of_four_programs_count_to_exactly_6_400() {
    let dir = tempfile::tempdir().expect("a folder");
    let demos = four_programs(dir.path());
    let client = Client::new(&demos[0].url);
    client.send("PUT", "/values/count", &[], "0").await;
    let mut counting = JoinSet::new();
    for demo in demos.iter().cycle().take(64) {
        let client = client.twin();
        client.move_to(&demo.url);
        counting.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..100 {
                let reply = client.get("/count").await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                answers.push(reply.body.parse::<u64>().expect("a number"));
            }
            answers
        });
    }
    let mut answers: Vec<u64> = counting.join_all().await.concat();
    answers.sort_unstable();
    assert!(answers.into_iter().eq(1..=6_400), "all answers differ");
    for demo in &demos {
        client.move_to(&demo.url);
        assert_eq!(client.get("/peek").await.body, "6400");
    }
}

#[tokio::test]
async fn c2_two_hundred_keys_written_through_four_programs_all_survive() {
    let dir = tempfile::tempdir().expect("a folder");
    let demos = four_programs(dir.path());
    let client = Client::new(&demos[0].url);
    client.get("/count").await;
    let mut writing = JoinSet::new();
    for (number, demo) in demos.iter().cycle().take(200).enumerate() {
        let client = client.twin();
        client.move_to(&demo.url);
        writing.spawn(async move {
            let (path, value) = (format!("/values/key{number}"), number.to_string());
            let reply = client.send("PUT", &path, &[], &value).await;
            assert_eq!(reply.status, 204, "{}", reply.body);
        });
    }
    writing.join_all().await;
    for demo in &demos {
        client.move_to(&demo.url);
        let me = client.get("/me").await.json();
        let mut expected = serde_json::json!({"count": 1});
        for number in 0..200 {
            expected[format!("key{number}")] = number.into();
        }
        assert_eq!(me["values"], expected);
    }
}
