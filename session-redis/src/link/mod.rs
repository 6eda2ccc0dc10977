//! The way to the servers: whatever it is made of, the store sees three methods.
//!
//! A command is sent again only if it was certainly not carried out: the server said so
//! (`READONLY`, `MASTERDOWN`, `MOVED`, `ASK`, `CLUSTERDOWN`, `NOSCRIPT`), or there was no connection
//! to send it on. One whose answer was lost or late is an error, and whether it was carried out is
//! for the manager to find out.

mod position;
mod script;

mod driver;
mod line;
mod per_runtime;
mod silence;
mod target;
mod tls;

mod first_good;
mod sentinel;

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "cluster")]
mod slots;

#[cfg(feature = "pool")]
mod pooled;
#[cfg(all(feature = "pool", feature = "cluster"))]
mod pooled_cluster;

mod fault;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, RedisError, Value};

pub(crate) use fault::is_refused_login;
pub(crate) use line::Timeouts;
pub(crate) use position::Position;
pub(crate) use script::Script;
pub(crate) use target::{Access, Address};
pub(crate) use tls::Tls;

#[cfg(feature = "cluster")]
use cluster::Cluster;
use fault::is_unknown_script;
use line::Line;
use per_runtime::PerRuntime;
#[cfg(feature = "pool")]
use pooled::Pooled;
#[cfg(all(feature = "pool", feature = "cluster"))]
use pooled_cluster::PooledCluster;
use sentinel::Sentinels;
use target::Target;

/// A cheap clone; commands of all clones share the connections.
#[derive(Clone)]
pub(crate) struct Link(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Lines(PerRuntime<Arc<Lines>>),
    #[cfg(feature = "cluster")]
    Cluster(PerRuntime<Cluster>),
    #[cfg(feature = "pool")]
    Pool(Pooled),
    #[cfg(all(feature = "pool", feature = "cluster"))]
    ClusterPool(PooledCluster),
    Manager(Arc<ConnectionManager>),
}

/// Connections to one server, which take turns.
#[derive(Debug)]
struct Lines {
    lines: Vec<Line>,
    turn: AtomicUsize,
}

impl Link {
    /// `connections` of each runtime to the server at `address`.
    pub(crate) fn to_server(
        address: &Address,
        access: &Arc<Access>,
        timeouts: Timeouts,
        connections: usize,
    ) -> Self {
        let (address, access) = (address.clone(), Arc::clone(access));
        let target = move || Target::Server {
            address: address.clone(),
            access: Arc::clone(&access),
        };
        Self::over(target, timeouts, connections)
    }

    /// `connections` of each runtime to whom the sentinels call the primary of `name`.
    pub(crate) fn to_primary(
        sentinels: &[Address],
        name: &str,
        sentinel_access: &Access,
        access: &Arc<Access>,
        timeouts: Timeouts,
        connections: usize,
    ) -> Self {
        let (sentinels, name) = (sentinels.to_vec(), name.to_owned());
        let (sentinel_access, access) = (sentinel_access.clone(), Arc::clone(access));
        let target = move || {
            Target::Primary(Sentinels::new(
                sentinels.clone(),
                name.clone(),
                sentinel_access.clone(),
                Arc::clone(&access),
            ))
        };
        Self::over(target, timeouts, connections)
    }

