//! Connections to a cluster that are lent out one command at a time, from a pool of deadpool's.
//!
//! Each is a `ClusterConnection` of redis-rs, which sends a command again when its answer is lost
//! or late; the crate's documentation says what that can do to an update.

use std::fmt;

use deadpool_redis::cluster::{Connection, Pool};
use deadpool_redis::redis::aio::ConnectionLike;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, RedisError, Value};

use super::ScannedNode;
use super::pooled::explained;
use super::position::Position;
use super::slots::SlotMap;
use super::target::Address;

/// A pool of connections to a cluster, the user's.
#[derive(Clone)]
pub(crate) struct PooledCluster(Pool);

impl PooledCluster {
    pub(crate) fn new(pool: Pool) -> Self {
        Self(pool)
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.0.get().await.map_err(explained)?;
        let answer = connection
            .req_packed_command(command)
            .await
            .and_then(Value::extract_error);
        put_back(connection, &answer);
        answer
    }

    /// A step of a scan on the primary that it goes on with.
    pub(super) async fn scan(
        &self,
        position: &Position,
        step: &Cmd,
    ) -> Result<(Value, ScannedNode), RedisError> {
        let mut connection = self.0.get().await.map_err(explained)?;
        let answer = at(&mut connection, position, step).await;
        put_back(connection, &answer);
        answer
    }
}

async fn at(
    connection: &mut Connection,
    position: &Position,
    step: &Cmd,
) -> Result<(Value, ScannedNode), RedisError> {
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    let reply = connection
        .route_command(
            question,
            RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random),
        )
        .await?;
    // A server that does not know its own name is not found again by it; its port cannot be told.
    let map = SlotMap::parse(&reply, &Address::Tcp(String::new(), 0));
    let (primary, scanned) = ScannedNode::of(&map, position)?;
    let Address::Tcp(host, port) = primary else {
        return Err((ErrorKind::Client, "a server of a cluster has no port").into());
    };
    let route = SingleNodeRoutingInfo::ByAddress {
        host: host.clone(),
        port: *port,
    };
    let answer = connection
        .route_command(step.clone(), RoutingInfo::SingleNode(route))
        .await?
        .extract_error()?;
    Ok((answer, scanned))
}

fn put_back<T>(connection: Connection, answer: &Result<T, RedisError>) {
    if answer
        .as_ref()
        .is_err_and(RedisError::is_unrecoverable_error)
    {
        drop(Connection::take(connection));
    }
}

impl fmt::Debug for PooledCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledCluster")
            .field(&self.0.status())
            .finish()
    }
}
