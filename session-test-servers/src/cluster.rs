//! A Redis Cluster.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::{RedisBuilder, RedisServer, ServerError};

/// A Redis Cluster of three primaries, each with as many replicas as asked for; ended when
/// dropped.
///
/// A node that has been away for two seconds counts as failed, and one of its replicas takes over.
/// A primary's answer does not wait for its replicas: what it acknowledged last can be lost then.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// use session_test_servers::RedisCluster;
///
/// let mut cluster = RedisCluster::builder().replicas(1).start()?;
/// let first = cluster.primary_of(b"key");
/// cluster.nodes_mut()[first].kill();
/// // Waits until its replica is the primary.
/// assert_ne!(cluster.primary_of(b"key"), first);
/// # Ok(())
/// # }
/// ```
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts three primaries without replicas.
    ///
    /// # Errors
    ///
    /// The program is missing, or a node did not start, or they did not join.
    pub fn start() -> Result<Self, ServerError> {
        Self::builder().start()
    }

    /// A cluster to be configured before it starts.
    pub fn builder() -> RedisClusterBuilder {
        RedisClusterBuilder {
            node: RedisServer::builder()
                .cluster()
                .setting("cluster-node-timeout", NODE_TIMEOUT_MS.to_string())
                // A replica may take over however long it has been without its primary.
                .setting("cluster-replica-validity-factor", "0"),
            replicas: 0,
        }
    }

    /// `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,…`: all nodes.
    pub fn url(&self) -> String {
        let addrs: Vec<String> = self
            .nodes
            .iter()
            .map(|node| node.addr().to_string())
            .collect();
        format!("redis+cluster://{}", addrs.join(","))
    }

    /// The nodes: first those that were started as primaries, then those started as replicas, in
    /// the order of their primaries.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The nodes, to be killed and restarted.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// Which of the [`nodes`](Self::nodes) is the primary of `key` and answers as such. While
    /// there is none, it waits.
    ///
    /// # Panics
    ///
    /// There was none for a minute.
    pub fn primary_of(&self, key: &[u8]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let owner = self
                .nodes
                .iter()
                .position(|node| owns(node, key).unwrap_or(false));
            match owner {
                Some(index) => return index,
                None if Instant::now() > deadline => {
                    panic!(
                        "no primary answered for {} for a minute",
                        key.escape_ascii()
                    )
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits until all running nodes agree on who has which slots, and each replica follows.
    ///
    /// # Errors
    ///
    /// They did not within a minute.
    pub fn wait_until_ok(&self) -> Result<(), ServerError> {
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok")?;
            if node.command(&["ROLE"])?.starts_with("slave") {
                node.wait_for(&["INFO", "replication"], "master_link_status:up")?;
            }
        }
        Ok(())
    }
}

/// Whether the node runs, is a primary, and takes writes of the key. A replica that has taken
/// over says so of itself; a primary that was replaced learns of it before it answers again.
fn owns(node: &RedisServer, key: &[u8]) -> Result<bool, ServerError> {
    if node.pid().is_none() {
        return Ok(false);
    }
    let slot = node.command_bytes(&[b"CLUSTER", b"KEYSLOT", key])?;
    let slot: u16 = slot.parse().map_err(|_| ServerError::new(slot))?;
    let myself = node.command(&["CLUSTER", "NODES"])?;
    let myself = myself.lines().find(|line| line.contains("myself,master"));
    let slots = myself
        .into_iter()
        .flat_map(|line| line.split_whitespace().skip(8));
    let owned = slots.filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
    });
    let ok = node
        .command(&["CLUSTER", "INFO"])?
        .contains("cluster_state:ok");
    Ok(ok && owned.into_iter().any(|range| range.contains(&slot)))
}

impl fmt::Debug for RedisCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisCluster").field(&self.nodes).finish()
    }
}

/// How a [`RedisCluster`] is to be started.
#[derive(Clone)]
pub struct RedisClusterBuilder {
    node: RedisBuilder,
    replicas: usize,
}

impl RedisClusterBuilder {
    /// How many replicas each primary has.
    ///
    /// # Default
    ///
    /// None.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// A line of each node's `redis.conf`; overrides what this crate sets.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.node = self.node.setting(name, value);
        self
    }

    /// Starts the nodes and joins them; the cluster takes commands when this returns.
    ///
    /// # Errors
    ///
    /// The program is missing, or a node did not start, or they did not join.
    pub fn start(self) -> Result<RedisCluster, ServerError> {
        let count = PRIMARIES * (1 + self.replicas);
        let nodes = start_all((0..count).map(|_| self.node.clone()))?;
        for (index, primary) in nodes.iter().take(PRIMARIES).enumerate() {
            // Before they meet, so that they need not find out that all begin with the same.
            primary.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
            let first = SLOTS * index / PRIMARIES;
            let end = SLOTS * (index + 1) / PRIMARIES;
            let slots: Vec<String> = (first..end).map(|slot| slot.to_string()).collect();
            let command = ["CLUSTER", "ADDSLOTS"].into_iter();
            let command: Vec<&str> = command.chain(slots.iter().map(String::as_str)).collect();
            primary.command(&command)?;
        }
        for node in &nodes {
            let bus = node.command(&["CONFIG", "GET", "cluster-port"])?;
            let bus = bus.lines().last().unwrap_or_default();
            let port = node.port().to_string();
            // All meet each other: they need not wait for gossip.
            for other in &nodes {
                other.command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])?;
            }
        }
        for node in &nodes {
            let known = format!("cluster_known_nodes:{count}\r\n");
            node.wait_for(&["CLUSTER", "INFO"], &known)?;
            node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok")?;
        }
        for (index, replica) in nodes.iter().enumerate().skip(PRIMARIES) {
            let primary =
                nodes[(index - PRIMARIES) / self.replicas].command(&["CLUSTER", "MYID"])?;
            replica.command(&["CLUSTER", "REPLICATE", &primary])?;
        }
        let cluster = RedisCluster { nodes };
        cluster.wait_until_ok()?;
        for node in &cluster.nodes[..PRIMARIES] {
            let replicas = format!("connected_slaves:{}\r\n", self.replicas);
            node.wait_for(&["INFO", "replication"], &replicas)?;
        }
        Ok(cluster)
    }
}

/// Starts servers side by side.
pub(crate) fn start_all(
    builders: impl Iterator<Item = RedisBuilder>,
) -> Result<Vec<RedisServer>, ServerError> {
    let starting: Vec<_> = builders
        .map(|builder| thread::spawn(|| builder.start()))
        .collect();
    let started = starting.into_iter().map(|thread| thread.join());
    started
        .map(|server| {
            server.unwrap_or_else(|_| Err(ServerError::new("starting redis-server panicked")))
        })
        .collect()
}

const PRIMARIES: usize = 3;

const SLOTS: usize = 16_384;

/// Short, so that a test need not wait; long enough that a busy machine causes no failover.
const NODE_TIMEOUT_MS: u32 = 2_000;

const PATIENCE: Duration = Duration::from_secs(60);
