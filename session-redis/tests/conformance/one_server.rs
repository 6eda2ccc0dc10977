//! One server, over each of the ways to it.

use std::fmt;
use std::sync::LazyLock;

use async_trait::async_trait;
use session_redis::RedisConfig;
use session_test_servers::{Proxy, RedisBuilder, RedisServer};

use crate::harness::{On, PATIENCE, Servers};

/// What survives a crash is looked at elsewhere.
fn forgetful() -> RedisBuilder {
    RedisServer::builder().setting("appendonly", "no")
}

static PLAIN: LazyLock<RedisServer> = LazyLock::new(|| forgetful().start().unwrap());

fn small(tls: bool) -> RedisServer {
    let server = forgetful()
        .tls(tls)
        .setting("maxmemory", "4mb")
        .setting("maxmemory-policy", "noeviction");
    server.start().unwrap()
}

/// A server, and a way to it that can be broken.
struct Way {
    own: Option<RedisServer>,
    shared: &'static LazyLock<RedisServer>,
    proxy: Proxy,
}

impl Way {
    fn to(shared: &'static LazyLock<RedisServer>) -> Self {
        Self {
            own: None,
            shared,
            proxy: Proxy::to(shared.addr()).unwrap(),
        }
    }

    fn to_small(shared: &'static LazyLock<RedisServer>) -> Self {
        let server = small(shared.url().starts_with("rediss"));
        Self {
            proxy: Proxy::to(server.addr()).unwrap(),
            own: Some(server),
            shared,
        }
    }

    fn server(&self) -> &RedisServer {
        self.own.as_ref().unwrap_or(self.shared)
    }

    fn url(&self, options: impl fmt::Display) -> String {
        format!("{}{options}", self.server().url_at(self.proxy.addr()))
    }
}

/// What the kinds of links differ in: how a store is opened.
macro_rules! one_server {
    ($(#[$attribute:meta])* $module:ident, $server:expr, |$way:ident| $config:expr) => {
        $(#[$attribute])*
        mod $module {
            use super::*;

            struct Link(Way);

            #[async_trait]
            impl Servers for Link {
                async fn config(&self) -> RedisConfig {
                    let $way = &self.0;
                    $config.response_timeout(PATIENCE)
                }

                async fn small() -> Self {
                    Self(Way::to_small(&$server))
                }

                fn command_on(&self, _key: &str, command: &[&str]) {
                    self.0.server().command(command).unwrap();
                }

                fn command_on_all(&self, command: &[&str]) {
                    self.0.server().command(command).unwrap();
                }

                fn break_down(&self) {
                    self.0.proxy.refuse();
                    self.0.proxy.cut();
                }

                fn mend(&self) {
                    self.0.proxy.accept().unwrap();
                }
            }

            session_core::store_conformance!(
                On::new(Link(Way::to(&$server))),
                without: [sweep]
            );
        }
    };
}

one_server!(one_connection, PLAIN, |way| RedisConfig::new(way.url("")));

one_server!(four_connections, PLAIN, |way| RedisConfig::new(
    way.url("/?connections=4")
));

one_server!(
    #[cfg(feature = "pool")]
    pool,
    PLAIN,
    |way| RedisConfig::new(way.url("/?pool=4"))
);

one_server!(connection_manager, PLAIN, |way| {
    let client = redis::Client::open(way.url("")).unwrap();
    let options = redis::aio::ConnectionManagerConfig::new()
        .set_response_timeout(Some(PATIENCE))
        .set_connection_timeout(Some(PATIENCE));
    let manager = redis::aio::ConnectionManager::new_with_config(client, options);
    RedisConfig::from_connection_manager(manager.await.unwrap())
});

#[cfg(feature = "tls")]
static TLS: LazyLock<RedisServer> = LazyLock::new(|| forgetful().tls(true).start().unwrap());

one_server!(
    #[cfg(feature = "tls")]
    tls,
    TLS,
    |way| {
        let authority = std::fs::read(way.server().ca()).unwrap();
        RedisConfig::new(way.url("")).certificate_authority(authority)
    }
);
