//! Several primaries, each with its part of the keys, and a line to each.
//!
//! redis-rs' own `ClusterConnection` sends a command again when its answer was lost or late. An
//! update that was carried out, and over which another writer has written since, would then be
//! reported as a conflict, and its changes made twice. So the routing is ours, and a command is
//! sent again only if it was not carried out: the server redirected it or said `CLUSTERDOWN`, or
//! there was no connection to send it on.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::runtime::Handle;

use super::ScannedNode;
use super::fault::{Fault, is_cluster_down, timed_out};
use super::first_good::first_good;
use super::line::{Line, RETRY_AFTER, Timeouts};
use super::position::Position;
use super::slots::{SlotMap, redirection, slot_of};
use super::target::{Access, Address, Target};

/// How often one command may be redirected.
const REDIRECTIONS_MAX: usize = 4;

/// A cheap clone; all clones share the lines.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    seeds: Vec<Address>,
    access: Arc<Access>,
    timeouts: Timeouts,
    lines: Mutex<HashMap<Address, Line>>,
    map: Mutex<Arc<SlotMap>>,
    /// When the map was last asked for, and why in vain. Who holds it asks; the others wait.
    asked: tokio::sync::Mutex<Option<(Instant, Result<(), RedisError>)>>,
    asking: AtomicBool,
    turn: AtomicUsize,
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<Address>, access: Arc<Access>, timeouts: Timeouts) -> Self {
        Self(Arc::new(Inner {
            seeds,
            access,
            timeouts,
            lines: Mutex::default(),
            map: Mutex::new(Arc::new(SlotMap::empty())),
            asked: tokio::sync::Mutex::new(None),
            asking: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        }))
    }

    /// Learns who keeps what.
    pub(crate) async fn connect(&self) -> Result<(), RedisError> {
        self.ask_for_map().await
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        // A command without a key is for any of them.
        let slot = slot_of(command).unwrap_or(0);
        let mut node = match self.map().owner(slot) {
            Some(node) => node.clone(),
            None => self.owner_now(slot).await?,
        };
        let mut asking = false;
        for _ in 0..REDIRECTIONS_MAX {
            let line = self.line(&node);
            let mut waited_for = WaitedFor {
                cluster: self,
                line: Some(&line),
            };
            let answer = if asking {
                line.command_asking(command).await
            } else {
                line.command(command).await
            };
            waited_for.line = None;
            drop(waited_for);
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(Fault::Refused(error)) if !is_cluster_down(&error) => error,
                // Not carried out. A primary that is cut off from the others does not learn that they
                // have given its slots to a replica, so it never redirects anybody there.
                Err(Fault::Unsent(error) | Fault::Refused(error)) => {
                    let owner = self.owner_now(slot).await?;
                    if owner == node {
                        return Err(error);
                    }
                    (node, asking) = (owner, false);
                    continue;
                }
                Err(Fault::Unanswered(error)) => {
                    self.ask_for_map_soon();
                    return Err(error);
                }
            };
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => {
                    let Some(owner) = redirection(&error, &node) else {
                        return Err(error);
                    };
                    self.learn(slot, &owner);
                    (node, asking) = (owner, false);
                    self.ask_for_map_soon();
                }
                ErrorKind::Server(ServerErrorKind::Ask) => {
                    let Some(owner) = redirection(&error, &node) else {
                        return Err(error);
                    };
                    (node, asking) = (owner, true);
                }
                _ => return Err(error),
            }
        }
        Err((
            ErrorKind::Server(ServerErrorKind::ClusterDown),
            "the servers redirect the command in a circle",
        )
            .into())
    }

    /// The primary that a scan goes on with.
    pub(super) async fn primary_to_scan(
        &self,
        position: &Position,
    ) -> Result<(Line, ScannedNode), RedisError> {
        self.ask_for_map().await?;
        let map = self.map();
        let (primary, at) = ScannedNode::of(&map, position)?;
        Ok((self.line(primary), at))
    }

    /// Who keeps `slot`, after asking.
    async fn owner_now(&self, slot: u16) -> Result<Address, RedisError> {
        self.ask_for_map().await?;
        self.map().owner(slot).cloned().ok_or_else(|| {
            (
                ErrorKind::Server(ServerErrorKind::ClusterDown),
                "no server keeps the key's slot",
            )
                .into()
        })
    }

    /// Asks for the map; at most every [`RETRY_AFTER`], however many commands need it.
    async fn ask_for_map(&self) -> Result<(), RedisError> {
        let mut asked = self.0.asked.lock().await;
        if let Some((at, outcome)) = &*asked
            && at.elapsed() < RETRY_AFTER
        {
            return outcome.clone();
        }
        let outcome = self.learn_map().await;
        *asked = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// A server that is cut off from the others tells of the past, and says of itself that the
    /// cluster is down: its map is adopted only if no server calls the cluster up, which takes a
    /// majority. Epochs say less: a replica that is cut off raises its own with each election it
    /// loses.
    async fn learn_map(&self) -> Result<(), RedisError> {
        let nodes = self.known_nodes();
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let question = |node| async move {
            match self.map_of(node).await {
                Ok((map, _)) if map.primaries().is_empty() => Err(Err(no_slots())),
                Ok((map, true)) => Ok(map),
                Ok((map, false)) => Err(Ok(map)),
                Err(fault) => Err(Err(fault.into())),
            }
        };
        let asked = first_good(&nodes, turn, self.0.timeouts.connect, question).await;
        self.adopt(asked.or_else(last_resort)?);
        Ok(())
    }

    /// The map as `node` knows it, and whether the cluster is up for it; of a user who may not
    /// ask for that, it is believed.
    async fn map_of(&self, node: &Address) -> Result<(SlotMap, bool), Fault> {
        let line = self.line(node);
        let question = |what| {
            let mut question = redis::cmd("CLUSTER");
            question.arg(what);
            question
        };
        let (slots, info) = (question("SLOTS"), question("INFO"));
        // They leave together.
        let (slots, info) = future::join(line.command(&slots), line.command(&info)).await;
        let info = info.ok().map(redis::from_redis_value::<String>);
        let is_down = matches!(info, Some(Ok(info)) if info.contains("cluster_state:fail"));
        Ok((SlotMap::parse(&slots?, node), !is_down))
    }

    /// The same beside the command that found the map to be wrong.
    fn ask_for_map_soon(&self) {
        // Whoever drops a command may do so outside of the runtime.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.0.asking.swap(true, Ordering::Relaxed) {
            let asking = Asking(self.clone());
            runtime.spawn(async move {
                // Who needs the map and finds it wrong will ask again.
                let _ = asking.0.ask_for_map().await;
            });
        }
    }

    fn known_nodes(&self) -> Vec<Address> {
        let map = self.map();
        let mut nodes = map.primaries().to_vec();
        for node in map.replicas().iter().chain(&self.0.seeds) {
            if !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        nodes
    }

    fn adopt(&self, map: SlotMap) {
        let mut lines = lock(&self.0.lines);
        lines.retain(|node, _| {
            map.primaries().contains(node)
                || map.replicas().contains(node)
                || self.0.seeds.contains(node)
        });
        drop(lines);
        *lock(&self.0.map) = Arc::new(map);
    }

    fn learn(&self, slot: u16, owner: &Address) {
        let mut map = lock(&self.0.map);
        if map.owner(slot) != Some(owner) {
            *map = Arc::new(map.moved(slot, owner));
        }
    }

    fn map(&self) -> Arc<SlotMap> {
        Arc::clone(&lock(&self.0.map))
    }

    fn line(&self, node: &Address) -> Line {
        let mut lines = lock(&self.0.lines);
        if let Some(line) = lines.get(node) {
            return line.clone();
        }
        let target = Target::Server {
            address: node.clone(),
            access: Arc::clone(&self.0.access),
        };
        let line = Line::new(target, self.0.timeouts);
        lines.insert(node.clone(), line.clone());
        line
    }
}

