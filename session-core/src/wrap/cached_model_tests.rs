//! Two nodes over one store, in any interleaving, against what rule W1 allows.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::wrap::stepped::{START, Stepped, next, now, record};

#[derive(Clone, Debug)]
enum Step {
    /// Begins an operation on one of the two nodes.
    Begin(usize, Operation),
    /// Lets one of the operations under way go one step further.
    Poll(prop::sample::Index),
    /// Drops one of the operations under way.
    Drop(prop::sample::Index),
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Load,
    Create,
    /// From what this node saw last, or from what is stored.
    Update {
        from_seen: bool,
        renews: bool,
        owned: bool,
    },
    Touch,
    Delete,
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let update = |from_seen, renews, owned| Operation::Update {
        from_seen,
        renews,
        owned,
    };
    let operation = prop_oneof![
        8 => Just(Operation::Load),
        2 => Just(Operation::Create),
        4 => (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(move |(seen, renews, owned)| update(seen, renews, owned)),
        2 => Just(Operation::Touch),
        1 => Just(Operation::Delete),
        1 => Just(Operation::Sweep),
    ];
    prop_oneof![
        4 => (0..2_usize, operation).prop_map(|(node, operation)| Step::Begin(node, operation)),
        10 => any::<prop::sample::Index>().prop_map(Step::Poll),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        2 => (0..700_u64).prop_map(Step::Advance),
    ]
}

type Answer = Option<Option<Record>>;

struct Running {
    node: usize,
    is_load: bool,
    /// The oldest state that its answer may be, and the state there was when it began.
    oldest: usize,
    oldest_access: usize,
    began: usize,
    /// The state after its last step.
    reached: usize,
    future: Pin<Box<dyn Future<Output = Answer> + Send>>,
}

struct Model {
    hands: ManualClock,
    clock: Clock,
    store: Arc<Stepped>,
    nodes: [Arc<Cached>; 2],
    cache_owned: bool,
    id: SessionId,
    count: u64,
    /// Each state the store was in, and since when.
    history: Vec<(Timestamp, Option<Record>)>,
    /// The state that the node's own last write made.
    own: [usize; 2],
    seen: [Option<Record>; 2],
    running: Vec<Running>,
}

impl Model {
    fn new(cache_owned: bool) -> Self {
        let hands = ManualClock::at_unix_ms(START.as_unix_ms());
        let clock = Clock::manual(&hands);
        let store = Arc::new(Stepped::default());
        store.wait(true);
        let node = || {
            let store: Arc<dyn Store> = Arc::clone(&store) as _;
            let node = Cached::new(store).clock(clock.clone());
            Arc::new(node.cache_owned(cache_owned))
        };
        Self {
            nodes: [node(), node()],
            id: SessionId::random().unwrap(),
            history: vec![(clock.now(), None)],
            hands,
            clock,
            store,
            cache_owned,
            count: 0,
            own: [0; 2],
            seen: [None, None],
            running: Vec::new(),
        }
    }

    fn stored(&self) -> Option<Record> {
        now(self.store.memory.load(&self.id)).unwrap()
    }

    /// The oldest state that ended less than `max_stale` ago.
    fn oldest_fresh(&self) -> usize {
        let limit = self.clock.now().before(Duration::from_secs(1));
        let ended = |at: usize| self.history.get(at + 1).map(|(since, _)| *since);
        (0..self.history.len())
            .find(|at| ended(*at).is_none_or(|end| end > limit))
            .expect("the last state has not ended")
    }

    fn begin(&mut self, node: usize, operation: Operation) -> Result<(), TestCaseError> {
        self.count += 1;
        let (cached, id) = (Arc::clone(&self.nodes[node]), self.id);
        let stored = self.stored();
        let future: Pin<Box<dyn Future<Output = Answer> + Send>> = match operation {
            Operation::Load => {
                if let Some(found) = cached.in_memory(&id) {
                    let load = self.running(node, true, Box::pin(std::future::ready(None)));
                    self.judge(&load, Some(Arc::unwrap_or_clone(found)))?;
                }
                Box::pin(async move { Some(cached.load(&id).await.unwrap()) })
            }
            Operation::Create => {
                let mut created = record(&id, self.count);
                created.accessed_at = self.clock.now();
                Box::pin(async move {
                    let _ = cached.create(&id, &created).await.unwrap();
                    None
                })
            }
            Operation::Update {
                from_seen,
                renews,
                owned,
            } => {
                let base = if from_seen {
                    self.seen[node].clone()
                } else {
                    stored
                };
                let Some(base) = base else { return Ok(()) };
                let mut changed = next(&base, self.count);
                if renews {
                    changed.generation = base.generation.next();
                }
                if owned {
                    changed.owner = Some(Owner::new("ada").unwrap());
                }
                Box::pin(async move {
                    let _ = cached.update(&id, &changed, base.version).await.unwrap();
                    None
                })
            }
            Operation::Touch => {
                let Some(base) = self.seen[node].clone() else {
                    return Ok(());
                };
                let touch = Touch {
                    generation: base.generation,
                    accessed_at: self.clock.now(),
                };
                Box::pin(async move {
                    let _ = cached.touch(&id, &touch).await.unwrap();
                    None
                })
            }
            Operation::Delete => Box::pin(async move {
                let _ = cached.delete(&id, Only::Any).await.unwrap();
                None
            }),
            Operation::Sweep => {
                let before = self.clock.now().after(Duration::from_secs(58));
                Box::pin(async move {
                    cached.sweep(before, 10).await.unwrap();
                    None
                })
            }
        };
        let is_load = matches!(operation, Operation::Load);
        self.running.push(self.running(node, is_load, future));
        self.poll(self.running.len() - 1)
    }

