//! Connections to a cluster that are lent out one command at a time, from a pool of deadpool's.
//!
//! Each is a `ClusterConnection` of redis-rs, which sends a command again when its answer is lost
//! or late; the crate's documentation says what that can do to an update.

use std::fmt;

use deadpool_redis::cluster::{Connection, Pool};
use deadpool_redis::redis::aio::ConnectionLike;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, RedisError, Value};

use super::pooled::explained;
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

    /// The command on the primary that is called `node`; the first one's name is empty. With
    /// the answer: who was asked, and which primary comes after it.
    pub(crate) async fn command_at(
        &self,
        node: &str,
        command: &Cmd,
    ) -> Result<(Value, String, Option<String>), RedisError> {
        let mut connection = self.0.get().await.map_err(explained)?;
        let answer = at(&mut connection, node, command).await;
        put_back(connection, &answer);
        answer
    }
}

async fn at(
    connection: &mut Connection,
    node: &str,
    command: &Cmd,
) -> Result<(Value, String, Option<String>), RedisError> {
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
    let named = |primary: &Address| node.is_empty() || primary.to_string() == node;
    let Some(position) = map.primaries().iter().position(named) else {
        return Err((
            ErrorKind::ClusterConnectionNotFound,
            "the primary that the scan was at is none any more: it has to begin again",
        )
            .into());
    };
    let primary = &map.primaries()[position];
    let Address::Tcp(host, port) = primary else {
        return Err((ErrorKind::Client, "a server of a cluster has no port").into());
    };
    let route = SingleNodeRoutingInfo::ByAddress {
        host: host.clone(),
        port: *port,
    };
    let answer = connection
        .route_command(command.clone(), RoutingInfo::SingleNode(route))
        .await?
        .extract_error()?;
    let next = map.primaries().get(position + 1).map(ToString::to_string);
    Ok((answer, primary.to_string(), next))
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