/// A command whose answer somebody waits for. If they give up while there is no connection to its
/// server, which may hang and have been replaced, nobody else would ask who keeps the slot now: those
/// who come next wait for the same connection, and no longer.
struct WaitedFor<'a> {
    cluster: &'a Cluster,
    /// `None` once it has been answered.
    line: Option<&'a Line>,
}

impl Drop for WaitedFor<'_> {
    fn drop(&mut self) {
        if self.line.is_some_and(|line| !line.is_up()) {
            self.cluster.ask_for_map_soon();
        }
    }
}

/// The flag of the task that asks; also down when the task is dropped, begun or not.
struct Asking(Cluster);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.0.asking.store(false, Ordering::Relaxed);
    }
}

/// The first map of those who say that the cluster is down, or the last failure.
fn last_resort(answers: Vec<Result<SlotMap, RedisError>>) -> Result<SlotMap, RedisError> {
    let mut failure = timed_out("no server of the cluster answered in time");
    for answer in answers {
        match answer {
            Ok(map) => return Ok(map),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn no_slots() -> RedisError {
    (
        ErrorKind::Server(ServerErrorKind::ClusterDown),
        "no server keeps a slot",
    )
        .into()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("seeds", &self.0.seeds)
            .finish_non_exhaustive()
    }
}