    fn over(
        target: impl Fn() -> Target + Send + Sync + 'static,
        timeouts: Timeouts,
        connections: usize,
    ) -> Self {
        let lines = move || {
            let line = || Line::new(target(), timeouts);
            let lines = std::iter::repeat_with(line).take(connections.max(1));
            Arc::new(Lines {
                lines: lines.collect(),
                turn: AtomicUsize::new(0),
            })
        };
        Self(Kind::Lines(PerRuntime::new(lines)))
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn to_cluster(seeds: &[Address], access: &Arc<Access>, timeouts: Timeouts) -> Self {
        let (seeds, access) = (seeds.to_vec(), Arc::clone(access));
        let cluster = move || Cluster::new(seeds.clone(), Arc::clone(&access), timeouts);
        Self(Kind::Cluster(PerRuntime::new(cluster)))
    }

    #[cfg(feature = "pool")]
    pub(crate) fn over_pool(pool: deadpool_redis::Pool) -> Self {
        Self(Kind::Pool(Pooled::new(pool)))
    }

    /// A pool of up to `size` connections to the server at `address`.
    #[cfg(feature = "pool")]
    pub(crate) fn over_own_pool(
        address: &Address,
        access: &Access,
        timeouts: Timeouts,
        size: usize,
    ) -> Result<Self, RedisError> {
        Ok(Self::over_pool(pooled::pool(
            &access.client(address)?,
            timeouts,
            size,
        )?))
    }

    #[cfg(all(feature = "pool", feature = "cluster"))]
    pub(crate) fn over_cluster_pool(pool: deadpool_redis::cluster::Pool) -> Self {
        Self(Kind::ClusterPool(PooledCluster::new(pool)))
    }

    pub(crate) fn over_manager(manager: ConnectionManager) -> Self {
        Self(Kind::Manager(Arc::new(manager)))
    }

    /// Makes sure that the servers are there and let us in.
    pub(crate) async fn connect(&self) -> Result<(), RedisError> {
        match &self.0 {
            Kind::Lines(lines) => lines.get()?.next().connect().await,
            #[cfg(feature = "cluster")]
            Kind::Cluster(cluster) => cluster.get()?.connect().await,
            #[cfg(feature = "pool")]
            Kind::Pool(pool) => pool.command(&redis::cmd("PING")).await.map(drop),
            #[cfg(all(feature = "pool", feature = "cluster"))]
            Kind::ClusterPool(pool) => pool.command(&redis::cmd("PING")).await.map(drop),
            Kind::Manager(_) => self.command(&redis::cmd("PING")).await.map(drop),
        }
    }

    /// One command, routed by its first key.
    ///
    /// Every operation of the store holds this future, so it is no larger than one server's; the
    /// others are on the heap.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        match &self.0 {
            Kind::Lines(lines) => Ok(lines.get()?.next().command(command).await?),
            #[cfg(feature = "cluster")]
            Kind::Cluster(cluster) => Box::pin(cluster.get()?.command(command)).await,
            #[cfg(feature = "pool")]
            Kind::Pool(pool) => Box::pin(pool.command(command)).await,
            #[cfg(all(feature = "pool", feature = "cluster"))]
            Kind::ClusterPool(pool) => Box::pin(pool.command(command)).await,
            Kind::Manager(manager) => {
                let mut manager = ConnectionManager::clone(manager);
                manager.req_packed_command(command).await?.extract_error()
            }
        }
    }

    /// A script on one key; a server that does not know it is taught it.
    pub(crate) async fn script(
        &self,
        script: &Script,
        key: &[u8],
        args: &[&[u8]],
    ) -> Result<Value, RedisError> {
        match self.command(&script.evalsha(key, args)).await {
            Err(error) if is_unknown_script(&error) => {
                Box::pin(self.command(&script.eval(key, args))).await
            }
            answer => answer,
        }
    }

    /// One step of `SCAN` over one of the primaries.
    ///
    /// A server's cursor means nothing after its restart, nor to its successor, and the order of
    /// the primaries is another after a failover: a scan that meets either is refused and has to
    /// begin again. A key that is just being moved between two primaries may be missed.
    pub(crate) async fn scan(
        &self,
        position: Position,
        pattern: &[u8],
        count: usize,
    ) -> Result<(Vec<Vec<u8>>, Option<Position>), RedisError> {
        // The run and the step in one: no restart comes between them.
        let mut step = redis::cmd("EVAL");
        step.arg(SCAN).arg(0).arg(position.cursor).arg(pattern);
        step.arg(count.max(1));
        let (answer, at) = match &self.0 {
            #[cfg(feature = "cluster")]
            Kind::Cluster(cluster) => {
                let (line, at) = cluster.get()?.primary_to_scan(&position).await?;
                (line.command(&step).await?, at)
            }
            #[cfg(all(feature = "pool", feature = "cluster"))]
            Kind::ClusterPool(pool) => pool.scan(&position, &step).await?,
            _ => (self.command(&step).await?, ScannedNode::default()),
        };
        let (run, cursor, keys): (String, u64, Vec<Vec<u8>>) = redis::from_redis_value(answer)?;
        if position.cursor != 0 && position.run != run {
            return Err(begin_again(
                "the server was restarted or replaced: the scan has to begin again",
            ));
        }
        let next = match (cursor, at.next) {
            (0, None) => None,
            (0, Some(node)) => Some(Position {
                cursor,
                run: String::new(),
                servers: at.servers,
                node,
            }),
            (cursor, _) => Some(Position {
                cursor,
                run,
                servers: at.servers,
                node: at.node,
            }),
        };
        Ok((keys, next))
    }
}

/// The node that a step of a scan was made on.
#[derive(Debug, Default)]
struct ScannedNode {
    servers: String,
    node: String,
    next: Option<String>,
}

#[cfg(feature = "cluster")]
impl ScannedNode {
    /// The node that `position` is at, in `map`, and its address.
    fn of<'a>(
        map: &'a slots::SlotMap,
        position: &Position,
    ) -> Result<(&'a Address, Self), RedisError> {
        let (servers, primaries) = (map.fingerprint(), map.primaries());
        if !position.node.is_empty() && position.servers != servers {
            return Err(begin_again(
                "the cluster has changed: the scan has to begin again",
            ));
        }
        let named = |primary: &Address| primary.to_string() == position.node;
        let at = match position.node.as_str() {
            "" => 0,
            _ => primaries.iter().position(named).unwrap_or(primaries.len()),
        };
        let Some(primary) = primaries.get(at) else {
            return Err(begin_again("no server keeps what is to be scanned"));
        };
        let next = primaries.get(at + 1).map(ToString::to_string);
        let node = primary.to_string();
        Ok((
            primary,
            Self {
                servers,
                node,
                next,
            },
        ))
    }
}

fn begin_again(why: &'static str) -> RedisError {
    (redis::ErrorKind::ClusterConnectionNotFound, why).into()
}

const SCAN: &str = include_str!("../scripts/scan.lua");

impl Lines {
    fn next(&self) -> &Line {
        match &*self.lines {
            [only] => only,
            lines => &lines[self.turn.fetch_add(1, Ordering::Relaxed) % lines.len()],
        }
    }
}

/// The kind and the addresses: a driver's own text may hold a password.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Manager(_) => f.write_str("Manager"),
            kind => kind.fmt(f),
        }
    }
}
