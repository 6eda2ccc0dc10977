//! Random histories of one session, each held against a session that one client uses at a time.
//!
//! Clients on several nodes create, read, change, renew, sign in to, destroy and revoke one
//! session at once. Each operation is noted with what its client was told, and from when to
//! when it lasted. Afterwards an order is searched in which one client at a time would have been
//! told the same (linearizability): if there is none, the store, or what stands in front of it,
//! has lost a write, read what was not there, or brought back what had ended.
//!
//! Every store's suite runs [`Histories`] by itself; a test of its own can ask for more:
//!
//! ```
//! use std::sync::Arc;
//!
//! use session_core::conformance::history::Histories;
//! use session_core::{MemoryStore, Store};
//!
//! # #[tokio::main] async fn main() {
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! Histories::new().node(Arc::clone(&store)).node(store).count(5).check().await;
//! # }
//! ```
//!
//! A failure prints the seed of the clients' choices, the promise that was broken, and the part
//! of the history that shows it. With the seed in the environment the same clients do the same
//! things again; how their steps meet is up to the machine, so it is tried time and again:
//!
//! ```text
//! SESSION_HISTORY_SEED=1234 cargo test histories
//! ```

mod client;
mod dice;
mod event;
mod model;
mod order;
mod promises;
pub(super) mod request;
mod stage;
mod wire;
mod witness;

use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use self::client::Client;
use self::dice::Dice;
use self::event::{Asked, Event, OWNERS, Told};
use self::request::Request;
use self::stage::Stage;
use super::Harness;
use crate::id::fresh_nonce;
use crate::store::Store;

/// The histories of clients of one store have an order.
pub async fn histories_have_an_order(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let two_nodes = Histories::new().node(Arc::clone(&store)).node(store);
    two_nodes.count(harness.histories()).check().await;
}

/// The histories of clients of two openings of one backend have an order.
pub async fn histories_through_two_openings_have_an_order(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let other = harness.reopen().await;
    let two_nodes = Histories::new().node(store).node(other);
    two_nodes.count(harness.histories()).check().await;
}

/// Histories have an order also where calls are lost, answers are lost, and writes arrive after
/// their callers were told of an error.
pub async fn histories_over_a_bad_wire_have_an_order(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let two_nodes = Histories::new().node(Arc::clone(&store)).node(store);
    let two_nodes = two_nodes.over_a_bad_wire();
    two_nodes.count(harness.histories()).check().await;
}

/// Histories to be made and checked.
#[derive(Clone, Default)]
#[must_use]
pub struct Histories {
    nodes: Vec<(Arc<dyn Store>, bool)>,
    faults: usize,
    count: usize,
}

impl Histories {
    /// Of no node yet; 200 histories.
    pub fn new() -> Self {
        Self {
            count: 200,
            ..Self::default()
        }
    }

    /// With one more node of the application, which reaches the backend through `store`.
    pub fn node(mut self, store: Arc<dyn Store>) -> Self {
        self.nodes.push((store, false));
        self
    }

    /// With one more node, whose reads may answer with what was there before.
    pub fn stale_node(mut self, store: Arc<dyn Store>) -> Self {
        self.nodes.push((store, true));
        self
    }

    /// Between the nodes and their stores one call of twelve goes wrong.
    pub fn over_a_bad_wire(mut self) -> Self {
        self.faults = 8;
        self
    }

    /// How many histories, of about forty operations each.
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Makes the histories and checks each.
    ///
    /// # Panics
    ///
    /// If one has no order: with its seed and what shows it.
    pub async fn check(self) {
        let asked_for = std::env::var(SEED).ok().map(|seed| match seed.parse() {
            Ok(seed) => seed,
            Err(_) => panic!("{SEED} is no number: {seed}"),
        });
        let mut dice = Dice::new(fresh_nonce().expect("the operating system has random bytes"));
        let (mut events, mut unknown) = (0, 0);
        let mut running = JoinSet::new();
        for number in 0..self.count + AT_ONCE {
            if number >= AT_ONCE
                && let Some(done) = running.join_next().await
            {
                let (all, of_those) = done.unwrap_or_else(resume);
                events += all;
                unknown += of_those;
            }
            if number < self.count {
                let seed = asked_for.unwrap_or_else(|| dice.next());
                running.spawn(self.clone().check_one(seed));
            }
        }
        assert!(
            unknown * 2 < events,
            "{unknown} of {events} operations failed: nothing was looked at"
        );
    }

