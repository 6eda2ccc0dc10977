//! What the suite needs of any kind of servers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted, samples};
use session_core::{SessionId, Store};
use session_redis::{RedisConfig, RedisStore};

/// Servers that tests share, and a way to them.
#[async_trait]
pub(crate) trait Servers: Sized + Send + Sync {
    /// The way there, through what can be broken.
    async fn config(&self) -> RedisConfig;

    /// As many of its kind, with little room.
    async fn small() -> Self;

    /// Has the server of `key` execute a command.
    fn command_on(&self, key: &str, command: &[&str]);

    /// Has all that take writes execute a command.
    fn command_on_all(&self, command: &[&str]);

    fn break_down(&self);

    fn mend(&self);
}

/// A prefix of its own for each store.
pub(crate) struct On<S> {
    servers: S,
    small: Mutex<Option<Arc<S>>>,
    prefix: String,
    /// Those that were opened.
    stores: Mutex<Vec<Arc<dyn Store>>>,
}

impl<S: Servers> On<S> {
    pub(crate) fn new(servers: S) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self {
            servers,
            small: Mutex::default(),
            prefix: format!("test-{}:", COUNT.fetch_add(1, Ordering::Relaxed)),
            stores: Mutex::default(),
        }
    }

    async fn open(&self, servers: &S) -> Arc<dyn Store> {
        let config = servers.config().await.prefix(&self.prefix);
        let store: Arc<dyn Store> = Arc::new(RedisStore::with_config(config).await.unwrap());
        self.stores.lock().unwrap().push(Arc::clone(&store));
        store
    }
}

#[async_trait]
impl<S: Servers> Harness for On<S> {
    async fn empty_store(&self) -> Arc<dyn Store> {
        self.open(&self.servers).await
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        let servers = Arc::new(S::small().await);
        let store = self.open(&servers).await;
        *self.small.lock().unwrap() = Some(servers);
        store
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.open(&self.servers).await
    }

    /// Every key of the store loses this much of its life, as when the time passes.
    async fn let_pass(&self, span: Duration) {
        let pattern = format!("{}*", self.prefix);
        let span = span.as_millis().to_string();
        let age = ["EVAL", AGE, "0", &pattern, &span];
        self.servers.command_on_all(&age);
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
        self.servers.command_on(&key, &["SET", &key, &value]);
    }

    async fn break_backend(&self) {
        self.servers.break_down();
    }

    /// After a failed attempt to connect, the next is not made at once; a ping reaches one of
    /// several servers.
    async fn mend_backend(&self) {
        self.servers.mend();
        let stores = self.stores.lock().unwrap().clone();
        let deadline = Instant::now() + PATIENCE;
        for store in stores {
            let mut pings = 0;
            while pings < 20 {
                match store.ping().await {
                    Ok(()) => pings += 1,
                    Err(error) => {
                        assert!(Instant::now() < deadline, "not back: {error}");
                        pings = 0;
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        }
    }
}

/// The machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The default.
const SKEW: Duration = Duration::from_secs(30);

const AGE: &str = "
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
        local left = redis.call('PTTL', key)
        if left >= 0 then
            redis.call('PEXPIRE', key, left - tonumber(ARGV[2]))
        end
    end";
