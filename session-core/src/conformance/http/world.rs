//! What a scenario happens in: a clock, a store with a spy, an application.

use std::rc::Rc;
use std::time::Duration;

use super::browser::Browser;
use super::probe::Probe;
use super::script::Step;
use super::{App, HttpHarness};
use crate::clock::{Clock, ManualClock};
use crate::config::{SessionConfig, SessionConfigBuilder};
use crate::conformance::{Counts, SpyStore};
use crate::http::{CsrfGuard, CsrfGuardBuilder};
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::memory::MemoryStore;
use crate::record::{Owner, Record};
use crate::store::Cursor;

/// The default cookie's name.
pub(super) const COOKIE: &str = "__Host-sid";

/// The name of the other kind's cookie.
pub(super) const OTHER_COOKIE: &str = "__Host-other";

/// One node of an application, its store and its clock.
pub(super) struct World<'a> {
    harness: &'a dyn HttpHarness,
    pub(super) clock: ManualClock,
    pub(super) spy: SpyStore,
    /// The store of the other kind's sessions.
    pub(super) other: SpyStore,
    pub(super) probe: Probe,
    pub(super) app: Rc<dyn App>,
}

impl<'a> World<'a> {
    /// With every option at its default.
    pub(super) async fn new(harness: &'a dyn HttpHarness) -> Self {
        Self::with(harness, |config| config).await
    }

    /// With the options that `choose` sets.
    pub(super) async fn with(
        harness: &'a dyn HttpHarness,
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> Self {
        Self::new_on(harness, choose, |config| config, CsrfGuard::default()).await
    }

    /// Whose CSRF layer checks this.
    pub(super) async fn guarded(harness: &'a dyn HttpHarness, guard: CsrfGuardBuilder) -> Self {
        let guard = guard.build().expect("the options are allowed");
        Self::new_on(harness, |config| config, |config| config, guard).await
    }

    /// With these options for the sessions of the other kind.
    pub(super) async fn with_other(
        harness: &'a dyn HttpHarness,
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> Self {
        Self::new_on(harness, |config| config, choose, CsrfGuard::default()).await
    }

    async fn new_on(
        harness: &'a dyn HttpHarness,
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
        choose_other: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
        guard: CsrfGuard,
    ) -> Self {
        let clock = ManualClock::at_unix_ms(1_764_000_000_000);
        let spy = SpyStore::new(MemoryStore::new());
        let other = SpyStore::new(MemoryStore::new());
        Self::on(harness, clock, [spy, other], choose, choose_other, guard).await
    }

    /// A second node: another manager over the same store and clock.
    pub(super) async fn node(
        &self,
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> Self {
        let (clock, guard) = (self.clock.clone(), self.probe.guard().clone());
        let stores = [self.spy.clone(), self.other.clone()];
        Self::on(self.harness, clock, stores, choose, |config| config, guard).await
    }

    async fn on(
        harness: &'a dyn HttpHarness,
        clock: ManualClock,
        [spy, other]: [SpyStore; 2],
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
        choose_other: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
        guard: CsrfGuard,
    ) -> Self {
        let config = || SessionConfig::builder().clock(Clock::manual(&clock));
        let sessions = harness.sessions(spy.clone(), choose(config()));
        let config = choose_other(config().cookie_name(OTHER_COOKIE));
        let others = harness.sessions(other.clone(), config);
        let probe = Probe::new(sessions.expect("the options are allowed"))
            .with_other(others.expect("the options are allowed"))
            .with_guard(guard);
        let app = harness.app(probe.clone()).await;
        Self {
            harness,
            clock,
            spy,
            other,
            probe,
            app,
        }
    }

    pub(super) fn manager(&self) -> &SessionManager {
        self.probe.manager()
    }

    /// A browser without cookies.
    pub(super) fn stranger(&self) -> Browser {
        Browser::new(Rc::clone(&self.app))
    }

    /// A browser with a session that holds `{"seen":1}`; nothing counted yet.
    pub(super) async fn visitor(&self) -> Browser {
        let mut browser = self.stranger();
        let response = browser.post([insert("seen", 1)]).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert!(response.set_cookie().is_some(), "{response:?}");
        self.spy.reset();
        browser
    }

    /// A browser that is signed in as `owner`; nothing counted yet.
    pub(super) async fn member(&self, owner: &str) -> Browser {
        let mut browser = self.visitor().await;
        let response = browser.post([Step::Login(owner.to_owned())]).await;
        assert_eq!(response.status, 200, "{response:?}");
        self.spy.reset();
        browser
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Opens the gate once `count` requests wait there.
    pub(super) async fn release(&self, gate: &str, count: usize) {
        let gate = self.probe.gate(gate);
        gate.reached_by(count).await;
        gate.open();
    }

    /// Waits until a request is at the gate.
    pub(super) async fn reached(&self, gate: &str) {
        self.probe.gate(gate).reached_by(1).await;
    }

    /// Every record of the store, past the spy.
    pub(super) async fn records(&self) -> Vec<(SessionId, Record)> {
        let store = self.spy.inner();
        let mut records = Vec::new();
        let mut cursor = Some(Cursor::start());
        while let Some(at) = cursor {
            let page = store.scan(at, 1_000).await.expect("the store scans");
            for id in page.ids {
                if let Some(record) = store.load(&id).await.expect("the store loads") {
                    records.push((id, record));
                }
            }
            cursor = page.next;
        }
        records
    }

    /// The only record of the store.
    pub(super) async fn record(&self) -> (SessionId, Record) {
        let mut records = self.records().await;
        assert_eq!(records.len(), 1, "one record is stored: {records:?}");
        records.remove(0)
    }

    /// The data of the only record, as JSON.
    pub(super) async fn data(&self) -> String {
        self.record().await.1.data.as_str().to_owned()
    }

    /// Asserts the calls since the last look, and begins to count anew.
    #[track_caller]
    pub(super) fn assert_calls(&self, expected: Counts) {
        assert_eq!(self.spy.counts(), expected);
        self.spy.reset();
    }

    /// As [`assert_calls`](Self::assert_calls): visitors' records were loaded so many times. Those
    /// of sealed sessions came with the request.
    #[track_caller]
    pub(super) fn assert_loads(&self, loads: u64) {
        let sealed = self.manager().sealed_by().is_some();
        let loads = if sealed { 0 } else { loads };
        self.assert_calls(Counts { loads, ..NONE });
    }
}

pub(super) const NONE: Counts = Counts {
    creates: 0,
    loads: 0,
    updates: 0,
    touches: 0,
    deletes: 0,
    owned_bys: 0,
    scans: 0,
    sweeps: 0,
    pings: 0,
};

pub(super) fn insert(key: &str, value: impl Into<serde_json::Value>) -> Step {
    Step::Insert(key.to_owned(), value.into())
}

pub(super) fn get(key: &str) -> Step {
    Step::Get(key.to_owned())
}

pub(super) fn wait(gate: &str) -> Step {
    Step::Wait(gate.to_owned())
}

pub(super) fn add(key: &str) -> Step {
    Step::TransactAdd(key.to_owned())
}

pub(super) fn login(owner: &str) -> Step {
    Step::Login(owner.to_owned())
}

pub(super) fn attempt(step: Step) -> Step {
    Step::Try(Box::new(step))
}

pub(super) fn owner(name: &str) -> Owner {
    Owner::new(name).expect("the name is allowed")
}