    /// Makes one history and checks it; how many operations it had and how many had no outcome.
    async fn check_one(self, seed: u64) -> (usize, usize) {
        let events = self.make(Dice::new(seed)).await;
        let unknown = events.iter().filter(|event| event.is_unknown()).count();
        let broken = promises::broken(&events);
        if broken.is_empty() && order::has_order(&events) {
            return (events.len(), unknown);
        }
        let witness = witness::of(&events);
        panic!(
            "there is no order of these operations in which a session would have answered so:\n\n{}\n{}{SEED}={seed} repeats it, and this is {} of its {} operations\n",
            witness::table(&witness),
            broken
                .iter()
                .map(|promise| format!("{promise}\n"))
                .collect::<String>(),
            witness.len(),
            events.len(),
        );
    }

    async fn make(&self, mut dice: Dice) -> Vec<Event> {
        let stage = Arc::new(Stage::set(&self.nodes, self.faults, &mut dice));
        // Most sessions end while others still use them.
        let ends = [0, 5, 10, 15][dice.below(4)];
        let clients: Vec<_> = (0..2 + dice.below(CLIENTS_MAX - 1))
            .map(|number| Client::new(number, &stage, dice.fork(), ends))
            .collect();
        let creators = 1 + dice.below(clients.len());
        let mut tasks = JoinSet::new();
        for (number, mut client) in clients.into_iter().enumerate() {
            tasks.spawn(async move {
                if number < creators {
                    client.create().await;
                }
                client
            });
        }
        let clients = tasks.join_all().await;
        // Nobody can end a session before its id is known.
        stage.settle().await;
        let steps = STEPS / clients.len();
        let mut tasks = JoinSet::new();
        for mut client in clients {
            tasks.spawn(async move {
                for _ in 0..steps {
                    client.act().await;
                }
            });
        }
        tasks.join_all().await;
        stage.settle().await;
        stage.mend();
        look(&stage, &self.nodes).await;
        stage.clear().await;
        stage.events()
    }
}

/// Notes what is there in the end: under the latest secrets, for each owner, in the stores.
async fn look(stage: &Stage, stores: &[(Arc<dyn Store>, bool)]) {
    let id = stage.id();
    for (by, cookie) in stage.known().into_iter().rev().take(3) {
        let node = usize::from(by) % stage.nodes.len();
        let call = stage.tick();
        let request = Request::begin(&stage.nodes[node].manager, &cookie).await;
        let session = request.expect("the session is loaded").session;
        let told = match session.is_new() {
            true => Told::Nothing,
            false => Told::Read(stage.seen_by(&session)),
        };
        stage.note(NOBODY, node, call, Asked::Open { by }, told);
    }
    for owner in 1..OWNERS.len() as u8 {
        let call = stage.tick();
        let listed = stage.nodes[0].manager.sessions_of(stage.owner(owner)).await;
        let listed = listed.expect("the owner's sessions are listed");
        let told = match listed.iter().any(|session| session.id == id) {
            true => Told::Yes,
            false => Told::No,
        };
        stage.note(NOBODY, 0, call, Asked::List(owner), told);
    }
    for (node, (store, is_stale)) in stores.iter().enumerate() {
        let call = stage.tick();
        let found = store.load(&id).await.expect("the session is loaded");
        let told = found.map_or(Told::Nothing, |record| {
            Told::Read(stage.seen_in_record(&record))
        });
        if !is_stale {
            stage.note(NOBODY, node, call, Asked::Peek, told);
        }
    }
}

/// Passes the panic of a history on, as the property's own.
fn resume<T>(died: tokio::task::JoinError) -> T {
    std::panic::resume_unwind(died.into_panic())
}

impl fmt::Debug for Histories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histories")
            .field("nodes", &self.nodes)
            .field("faults", &self.faults)
            .field("count", &self.count)
            .finish()
    }
}

/// The environment's variable for the seed to repeat.
const SEED: &str = "SESSION_HISTORY_SEED";
/// Who looks at what the clients have left.
const NOBODY: usize = CLIENTS_MAX;
const CLIENTS_MAX: usize = 5;
/// Steps of all clients together.
const STEPS: usize = 36;
/// Histories under way at once: some of their time is waiting.
const AT_ONCE: usize = 8;