    fn running(
        &self,
        node: usize,
        is_load: bool,
        future: Pin<Box<dyn Future<Output = Answer> + Send>>,
    ) -> Running {
        let fresh = self.oldest_fresh();
        Running {
            node,
            is_load,
            oldest: fresh.max(self.own[node]),
            oldest_access: fresh,
            began: self.history.len() - 1,
            reached: 0,
            future,
        }
    }

    fn poll(&mut self, at: usize) -> Result<(), TestCaseError> {
        let running = &mut self.running[at];
        let mut context = Context::from_waker(Waker::noop());
        let polled = running.future.as_mut().poll(&mut context);
        let stored = self.stored();
        if self.history.last().map(|(_, state)| state) != Some(&stored) {
            self.history.push((self.clock.now(), stored));
            self.running[at].reached = self.history.len() - 1;
        }
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(answer) => {
                let running = self.end(at);
                answer.map_or(Ok(()), |found| self.judge(&running, found))
            }
        }
    }

    fn end(&mut self, at: usize) -> Running {
        let running = self.running.swap_remove(at);
        if !running.is_load {
            let own = &mut self.own[running.node];
            *own = running.reached.max(*own);
        }
        running
    }

    fn judge(&mut self, load: &Running, found: Option<Record>) -> Result<(), TestCaseError> {
        let bypassed = found.as_ref().is_none_or(|record| record.owner.is_some());
        let exact = found.is_none() || (bypassed && !self.cache_owned);
        let oldest = if exact { load.began } else { load.oldest };
        let allowed = &self.history[oldest..];
        let is_state = allowed.iter().any(|(_, state)| match (state, &found) {
            (Some(state), Some(found)) => {
                let at_that_time = Record {
                    accessed_at: state.accessed_at,
                    ..found.clone()
                };
                *state == at_that_time
            }
            (state, found) => state == found,
        });
        prop_assert!(is_state, "{found:?} is none of {allowed:?}");
        if let Some(found) = &found {
            // The access may be older than the rest, but no older than allowed.
            let allowed = self.history[load.oldest_access..].iter();
            let accesses = allowed.filter_map(|(_, state)| Some(state.as_ref()?.accessed_at));
            let earliest = accesses.min().expect("what was found was there");
            let states = self.history.iter().filter_map(|(_, state)| state.as_ref());
            let latest = states.map(|state| state.accessed_at).max();
            prop_assert!(found.accessed_at >= earliest && Some(found.accessed_at) <= latest);
        }
        self.seen[load.node] = found;
        Ok(())
    }

    fn run(&mut self, steps: Vec<Step>) -> Result<(), TestCaseError> {
        for step in steps {
            match step {
                Step::Begin(node, operation) => self.begin(node, operation)?,
                Step::Advance(ms) => self.hands.advance(Duration::from_millis(ms)),
                Step::Poll(_) | Step::Drop(_) if self.running.is_empty() => {}
                Step::Poll(which) => self.poll(which.index(self.running.len()))?,
                Step::Drop(which) => drop(self.end(which.index(self.running.len()))),
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn w1_two_nodes_see_no_more_than_the_allowed_staleness(
        cache_owned in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new(cache_owned);
        model.run(steps)?;
    }
}

#[test]
fn w1_the_model_reaches_hits() {
    let mut model = Model::new(false);
    model.begin(0, Operation::Create).unwrap();
    while !model.running.is_empty() {
        model.poll(0).unwrap();
    }
    for _ in 0..10 {
        model.begin(0, Operation::Load).unwrap();
        model.hands.advance(Duration::from_millis(10));
    }
    assert_eq!((model.store.loads(), model.history.len()), (0, 2));
    assert!(model.seen[0].is_some());
}
