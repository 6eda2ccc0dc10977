//! What is particular to this store, on a server that the tests of this file share.

#[path = "store/crashes.rs"]
mod crashes;
#[path = "store/foreign.rs"]
mod foreign;
#[path = "store/ghosts.rs"]
mod ghosts;
#[path = "store/index.rs"]
mod index;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/lifetimes.rs"]
mod lifetimes;
#[path = "store/model.rs"]
mod model;
#[path = "store/monitor.rs"]
mod monitor;
#[path = "store/refusals.rs"]
mod refusals;
#[path = "store/round_trips.rs"]
mod round_trips;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session_core::conformance::samples;
use session_core::{Created, Record, SessionId, Store};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::RedisServer;

static SERVER: LazyLock<RedisServer> = LazyLock::new(|| {
    let server = RedisServer::builder().setting("appendonly", "no");
    server.start().unwrap()
});

/// A store with a prefix of its own on the shared server.
struct Place {
    prefix: String,
    store: RedisStore,
}

impl Place {
    async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test-{}:", COUNT.fetch_add(1, Ordering::Relaxed));
        let store = open(&SERVER.url(), &prefix).await;
        Self { prefix, store }
    }

    fn key(&self, id: &SessionId) -> String {
        format!("{}{id}", self.prefix)
    }

    fn index(&self, owner: &str) -> String {
        let hash = blake3::hash(owner.as_bytes()).to_hex();
        format!("{}owner:{hash}", self.prefix)
    }

    async fn stored(&self, record: &Record) -> SessionId {
        let id = samples::id();
        let created = self.store.create(&id, record).await.unwrap();
        assert_eq!(created, Created::Done);
        id
    }

    async fn owned_by(&self, owner: &str) -> Vec<SessionId> {
        self.store.owned_by(&samples::owner(owner)).await.unwrap()
    }
}

async fn open(url: &str, prefix: &str) -> RedisStore {
    let config = RedisConfig::new(url)
        .prefix(prefix)
        .response_timeout(PATIENCE);
    RedisStore::with_config(config).await.unwrap()
}

fn redis(command: &[&str]) -> String {
    SERVER.command(command).unwrap()
}

fn number(command: &[&str]) -> i64 {
    redis(command).parse().unwrap()
}

/// The default.
const SKEW_MS: i64 = 30_000;

/// The machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
