//! What the clients of one history share: the nodes, the secrets, the notes of who did what.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::dice::Dice;
use super::event::{Asked, COUNTER, Event, KEYS, OWNERS, Seen, Tag, Told};
use super::request::cookie;
use super::wire::Wire;
use crate::clock::{Clock, ManualClock};
use crate::config::SessionConfig;
use crate::conformance::samples;
use crate::id::{SessionId, Token};
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::record::{Owner, Record};
use crate::session::Session;
use crate::store::Store;

/// Where one history happens.
pub(super) struct Stage {
    pub(super) nodes: Vec<Node>,
    pub(super) token: Token,
    /// Of a hundred calls of the store so many fail.
    pub(super) faults: usize,
    owners: Vec<Owner>,
    hands: ManualClock,
    ticks: AtomicU64,
    values: AtomicU32,
    tags: AtomicU16,
    known: Mutex<Vec<(Tag, String)>>,
    events: Mutex<Vec<Event>>,
    left_behind: Mutex<Vec<SessionId>>,
}

/// A process of the application.
pub(super) struct Node {
    pub(super) manager: SessionManager,
    pub(super) wire: Arc<Wire>,
    /// What it reads may be what once was.
    pub(super) is_stale: bool,
}

impl Stage {
    pub(super) fn set(stores: &[(Arc<dyn Store>, bool)], faults: usize, dice: &mut Dice) -> Self {
        let hands = ManualClock::at_unix_ms(samples::now().as_unix_ms());
        let nodes = stores.iter().map(|(store, is_stale)| {
            let wire = Arc::new(Wire::new(Arc::clone(store), faults, dice.fork()));
            // No history ends because the machine is slow.
            let config = SessionConfig::builder()
                .clock(Clock::manual(&hands))
                .store_timeout(Duration::from_secs(600))
                .build()
                .expect("the options are allowed");
            Node {
                manager: SessionManager::new(Arc::clone(&wire) as Arc<dyn Store>, config),
                wire,
                is_stale: *is_stale,
            }
        });
        let nodes = nodes.collect();
        let token = Token::random().expect("the operating system has random bytes");
        let names = OWNERS[1..]
            .iter()
            .map(|name| format!("{name}-{}", token.id()));
        Self {
            nodes,
            faults,
            owners: names.map(|name| samples::owner(&name)).collect(),
            hands,
            ticks: AtomicU64::new(1),
            values: AtomicU32::new(10),
            tags: AtomicU16::new(1),
            known: Mutex::new(vec![(0, cookie(&token.expose(None)))]),
            events: Mutex::default(),
            left_behind: Mutex::new(vec![token.id()]),
            token,
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.token.id()
    }

    /// The next tick of the history's clock.
    pub(super) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Waits until about so many operations of others have begun and ended, as long as there are
    /// others.
    pub(super) async fn let_others_do(&self, operations: usize) {
        let now = || self.ticks.load(Ordering::SeqCst);
        let until = now() + 2 * operations as u64;
        for turn in 0..53 {
            if now() >= until {
                break;
            }
            match turn {
                0..50 => tokio::task::yield_now().await,
                // The store takes its time.
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// A value that was not stored before.
    pub(super) fn value(&self) -> u32 {
        self.values.fetch_add(1, Ordering::SeqCst)
    }

    /// A number for a secret that will be asked for.
    pub(super) fn tag(&self) -> Tag {
        self.tags.fetch_add(1, Ordering::SeqCst)
    }

    /// So much time passes that the next request is a sign of life to be written down.
    pub(super) fn let_time_pass(&self) {
        self.hands.advance(Duration::from_secs(61));
    }

    pub(super) fn owner(&self, number: u8) -> &Owner {
        &self.owners[usize::from(number) - 1]
    }

    fn number_of(&self, owner: Option<&Owner>) -> u8 {
        let at = owner.and_then(|owner| self.owners.iter().position(|known| known == owner));
        match (owner, at) {
            (None, _) => 0,
            (Some(_), Some(at)) => at as u8 + 1,
            (Some(owner), None) => panic!("the session belongs to {owner}, who never signed in"),
        }
    }

    /// Tells all clients of a secret.
    pub(super) fn learn(&self, tag: Tag, cookie: String) {
        lock(&self.known).push((tag, cookie));
    }

    /// The secrets that clients were given, in the order in which they were.
    pub(super) fn known(&self) -> Vec<(Tag, String)> {
        lock(&self.known).clone()
    }

    pub(super) fn note(&self, client: usize, node: usize, call: u64, asked: Asked, told: Told) {
        let reads = matches!(
            asked,
            Asked::Open { .. } | Asked::Reload { .. } | Asked::List(_)
        );
        let (call, end) = match told {
            Told::Unknown => (call, u64::MAX),
            // It may be answered with anything that ever was.
            _ if reads && self.nodes[node].is_stale => (0, self.tick()),
            _ => (call, self.tick()),
        };
        lock(&self.events).push(Event {
            client,
            call,
            end,
            asked,
            told,
        });
    }

    /// Waits until no call is on its way: what has not happened by then never will.
    pub(super) async fn settle(&self) {
        for node in &self.nodes {
            node.wire.settle().await;
        }
        let now = self.tick();
        for event in lock(&self.events).iter_mut() {
            event.end = event.end.min(now);
        }
    }

    /// From now on no call goes wrong.
    pub(super) fn mend(&self) {
        for node in &self.nodes {
            node.wire.mend();
        }
    }

    /// Remembers a session to be removed in the end.
    pub(super) fn leave_behind(&self, id: Option<SessionId>) {
        lock(&self.left_behind).extend(id);
    }

    /// Removes what the history has left, so that none grows slow by those before it.
    pub(super) async fn clear(&self) {
        let left_behind = std::mem::take(&mut *lock(&self.left_behind));
        for id in left_behind {
            let revoked = self.nodes[0].manager.revoke(&id).await;
            revoked.expect("a session is removed");
        }
    }

    /// Hands out the notes, in the order of the calls.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = std::mem::take(&mut *lock(&self.events));
        events.sort_by_key(|event| (event.call, event.end));
        events
    }

    pub(super) fn seen_by(&self, session: &Session) -> Seen {
        Seen {
            owner: self.number_of(session.owner().as_ref()),
            values: KEYS.map(|key| number(session.raw(key).as_deref())),
        }
    }

    /// As a transaction of `session` sees it.
    pub(super) fn seen_in(&self, owner: Option<&Owner>, draft: &Draft) -> Seen {
        Seen {
            owner: self.number_of(owner),
            values: KEYS.map(|key| number(draft.raw(key))),
        }
    }

    pub(super) fn seen_in_record(&self, record: &Record) -> Seen {
        Seen {
            owner: self.number_of(record.owner.as_ref()),
            values: KEYS.map(|key| number(record.data.raw(key))),
        }
    }
}

fn number(json: Option<&str>) -> u32 {
    let Some(json) = json else {
        return 0;
    };
    match json.parse() {
        Ok(number) => number,
        Err(_) => panic!("{json} was read, which nobody stored"),
    }
}

/// One more than what `json` counts.
pub(super) fn count(session: &Session) -> Result<(), crate::error::Error> {
    session.update(KEYS[COUNTER], |n: Option<u32>| n.unwrap_or(0) + 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A client that panicked fails the property by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
