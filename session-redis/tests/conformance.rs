//! The store keeps the contract on one server. Only the sweep is left out: the server expires
//! records by itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted, samples};
use session_core::{SessionId, Store};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{Proxy, RedisServer};

static SERVER: LazyLock<RedisServer> = LazyLock::new(|| {
    // What survives a crash is looked at elsewhere.
    let server = RedisServer::builder().setting("appendonly", "no");
    server.start().unwrap()
});

/// A prefix of its own for each store on one server; the way there can be broken.
struct OneServer {
    proxy: Proxy,
    prefix: String,
    /// Those that were opened.
    stores: Mutex<Vec<Arc<dyn Store>>>,
    /// One that has little room, while a test needs it.
    small: Mutex<Option<RedisServer>>,
}

impl OneServer {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self {
            proxy: Proxy::to(SERVER.addr()).unwrap(),
            prefix: format!("test-{}:", COUNT.fetch_add(1, Ordering::Relaxed)),
            stores: Mutex::default(),
            small: Mutex::default(),
        }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let config = RedisConfig::new(SERVER.url_at(self.proxy.addr()))
            .prefix(&self.prefix)
            .response_timeout(PATIENCE);
        let store: Arc<dyn Store> = Arc::new(RedisStore::with_config(config).await.unwrap());
        self.stores.lock().unwrap().push(Arc::clone(&store));
        store
    }
}

#[async_trait]
impl Harness for OneServer {
    async fn empty_store(&self) -> Arc<dyn Store> {
        self.open().await
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        let server = RedisServer::builder()
            .setting("maxmemory", "4mb")
            .setting("maxmemory-policy", "noeviction");
        let server = server.start().unwrap();
        let store = RedisStore::connect(&server.url()).await.unwrap();
        *self.small.lock().unwrap() = Some(server);
        Arc::new(store)
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.open().await
    }

    /// Every key of the store loses this much of its life, as when the time passes.
    async fn let_pass(&self, span: Duration) {
        let pattern = format!("{}*", self.prefix);
        let span = span.as_millis().to_string();
        SERVER
            .command(&["EVAL", AGE, "0", &pattern, &span])
            .unwrap();
    }

    fn expires_late_by(&self) -> Duration {
        SKEW
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        let value = match what {
            Planted::Undecodable => String::from_utf8(samples::UNDECODABLE.to_vec()).unwrap(),
            Planted::NewerFormat => samples::newer_format(),
        };
        let key = format!("{}{id}", self.prefix);
        SERVER.command(&["SET", &key, &value]).unwrap();
    }

    async fn break_backend(&self) {
        self.proxy.refuse();
        self.proxy.cut();
    }

    /// After a failed attempt to connect, the next is not made at once.
    async fn mend_backend(&self) {
        self.proxy.accept().unwrap();
        let stores = self.stores.lock().unwrap().clone();
        let deadline = Instant::now() + PATIENCE;
        for store in stores {
            while let Err(error) = store.ping().await {
                assert!(Instant::now() < deadline, "not back: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// The machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The default.
const SKEW: Duration = Duration::from_secs(30);

const AGE: &str = "
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
        local left = redis.call('PTTL', key)
        if left >= 0 then
            redis.call('PEXPIRE', key, left - tonumber(ARGV[2]))
        end
    end";

session_core::store_conformance!(OneServer::new(), without: [sweep]);
