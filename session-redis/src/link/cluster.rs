//! Several primaries, each with its part of the keys, and a line to each.
//!
//! redis-rs' own `ClusterConnection` sends a command again when its answer was lost or late. An
//! update that was carried out, and over which another writer has written since, would then be
//! reported as a conflict, and its changes made twice. So the routing is ours, and a command is
//! sent again only if it was not carried out: the server redirected it, or there was no
//! connection to send it on.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::ScannedNode;
use super::fault::{Fault, timed_out};
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
    /// Who is asked first: another one each time, as one of them may hang.
    first: AtomicUsize,
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
            first: AtomicUsize::new(0),
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
            let answer = if asking {
                line.command_asking(command).await
            } else {
                line.command(command).await
            };
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(Fault::Refused(error)) => error,
                Err(Fault::Unsent(error)) => {
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

    /// Asks one server after the other for the map, until one knows it; at most every
    /// [`RETRY_AFTER`], however many commands need it.
    async fn ask_for_map(&self) -> Result<(), RedisError> {
        let mut asked = self.0.asked.lock().await;
        if let Some((at, outcome)) = &*asked
            && at.elapsed() < RETRY_AFTER
        {
            return outcome.clone();
        }
        let outcome = self.ask_each().await;
        *asked = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn ask_each(&self) -> Result<(), RedisError> {
        let nodes = self.known_nodes();
        let first = self.0.first.fetch_add(1, Ordering::Relaxed);
        // One that hangs leaves time for the others.
        let each = self.0.timeouts.connect / 4;
        let mut failure = timed_out("no server of the cluster answered in time");
        for turn in 0..nodes.len() {
            let node = &nodes[first.wrapping_add(turn) % nodes.len()];
            let mut question = redis::cmd("CLUSTER");
            question.arg("SLOTS");
            match tokio::time::timeout(each, self.line(node).command(&question)).await {
                Ok(Ok(reply)) => {
                    let map = SlotMap::parse(&reply, node);
                    if !map.primaries().is_empty() {
                        self.adopt(map);
                        return Ok(());
                    }
                    failure = (
                        ErrorKind::Server(ServerErrorKind::ClusterDown),
                        "no server keeps a slot",
                    )
                        .into();
                }
                Ok(Err(fault)) => failure = fault.into(),
                Err(_) => {}
            }
        }
        Err(failure)
    }

    /// The same beside the command that found the map to be wrong.
    fn ask_for_map_soon(&self) {
        if !self.0.asking.swap(true, Ordering::Relaxed) {
            let cluster = self.clone();
            tokio::spawn(async move {
                let asking = Asking(&cluster.0.asking);
                // Who needs the map and finds it wrong will ask again.
                let _ = cluster.ask_for_map().await;
                drop(asking);
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

/// The flag of the task that asks; also down when the task is dropped.
struct Asking<'a>(&'a AtomicBool);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
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
