//! Whom the sentinels call the primary.

use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use session_redis::RedisConfig;
use session_test_servers::{RedisSentinel, RedisServer};

use crate::harness::{On, PATIENCE, Servers, outages};

static SHARED: LazyLock<Mutex<RedisSentinel>> = LazyLock::new(|| Mutex::new(calm()));

/// A busy machine is no reason for a failover, which may cost acknowledged writes.
fn calm() -> RedisSentinel {
    let mut servers = RedisSentinel::start().unwrap();
    let patient = [
        "SENTINEL",
        "SET",
        "sessions",
        "down-after-milliseconds",
        "3600000",
    ];
    for sentinel in servers.sentinels() {
        sentinel.command(&patient).unwrap();
    }
    servers
}

struct Link(Option<Mutex<RedisSentinel>>);

impl Link {
    fn servers(&self) -> MutexGuard<'_, RedisSentinel> {
        self.0.as_ref().unwrap_or(&SHARED).lock().unwrap()
    }

    fn each(&self, act: impl Fn(&RedisServer)) {
        let mut servers = self.servers();
        act(servers.primary());
        act(servers.replica());
        servers.sentinels().iter().for_each(act);
    }
}

#[async_trait]
impl Servers for Link {
    async fn config(&self) -> RedisConfig {
        let patience = match self.0 {
            Some(_) => Duration::from_secs(2),
            None => PATIENCE,
        };
        RedisConfig::new(self.servers().url())
            .response_timeout(patience)
            .connect_timeout(patience)
    }

    async fn small() -> Self {
        let mut servers = calm();
        let limit = ["CONFIG", "SET", "maxmemory", "5mb"];
        servers.primary().command(&limit).unwrap();
        Self(Some(Mutex::new(servers)))
    }

    fn command_on(&self, _key: &str, command: &[&str]) {
        self.servers().primary().command(command).unwrap();
    }

    fn command_on_all(&self, command: &[&str]) {
        self.servers().primary().command(command).unwrap();
    }

    fn break_down(&self) {
        self.each(RedisServer::freeze);
    }

    fn mend(&self) {
        self.each(RedisServer::thaw);
    }
}

session_core::store_conformance!(On::new(Link(None)), without: [sweep, break_backend]);

#[tokio::test(flavor = "multi_thread")]
async fn outages_are_answered_as_such() {
    outages(On::new(Link(Some(Mutex::new(calm()))))).await;
}
