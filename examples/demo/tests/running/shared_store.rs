//! Two programs on one store, as behind a load balancer.

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
