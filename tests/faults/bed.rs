//! A store, its server, and an application over it.

use std::net::SocketAddr;
use std::sync::Arc;

use session_kit::Store;
use session_redis::RedisStore;
use session_sql::SqlStore;
use session_test_servers::{
    MariaDbServer, PostgresServer, Proxy, RedisCluster, RedisSentinel, RedisServer,
};

use crate::app::App;

/// A server with an application that uses it.
pub(crate) struct Bed {
    pub(crate) app: App,
    pub(crate) server: Server,
}

pub(crate) enum Server {
    Redis(RedisServer),
    Cluster(RedisCluster),
    Sentinel(Box<RedisSentinel>),
    Postgres(PostgresServer),
    MariaDb(MariaDbServer),
}

impl Bed {
    pub(crate) async fn redis() -> Self {
        let server = RedisServer::start().unwrap();
        let store = redis(&server.url()).await;
        Self::of(Server::Redis(server), store)
    }

    pub(crate) async fn redis_pool() -> Self {
        let server = RedisServer::start().unwrap();
        let store = redis_pool(&server.url()).await;
        Self::of(Server::Redis(server), store)
    }

    pub(crate) async fn cluster() -> Self {
        let server = RedisCluster::start().unwrap();
        let store = redis(&server.url()).await;
        Self::of(Server::Cluster(server), store)
    }

    pub(crate) async fn sentinel() -> Self {
        let server = RedisSentinel::start().unwrap();
        let store = redis(&server.url()).await;
        Self::of(Server::Sentinel(Box::new(server)), store)
    }

    pub(crate) async fn postgres() -> Self {
        let server = PostgresServer::start().unwrap();
        let store = sql(&server.url()).await;
        Self::of(Server::Postgres(server), store)
    }

    pub(crate) async fn mariadb() -> Self {
        let server = MariaDbServer::start().unwrap();
        let store = sql(&server.url()).await;
        Self::of(Server::MariaDb(server), store)
    }

    pub(crate) fn of(server: Server, store: Arc<dyn Store>) -> Self {
        let app = App::over(store);
        Self { app, server }
    }
}

impl Server {
    pub(crate) fn freeze(&self) {
        match self {
            Self::Redis(server) => server.freeze(),
            Self::Cluster(cluster) => cluster.nodes().iter().for_each(RedisServer::freeze),
            Self::Sentinel(sentinel) => sentinel.servers().for_each(RedisServer::freeze),
            Self::Postgres(server) => server.freeze(),
            Self::MariaDb(server) => server.freeze(),
        }
    }

    pub(crate) fn thaw(&self) {
        match self {
            Self::Redis(server) => server.thaw(),
            Self::Cluster(cluster) => cluster.nodes().iter().for_each(RedisServer::thaw),
            Self::Sentinel(sentinel) => sentinel.servers().for_each(RedisServer::thaw),
            Self::Postgres(server) => server.thaw(),
            Self::MariaDb(server) => server.thaw(),
        }
    }

    pub(crate) fn kill(&mut self) {
        match self {
            Self::Redis(server) => server.kill(),
            Self::Cluster(cluster) => cluster.nodes_mut().iter_mut().for_each(RedisServer::kill),
            Self::Sentinel(sentinel) => sentinel.servers_mut().for_each(RedisServer::kill),
            Self::Postgres(server) => server.kill(),
            Self::MariaDb(server) => server.kill(),
        }
    }

    pub(crate) fn restart(&mut self) {
        match self {
            Self::Redis(server) => server.restart(),
            Self::Cluster(cluster) => cluster
                .nodes_mut()
                .iter_mut()
                .try_for_each(RedisServer::restart),
            Self::Sentinel(sentinel) => sentinel.servers_mut().try_for_each(RedisServer::restart),
            Self::Postgres(server) => server.restart(),
            Self::MariaDb(server) => server.restart(),
        }
        .unwrap();
    }
}

/// An application that reaches its server through a proxy.
pub(crate) struct Proxied {
    pub(crate) app: App,
    pub(crate) proxy: Arc<Proxy>,
    _server: Server,
}

impl Proxied {
    pub(crate) async fn redis() -> Self {
        let server = RedisServer::start().unwrap();
        let proxy = proxy(server.addr());
        let store = redis(&server.url_at(proxy.addr())).await;
        Self::of(Server::Redis(server), proxy, store)
    }

    pub(crate) async fn redis_pool() -> Self {
        let server = RedisServer::start().unwrap();
        let proxy = proxy(server.addr());
        let store = redis_pool(&server.url_at(proxy.addr())).await;
        Self::of(Server::Redis(server), proxy, store)
    }

    pub(crate) async fn postgres() -> Self {
        let server = PostgresServer::start().unwrap();
        let proxy = proxy(server.addr());
        let store = sql(&server.url_at(proxy.addr(), "postgres")).await;
        Self::of(Server::Postgres(server), proxy, store)
    }

    pub(crate) async fn mariadb() -> Self {
        let server = MariaDbServer::start().unwrap();
        let proxy = proxy(server.addr());
        let store = sql(&server.url_at(proxy.addr(), "sessions")).await;
        Self::of(Server::MariaDb(server), proxy, store)
    }

    fn of(server: Server, proxy: Arc<Proxy>, store: Arc<dyn Store>) -> Self {
        let app = App::over(store);
        Self {
            app,
            proxy,
            _server: server,
        }
    }
}

fn proxy(addr: SocketAddr) -> Arc<Proxy> {
    Arc::new(Proxy::to(addr).unwrap())
}

pub(crate) async fn redis(url: &str) -> Arc<dyn Store> {
    Arc::new(RedisStore::connect(url).await.unwrap())
}

pub(crate) async fn redis_pool(url: &str) -> Arc<dyn Store> {
    let pool = deadpool_redis::Config::from_url(url)
        .create_pool(None)
        .unwrap();
    Arc::new(RedisStore::from_pool(pool))
}

pub(crate) async fn sql(url: &str) -> Arc<dyn Store> {
    let store = SqlStore::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

/// One test a store: a module named after what is so, and in it a test named after each.
macro_rules! for_each {
    ($name:ident: $scenario:ident($bed:ident) on $($store:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $store() {
                    super::$scenario(crate::bed::$bed::$store().await).await;
                }
            )+
        }
    };
}
pub(crate) use for_each;
