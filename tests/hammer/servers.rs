//! A server of its own for each test, and the URL of the store on it.

use session_test_servers::{MariaDbServer, PostgresServer, RedisCluster, RedisServer, ServerError};

pub(crate) fn postgres() -> (String, PostgresServer) {
    started(PostgresServer::start(), |server| server.url())
}

pub(crate) fn mariadb() -> (String, MariaDbServer) {
    started(MariaDbServer::start(), |server| server.url())
}

pub(crate) fn redis() -> (String, RedisServer) {
    started(RedisServer::start(), |server| server.url())
}

pub(crate) fn redis_cluster() -> (String, RedisCluster) {
    started(RedisCluster::start(), |cluster| cluster.url())
}

fn started<S>(started: Result<S, ServerError>, url: fn(&S) -> String) -> (String, S) {
    let server = started.unwrap_or_else(|error| panic!("{error}"));
    (url(&server), server)
}
