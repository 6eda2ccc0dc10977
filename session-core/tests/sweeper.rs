//! E3 and E4: what is swept, when, and by whom. Tokio's time is paused and advances by itself.

use std::sync::Arc;
use std::time::Duration;

use session_core::conformance::{Counts, Fault, Gate, Operation, SpyStore, samples};
use session_core::{
    Clock, Created, ErrorKind, Expiry, ManualClock, MemoryStore, Record, SessionConfig,
    SessionConfigBuilder, SessionManager, Store, StoreErrorKind, Timestamp,
};

/// When all sessions of these tests begin.
const START: i64 = 1_764_000_000_000;
const TIMEOUT: Duration = Duration::from_secs(600);
const SKEW: Duration = Duration::from_secs(30);
/// How often the sweepers of these tests sweep.
const EVERY: Duration = Duration::from_secs(60);

struct World {
    clock: ManualClock,
    spy: SpyStore,
    manager: SessionManager,
}

impl World {
    /// A manager of a store with so many sessions, which expire at [`TIMEOUT`].
    async fn with(sessions: usize) -> Self {
        Self::choosing(sessions, |config| config).await
    }

    async fn choosing(
        sessions: usize,
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> Self {
        let clock = ManualClock::at_unix_ms(START);
        let spy = SpyStore::new(MemoryStore::new());
        let config = SessionConfig::builder()
            .clock(Clock::manual(&clock))
            .clock_skew(SKEW);
        let manager = SessionManager::new(spy.clone(), choose(config).build().unwrap());
        for _ in 0..sessions {
            let created = spy.inner().create(&samples::id(), &expiring()).await;
            assert_eq!(created.unwrap(), Created::Done);
        }
        Self {
            clock,
            spy,
            manager,
        }
    }

    /// As [`with`](Self::with), at a time when every session is due.
    async fn with_due(sessions: usize) -> Self {
        let world = Self::with(sessions).await;
        world.clock.advance(TIMEOUT + SKEW);
        world
    }

    /// How many sessions there are, past the spy.
    async fn left(&self) -> usize {
        let page = self.spy.inner().scan(Default::default(), 10_000).await;
        page.unwrap().ids.len()
    }

    fn sweeps(&self) -> u64 {
        let counts = self.spy.counts();
        let sweeps_alone = Counts {
            sweeps: counts.sweeps,
            ..Counts::default()
        };
        assert_eq!(counts, sweeps_alone, "a sweep asks for nothing else");
        counts.sweeps
    }
}

fn expiring() -> Record {
    Record {
        expiry: Expiry::new(Some(TIMEOUT), None),
        accessed_at: Timestamp::from_unix_ms(START),
        ..samples::plain_record()
    }
}

/// Lets the call held at `gate` go on and holds the next one.
async fn pass(world: &World, gate: &Gate) -> Gate {
    let next = world.spy.hold(Operation::Sweep);
    gate.open();
    next.reached_by(1).await;
    next
}

/// Lets every other task run as far as it can: only then does the paused time move.
async fn all_wait() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Lets `rounds` of a sweeper go by.
async fn rounds(rounds: u32) {
    // A pause lasts at most six fifths; what is due a moment later is done by then.
    tokio::time::sleep(rounds * EVERY * 6 / 5 + Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn e3_a_sweep_waits_for_the_clock_skew_to_the_millisecond() {
    let world = World::with(3).await;
    world
        .clock
        .advance(TIMEOUT + SKEW - Duration::from_millis(1));
    assert_eq!(world.manager.sweep().await.unwrap(), 0);
    assert_eq!(world.left().await, 3);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.manager.sweep().await.unwrap(), 3);
    assert_eq!(world.left().await, 0);
}

#[tokio::test(start_paused = true)]
async fn e3_a_clock_that_steps_back_lets_nothing_be_swept() {
    let world = World::with_due(3).await;
    world.clock.step_back(Duration::from_millis(1));
    let sweeper = world.manager.start_sweeper(EVERY);
    rounds(3).await;
    assert_eq!((sweeper.removed(), sweeper.failures()), (0, 0));
    assert_eq!(world.left().await, 3);
    sweeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn e4_a_sweep_asks_the_store_for_bounded_batches() {
    for (sessions, batches) in [(0, 1), (999, 1), (1_000, 2), (2_500, 3)] {
        let world = World::with_due(sessions).await;
        assert_eq!(world.manager.sweep().await.unwrap(), sessions as u64);
        assert_eq!(world.sweeps(), batches, "{sessions} sessions");
        assert_eq!(world.left().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn e4_the_sweeper_reports_each_batch_and_each_round() {
    let world = World::with_due(2_500).await;
    let mut gate = world.spy.hold(Operation::Sweep);
    let sweeper = world.manager.start_sweeper(EVERY);
    gate.reached_by(1).await;
    for removed in [1_000, 2_000] {
        gate = pass(&world, &gate).await;
        assert_eq!((sweeper.removed(), sweeper.rounds()), (removed, 0));
        assert_eq!(world.left().await as u64, 2_500 - removed);
    }
    let next_round = pass(&world, &gate).await;
    assert_eq!((sweeper.removed(), sweeper.rounds()), (2_500, 1));
    next_round.open();
    sweeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn e4_the_sweeper_survives_a_store_error_in_the_middle_and_goes_on() {
    let world = World::with_due(2_500).await;
    let first = world.spy.hold(Operation::Sweep);
    let sweeper = world.manager.start_sweeper(EVERY);
    first.reached_by(1).await;
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.always(Operation::Sweep, down);
    first.open();
    rounds(3).await;
    assert!(sweeper.failures() >= 3, "{}", sweeper.failures());
    assert_eq!(sweeper.failures(), sweeper.rounds());
    assert_eq!(sweeper.removed(), 1_000, "the batch before counts");
    assert_eq!(world.left().await, 1_500);

    let failed = sweeper.failures();
    world.spy.heal();
    rounds(1).await;
    assert_eq!((sweeper.removed(), sweeper.failures()), (2_500, failed));
    assert!(sweeper.rounds() > failed);
    assert_eq!(world.left().await, 0);
    sweeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn e4_a_sweep_that_hangs_is_given_up_and_tried_again() {
    let world = World::with_due(3).await;
    world.spy.once(Operation::Sweep, Fault::Hang);
    let error = world.manager.sweep().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    world.spy.once(Operation::Sweep, Fault::Hang);
    let sweeper = world.manager.start_sweeper(EVERY);
    rounds(4).await;
    assert_eq!((sweeper.removed(), sweeper.failures()), (3, 1));
    sweeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn e4_stopping_waits_for_the_batch_at_work_and_begins_no_other() {
    let world = World::with_due(2_500).await;
    let gate = world.spy.hold(Operation::Sweep);
    let sweeper = world.manager.start_sweeper(EVERY);
    gate.reached_by(1).await;
    let stopping = tokio::spawn(sweeper.stop());
    all_wait().await;
    assert!(!stopping.is_finished(), "a batch is at work");
    gate.open();
    stopping.await.unwrap();
    assert_eq!((world.sweeps(), world.left().await), (1, 1_500));
    rounds(5).await;
    assert_eq!(world.sweeps(), 1);
}

#[tokio::test(start_paused = true)]
async fn e4_a_dropped_sweeper_sweeps_no_more() {
    let world = World::with_due(3).await;
    drop(world.manager.start_sweeper(EVERY));
    rounds(5).await;
    assert_eq!((world.sweeps(), world.left().await), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn e4_a_sweeper_dropped_in_the_middle_begins_no_other_batch() {
    let world = World::with_due(2_500).await;
    let gate = world.spy.hold(Operation::Sweep);
    let sweeper = world.manager.start_sweeper(EVERY);
    gate.reached_by(1).await;
    drop(sweeper);
    gate.open();
    rounds(5).await;
    assert_eq!((world.sweeps(), world.left().await), (1, 1_500));
}

#[tokio::test(start_paused = true)]
async fn e4_a_stopped_sweeper_does_not_wait_for_its_next_round() {
    let world = World::with(0).await;
    let sweeper = world.manager.start_sweeper(Duration::MAX);
    sweeper.stop().await;
    assert_eq!(world.sweeps(), 0);
}

#[tokio::test(start_paused = true)]
async fn e4_a_manager_sweeps_once_at_a_time() {
    let world = World::with_due(1_500).await;
    let gate = world.spy.hold(Operation::Sweep);
    let sweeper = world.manager.start_sweeper(EVERY);
    gate.reached_by(1).await;
    let others: Vec<_> = (0..3)
        .map(|_| {
            let manager = world.manager.clone();
            tokio::spawn(async move { manager.sweep().await })
        })
        .collect();
    all_wait().await;
    assert_eq!(world.sweeps(), 1, "the others wait");
    gate.open();
    let mut removed = 0;
    for other in others {
        removed += other.await.unwrap().unwrap();
    }
    assert_eq!((removed, sweeper.removed()), (0, 1_500));
    sweeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn e4_with_ignore_expiry_nothing_is_swept() {
    let world = World::choosing(3, |config| config.ignore_expiry(true)).await;
    world.clock.advance(TIMEOUT + SKEW);
    let sweeper = world.manager.start_sweeper(EVERY);
    rounds(3).await;
    assert!(sweeper.rounds() >= 3);
    assert_eq!((sweeper.removed(), sweeper.failures()), (0, 0));
    assert_eq!(world.manager.sweep().await.unwrap(), 0);
    assert_eq!((world.sweeps(), world.left().await), (0, 3));
    sweeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn e4_sweepers_of_two_nodes_remove_each_session_once() {
    let world = World::with_due(2_500).await;
    let store: Arc<dyn Store> = Arc::new(world.spy.clone());
    let config = SessionConfig::builder()
        .clock(Clock::manual(&world.clock))
        .clock_skew(SKEW);
    let node = SessionManager::new(store, config.build().unwrap());
    world.spy.interleave();
    let sweepers = [&world.manager, &node].map(|manager| manager.start_sweeper(EVERY));
    rounds(2).await;
    assert_eq!(
        sweepers
            .each_ref()
            .map(|one| one.removed())
            .iter()
            .sum::<u64>(),
        2_500
    );
    assert_eq!(world.left().await, 0);
    for sweeper in sweepers {
        sweeper.stop().await;
    }
}
