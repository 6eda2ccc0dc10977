//! Visitors who add all the time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};

use crate::app::App;
use crate::counter::{Counter, eventually};

/// Visitors at work: some in sessions of their own, some sharing one.
pub(crate) struct Load {
    app: App,
    stop: Arc<AtomicBool>,
    alone: Vec<JoinHandle<Counter>>,
    shared_cookie: String,
    sharing: Vec<JoinHandle<Shared>>,
    may_lose: bool,
}

/// What one of those who share a session was answered.
#[derive(Default)]
struct Shared {
    acknowledged: Vec<u64>,
    unknown: u64,
}

impl Load {
    /// Starts when every visitor has a session. `may_lose`: acknowledged additions may be lost
    /// from now on, except what is in the sessions already.
    pub(crate) async fn start(app: &App, may_lose: bool) -> Self {
        let mut counters = Vec::new();
        for _ in 0..4 {
            counters.push(Counter::new(app).await);
        }
        Self::of(app, counters, may_lose).await
    }

    pub(crate) async fn of(app: &App, mut counters: Vec<Counter>, may_lose: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared_cookie = counters.pop().expect("there are counters").cookie();
        let alone = counters.into_iter().map(|mut counter| {
            let stop = Arc::clone(&stop);
            if may_lose {
                counter.expect_loss();
            }
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    counter.add().await;
                    sleep(PAUSE).await;
                }
                counter
            })
        });
        let alone = alone.collect();
        let sharing = (0..3).map(|_| {
            let (app, stop, cookie) = (app.clone(), Arc::clone(&stop), shared_cookie.clone());
            tokio::spawn(async move {
                let mut shared = Shared::default();
                while !stop.load(Ordering::Relaxed) {
                    let answer = app.send("POST", "/add", Some(&cookie)).await;
                    if answer.is_outage() {
                        shared.unknown += 1;
                    } else {
                        assert_eq!(answer.status, 200, "{answer:?}");
                        shared.acknowledged.push(answer.body.parse().unwrap());
                    }
                    sleep(PAUSE).await;
                }
                shared
            })
        });
        Self {
            app: app.clone(),
            sharing: sharing.collect(),
            stop,
            alone,
            shared_cookie,
            may_lose,
        }
    }

    /// Ends when every session has been looked at: each goes on, and nothing is missing.
    pub(crate) async fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for counter in self.alone {
            counter.await.unwrap().goes_on().await;
        }
        let mut acknowledged = Vec::new();
        let mut unknown = 0;
        for shared in self.sharing {
            let shared = shared.await.unwrap();
            acknowledged.extend(shared.acknowledged);
            unknown += shared.unknown;
        }
        let cookie = Some(&*self.shared_cookie);
        let n: u64 = eventually(async || {
            let answer = self.app.send("GET", "/n", cookie).await;
            (!answer.is_outage()).then(|| answer.body.parse().unwrap())
        })
        .await;
        // One was there before the load.
        let count = u64::try_from(acknowledged.len()).unwrap();
        assert!(n <= 1 + count + unknown, "{n} of {count} and {unknown}");
        if !self.may_lose {
            assert!(n > count, "{n} of {count} and {unknown}");
            let distinct: BTreeSet<u64> = acknowledged.iter().copied().collect();
            assert_eq!(
                distinct.len(),
                acknowledged.len(),
                "two answers are the same"
            );
        }
    }
}

const PAUSE: Duration = Duration::from_millis(10);
