//! The program is killed while it counts, again and again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use session_kit::{Cursor, connect};
use tokio::sync::Notify;

use crate::client::Client;
use crate::demo::Demo;

const ROUNDS: u64 = 20;
const SESSIONS: usize = 3;
const CLIENTS_EACH: usize = 3;

/// What one session was promised.
struct Counter {
    client: Client,
    /// The highest number that was answered.
    acknowledged: AtomicU64,
    attempts: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f4_every_acknowledged_count_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = format!("file:{}", dir.path().display());
    let mut demo = Demo::start(&["--store", &store]);
    let mut counters = Vec::new();
    for _ in 0..SESSIONS {
        let client = Client::new(&demo.url);
        assert_eq!(client.get("/count").await.body, "1");
        counters.push(Arc::new(Counter {
            client,
            acknowledged: 1.into(),
            attempts: 1.into(),
        }));
    }
    for round in 0..ROUNDS {
        // Not always at the same distance from the start.
        count_until_killed(demo, &counters, 20 + 7 * round).await;
        every_file_is_readable(&store, dir.path()).await;
        demo = Demo::start(&["--store", &store]);
        for counter in &counters {
            counter.client.move_to(&demo.url);
            let reply = counter.client.get("/peek").await;
            let count: u64 = reply.body.parse().expect("a number");
            let acknowledged = counter.acknowledged.load(Ordering::SeqCst);
            let attempts = counter.attempts.load(Ordering::SeqCst);
            assert!(
                (acknowledged..=attempts).contains(&count),
                "round {round}: {acknowledged} acknowledged, {attempts} tried, {count} found"
            );
        }
    }
}

/// Counts from all sides until `least` more counts are acknowledged, and kills in the middle.
async fn count_until_killed(mut demo: Demo, counters: &[Arc<Counter>], least: u64) {
    let left = Arc::new(AtomicU64::new(least));
    let enough = Arc::new(Notify::new());
    let mut tasks = Vec::new();
    for counter in counters {
        for _ in 0..CLIENTS_EACH {
            let (counter, left, enough) =
                (Arc::clone(counter), Arc::clone(&left), Arc::clone(&enough));
            tasks.push(tokio::spawn(async move {
                let client = counter.client.twin();
                loop {
                    counter.attempts.fetch_add(1, Ordering::SeqCst);
                    let Ok(reply) = client.try_send("GET", "/count", &[], "").await else {
                        return;
                    };
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    let count = reply.body.parse().expect("a number");
                    counter.acknowledged.fetch_max(count, Ordering::SeqCst);
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        enough.notify_one();
                    }
                }
            }));
        }
    }
    enough.notified().await;
    demo.process.kill().expect("the demo is there to be killed");
    for task in tasks {
        task.await.expect("every answer is a number");
    }
    demo.process.wait().expect("it has ended");
}

async fn every_file_is_readable(url: &str, dir: &Path) {
    let store = connect(url).await.expect("the store opens");
    let mut cursor = Cursor::start();
    let mut seen = 0;
    loop {
        let page = store
            .scan(cursor, 100)
            .await
            .expect("the store can be listed");
        for id in page.ids {
            store
                .load(&id)
                .await
                .unwrap_or_else(|error| panic!("{id} in {}: {error}", dir.display()));
            seen += 1;
        }
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert!(seen >= SESSIONS, "{seen}");
}
