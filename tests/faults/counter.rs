//! A visitor who adds to the counter of his session, and knows what he may believe.

use std::time::Instant;

use tokio::time::{Duration, sleep};

use crate::app::{Answer, App, PATIENCE};

/// A visitor with a session of his own.
pub(crate) struct Counter {
    app: App,
    cookie: String,
    /// What was acknowledged is there.
    least: u64,
    /// What was answered 503 may be there.
    most: u64,
    /// Set while acknowledged additions may be lost: no answer is below it.
    floor: Option<u64>,
}

impl Counter {
    /// A visitor whose first addition has been acknowledged.
    pub(crate) async fn new(app: &App) -> Self {
        let first = eventually(async || {
            let answer = app.send("POST", "/add", None).await;
            (!answer.is_outage()).then_some(answer)
        });
        let first = first.await;
        assert_eq!((first.status, &*first.body), (200, "1"), "{first:?}");
        Self {
            app: app.clone(),
            cookie: first.cookie.expect("a new session has a cookie"),
            least: 1,
            most: 1,
            floor: None,
        }
    }

    /// The same visitor, let in by another application over the same data.
    pub(crate) fn at(&self, app: &App) -> Self {
        Self {
            app: app.clone(),
            cookie: self.cookie.clone(),
            ..*self
        }
    }

    /// The visitor's second window: another counter would not know of its additions.
    pub(crate) fn cookie(&self) -> String {
        self.cookie.clone()
    }

    /// Adds one; whether it was acknowledged. Any answer but the truth or 503 fails the test.
    pub(crate) async fn add(&mut self) -> bool {
        let answer = self.app.send("POST", "/add", Some(&self.cookie)).await;
        if answer.is_outage() {
            self.most += 1;
            return false;
        }
        let n = self.number(&answer);
        let floor = self.floor.unwrap_or(self.least);
        assert!(floor < n && n <= self.most + 1, "{n}, not {}", self.known());
        self.least = n;
        self.most = if self.floor.is_some() {
            self.most.max(n)
        } else {
            n
        };
        true
    }

    /// Adds one, while `event` happens between the load and the write; a request that did not come
    /// that far is made anew. Whether it was acknowledged.
    pub(crate) async fn add_when(&mut self, event: impl FnOnce() + Send + 'static) -> bool {
        self.app.midway(event);
        eventually(async || {
            let acknowledged = self.add().await;
            self.app.midway_is_over().then_some(acknowledged)
        })
        .await
    }

    /// What is in the session; `None` during an outage.
    pub(crate) async fn read(&mut self) -> Option<u64> {
        let answer = self.app.send("GET", "/n", Some(&self.cookie)).await;
        if answer.is_outage() {
            return None;
        }
        let n = self.number(&answer);
        let floor = self.floor.unwrap_or(self.least);
        assert!(floor <= n && n <= self.most, "{n}, not {}", self.known());
        self.least = n;
        Some(n)
    }

    /// Ends the session; whether that was acknowledged.
    pub(crate) async fn log_out(&self) -> bool {
        let answer = self.app.send("POST", "/logout", Some(&self.cookie)).await;
        if answer.is_outage() {
            return false;
        }
        assert_eq!(
            (answer.status, &*answer.body),
            (200, "signed out"),
            "{answer:?}"
        );
        true
    }

    /// As [`log_out`](Self::log_out), while `event` happens between the load and the delete.
    pub(crate) async fn log_out_when(&self, event: impl FnOnce() + Send + 'static) -> bool {
        self.app.midway(event);
        eventually(async || {
            let acknowledged = self.log_out().await;
            self.app.midway_is_over().then_some(acknowledged)
        })
        .await
    }

    /// From now on the server may forget what it acknowledged after this.
    pub(crate) fn expect_loss(&mut self) {
        self.floor = Some(self.least);
    }

    /// Adds until it is acknowledged, then reads: the server is back, and nothing is missing.
    /// Gives what is in the session.
    pub(crate) async fn goes_on(&mut self) -> u64 {
        eventually(async || self.add().await.then_some(())).await;
        if self.floor.take().is_some() {
            self.most = self.least;
        }
        let n = eventually(async || self.read().await).await;
        assert_eq!((n, n), (self.least, self.most));
        n
    }

    /// The session has ended, and its cookie opens nothing: now, and whatever comes back.
    pub(crate) async fn is_ended(&self) {
        let answer = eventually(async || {
            let answer = self.app.send("GET", "/n", Some(&self.cookie)).await;
            (!answer.is_outage()).then_some(answer)
        });
        let answer = answer.await;
        assert_eq!((answer.status, &*answer.body), (200, "none"), "{answer:?}");
    }

    /// Ends the session, however often it takes.
    pub(crate) async fn ends(&self) {
        eventually(async || self.log_out().await.then_some(())).await;
        self.is_ended().await;
    }

    fn number(&self, answer: &Answer) -> u64 {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.cookie, None,
            "the session stays the same one: {answer:?}"
        );
        let n = answer.body.parse();
        n.unwrap_or_else(|_| panic!("{answer:?}, not {}", self.known()))
    }

    fn known(&self) -> String {
        let Self {
            least, most, floor, ..
        } = self;
        format!("from {least} to {most} (at least {floor:?})")
    }
}

/// Tries until there is a value.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(Instant::now() < deadline, "it did not come right in time");
        sleep(Duration::from_millis(20)).await;
    }
}
