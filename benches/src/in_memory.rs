//! What a `MemoryStore` costs beside time: the memory a live session takes, and how long a request
//! waits while expired sessions are swept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use session_core::{Expiry, MemoryLimits, MemoryStore, SessionManager, Store};
use tokio::runtime::{Builder, Runtime};

use crate::operation::Operation;
use crate::progress::Progress;
use crate::requests::Size;
use crate::stores::{Request, created, record};

/// The memory that a live session takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// `small` or `large`.
    pub size: String,
    /// So many were kept.
    pub sessions: u64,
    /// What another store would write for one, in bytes.
    pub stored_bytes: u64,
    /// What one takes, in bytes that were asked of the allocator.
    pub bytes: u64,
}

impl Kept {
    /// The most bytes that one may take.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.stored_bytes * 3 / 2 + 200
    }
}

/// How long requests waited for their sessions while others were swept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Threads that requests and the sweep shared.
    pub threads: usize,
    /// Sessions in the store, the expired ones among them.
    pub sessions: u64,
    /// Sessions that were swept.
    pub expired: u64,
    /// How long that took, in milliseconds.
    pub sweep_ms: f64,
    /// Requests that were made meanwhile.
    pub requests: u64,
    /// How long a request took, in the middle, in milliseconds.
    pub median_ms: f64,
    /// How long the slowest took.
    pub longest_ms: f64,
    /// How long the slowest of as many took beside a task that is as busy with something else: what
    /// the machine itself makes a request wait.
    pub longest_beside_other_ms: f64,
}

/// Steps of [`measure`].
pub const STEPS: usize = Size::ALL.len() + THREADS.len();

/// Threads that requests and a sweep share.
const THREADS: [usize; 2] = [1, 2];

/// Measures both; `count` says how many bytes of what it calls are kept.
///
/// # Panics
///
/// The store refuses what it should not.
pub fn measure(
    quick: bool,
    count: &dyn Fn(&mut dyn FnMut()) -> u64,
    progress: &Progress,
) -> (Vec<Kept>, Vec<Wait>) {
    let kept = Size::ALL.map(|size| {
        progress.say(&format!("memory: bytes of {size} sessions"));
        let kept = kept(size, count);
        progress.step();
        kept
    });
    let sessions = if quick { 200_000 } else { 2_000_000 };
    let waits = THREADS.map(|threads| {
        progress.say(&format!(
            "memory: a sweep beside requests, {threads} threads"
        ));
        let wait = wait(threads, sessions);
        progress.step();
        wait
    });
    (kept.into(), waits.into())
}

fn unbounded() -> Arc<dyn Store> {
    Arc::new(MemoryStore::bounded(MemoryLimits {
        sessions: usize::MAX,
        bytes: usize::MAX,
    }))
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_time().build().expect("a runtime")
}

fn kept(size: Size, count: &dyn Fn(&mut dyn FnMut()) -> u64) -> Kept {
    // Just past a doubling of every map: their emptiest moment.
    const SESSIONS: u64 = 64 * 910;
    let (runtime, store) = (runtime(1), unbounded());
    let bytes = count(&mut || {
        runtime.block_on(async {
            for _ in 0..SESSIONS {
                // Each has data of its own, as sessions of different clients have.
                created(&store, &record(size, None)).await;
            }
        });
    });
    Kept {
        size: size.to_string(),
        sessions: SESSIONS,
        stored_bytes: record(size, None).encode().len() as u64,
        bytes: bytes / SESSIONS,
    }
}

fn wait(threads: usize, sessions: u64) -> Wait {
    let (runtime, store) = (runtime(threads), unbounded());
    let request = Request::new(Arc::clone(&store), Size::Small, false);
    let manager = request.manager().clone();
    let expired = runtime.block_on(filled(&store, sessions));
    let waits = runtime.spawn(async move {
        let mut own = request.prepare(0, 0).await;
        let swept = Arc::new(AtomicBool::new(false));
        let sweep = tokio::spawn(sweep(manager, Arc::clone(&swept)));
        let mut during = Vec::new();
        while !swept.load(Ordering::Relaxed) {
            during.push(timed(&request, &mut own).await);
        }
        let (removed, took) = sweep.await.expect("the sweep does not panic");
        let batch = took.div_f64(removed.max(1) as f64 / 1_000.0);
        let other = tokio::spawn(busy(batch));
        let mut beside_other = Vec::with_capacity(during.len());
        for _ in 0..during.len() {
            beside_other.push(timed(&request, &mut own).await);
        }
        other.abort();
        (removed, took, during, beside_other)
    });
    let waited = runtime.block_on(waits).expect("no request panics");
    let (removed, took, mut during, beside_other) = waited;
    assert_eq!(removed, expired, "the expired ones were swept");
    during.sort_unstable();
    let millis = |took: Option<&Duration>| took.map_or(0.0, |took| took.as_secs_f64() * 1e3);
    Wait {
        threads,
        sessions,
        expired,
        sweep_ms: millis(Some(&took)),
        requests: during.len() as u64,
        median_ms: millis(during.get(during.len() / 2)),
        longest_ms: millis(during.last()),
        longest_beside_other_ms: millis(beside_other.iter().max()),
    }
}

/// Fills the store, every other session expired; says how many are.
async fn filled(store: &Arc<dyn Store>, sessions: u64) -> u64 {
    let live = record(Size::Small, None);
    let mut past = live.clone();
    past.expiry = Expiry::new(
        None,
        Some(live.created_at.before(Duration::from_secs(3_600))),
    );
    for n in 0..sessions {
        created(store, if n % 2 == 0 { &past } else { &live }).await;
    }
    sessions.div_ceil(2)
}

async fn sweep(manager: SessionManager, swept: Arc<AtomicBool>) -> (u64, Duration) {
    let begin = Instant::now();
    let removed = manager.sweep().await;
    let took = begin.elapsed();
    swept.store(true, Ordering::Relaxed);
    (removed.expect("the store answers"), took)
}

/// Gives others the thread every `turn`, as a sweep does, and does nothing with its own turns.
async fn busy(turn: Duration) {
    loop {
        let begin = Instant::now();
        while begin.elapsed() < turn {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
    }
}

/// A request from its arrival: it waits for its turn on the thread, too.
async fn timed(request: &Request, own: &mut <Request as Operation>::Task) -> Duration {
    let begin = Instant::now();
    tokio::task::yield_now().await;
    request.once(own, 0).await;
    begin.elapsed()
}
