//! Three primaries, over the store's own connections and over a pool.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use session_redis::RedisConfig;
use session_test_servers::{RedisCluster, RedisClusterBuilder, RedisServer};

use crate::harness::{On, PATIENCE, Servers, outages};

/// What survives a crash is looked at elsewhere.
fn forgetful() -> RedisClusterBuilder {
    RedisCluster::builder().setting("appendonly", "no")
}

static SHARED: LazyLock<RedisCluster> = LazyLock::new(|| forgetful().start().unwrap());

/// The cluster that tests share, or one of their own.
struct Nodes(Option<RedisCluster>);

impl Nodes {
    fn own(builder: RedisClusterBuilder) -> Self {
        Self(Some(builder.start().unwrap()))
    }

    fn small() -> Self {
        Self::own(
            forgetful()
                .setting("maxmemory", "5mb")
                .setting("maxmemory-policy", "noeviction"),
        )
    }

    fn cluster(&self) -> &RedisCluster {
        self.0.as_ref().unwrap_or(&SHARED)
    }

    /// A frozen server keeps who asks it waiting for as long as they do.
    fn patience(&self) -> Duration {
        match self.0 {
            Some(_) => Duration::from_secs(2),
            None => PATIENCE,
        }
    }

    fn command_on(&self, key: &str, command: &[&str]) {
        let cluster = self.cluster();
        let node = &cluster.nodes()[cluster.primary_of(key.as_bytes())];
        node.command(command).unwrap();
    }

    fn command_on_all(&self, command: &[&str]) {
        for node in self.cluster().nodes() {
            node.command(command).unwrap();
        }
    }

    fn freeze(&self) {
        self.cluster().nodes().iter().for_each(RedisServer::freeze);
    }

    fn thaw(&self) {
        self.cluster().nodes().iter().for_each(RedisServer::thaw);
        self.cluster().wait_until_ok().unwrap();
    }
}

macro_rules! cluster {
    ($(#[$attribute:meta])* $module:ident, |$nodes:ident| $config:expr) => {
        $(#[$attribute])*
        mod $module {
            use super::*;

            struct Link(Nodes);

            #[async_trait]
            impl Servers for Link {
                async fn config(&self) -> RedisConfig {
                    let $nodes = &self.0;
                    $config
                }

                async fn small() -> Self {
                    Self(Nodes::small())
                }

                fn command_on(&self, key: &str, command: &[&str]) {
                    self.0.command_on(key, command);
                }

                fn command_on_all(&self, command: &[&str]) {
                    self.0.command_on_all(command);
                }

                fn break_down(&self) {
                    self.0.freeze();
                }

                fn mend(&self) {
                    self.0.thaw();
                }
            }

            session_core::store_conformance!(
                On::new(Link(Nodes(None))),
                without: [sweep, break_backend]
            );

            #[tokio::test(flavor = "multi_thread")]
            async fn outages_are_answered_as_such() {
                outages(On::new(Link(Nodes::own(forgetful())))).await;
            }
        }
    };
}

cluster!(own_connections, |nodes| RedisConfig::new(
    nodes.cluster().url()
)
.response_timeout(nodes.patience())
.connect_timeout(nodes.patience()));

cluster!(
    #[cfg(feature = "pool")]
    pool,
    |nodes| {
        use deadpool_redis::cluster::{Config, Runtime};
        let urls = nodes.cluster().nodes().iter().map(RedisServer::url);
        let mut config = Config::from_urls(urls.collect::<Vec<_>>());
        let mut pool = deadpool_redis::PoolConfig::new(8);
        pool.timeouts.wait = Some(nodes.patience());
        pool.timeouts.create = Some(nodes.patience());
        pool.timeouts.recycle = Some(nodes.patience());
        config.pool = Some(pool);
        RedisConfig::from_cluster_pool(config.create_pool(Some(Runtime::Tokio1)).unwrap())
    }
);
