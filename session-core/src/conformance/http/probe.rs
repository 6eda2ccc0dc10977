//! The application that an adapter's test builds, but for its routes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::script::{self, Answer, Step};
use crate::config::SessionConfig;
use crate::conformance::Gate;
use crate::error::{Error, ErrorKind};
use crate::http::CsrfGuard;
use crate::manager::SessionManager;
use crate::memory::MemoryStore;
use crate::session::Session;

/// The kind of the second session in the suite's applications.
#[derive(Debug)]
pub enum Other {}

/// What the handlers of a test application share; clones are the same.
///
/// # Example
///
/// A whole handler, in any framework:
///
/// ```
/// use session_core::{Error, Session};
/// use session_core::conformance::http::{Answer, Probe};
///
/// async fn eager(probe: Probe, session: Session, body: &[u8]) -> Result<Answer, Error> {
///     probe.perform(Some(&session), body).await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Probe {
    manager: SessionManager,
    other: SessionManager,
    guard: CsrfGuard,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gates: Mutex<HashMap<String, Gate>>,
    outcomes: watch::Sender<HashMap<String, String>>,
    guarded: Mutex<Option<Guarded>>,
}

/// What the handler of `/guarded` saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    pub(super) content_length: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Probe {
    /// A probe of this manager's sessions, with a default guard and, for [`Other`], sessions in
    /// memory.
    #[must_use]
    pub fn new(manager: SessionManager) -> Self {
        let config = SessionConfig::builder().cookie_name("__Host-other");
        let config = config.build().expect("the options are allowed");
        Self {
            manager,
            other: SessionManager::new(MemoryStore::new(), config),
            guard: CsrfGuard::default(),
            shared: Arc::default(),
        }
    }

    pub(super) fn with_other(self, other: SessionManager) -> Self {
        Self { other, ..self }
    }

    pub(super) fn with_guard(self, guard: CsrfGuard) -> Self {
        Self { guard, ..self }
    }

    /// The manager that the application's layer gets.
    #[must_use]
    pub fn manager(&self) -> &SessionManager {
        &self.manager
    }

    /// The manager that the layer of the kind [`Other`] gets.
    #[must_use]
    pub fn other(&self) -> &SessionManager {
        &self.other
    }

    /// What the CSRF layer gets.
    #[must_use]
    pub fn guard(&self) -> &CsrfGuard {
        &self.guard
    }

    /// Runs the script in `body` on the session, if the handler has one.
    ///
    /// # Errors
    ///
    /// What a step fails with; the handler returns it as its own error.
    pub async fn perform(&self, session: Option<&Session>, body: &[u8]) -> Result<Answer, Error> {
        script::run(self, session, steps(body)?).await
    }

    /// Runs the two scripts in `body`, a JSON array: the first on the session, the second on the
    /// other one.
    ///
    /// # Errors
    ///
    /// As for [`perform`](Self::perform).
    pub async fn perform_both(
        &self,
        session: &Session,
        other: &Session,
        body: &[u8],
    ) -> Result<Answer, Error> {
        let [first, second]: [Vec<Step>; 2] = parsed(body)?;
        let first = script::run(self, Some(session), first).await?;
        let second = script::run(self, Some(other), second).await?;
        Ok(Answer {
            status: first.status.max(second.status),
            headers: [first.headers, second.headers].concat(),
            body: format!("[{},{}]", first.body, second.body),
        })
    }

    /// Notes what the handler sees of the request, and runs the script in `body` if it is one.
    ///
    /// # Errors
    ///
    /// As for [`perform`](Self::perform).
    pub async fn perform_guarded(
        &self,
        session: &Session,
        content_length: Option<&str>,
        body: &[u8],
    ) -> Result<Answer, Error> {
        *self.guarded() = Some(Guarded {
            content_length: content_length.map(str::to_owned),
            body: body.to_owned(),
        });
        script::run(self, Some(session), steps(body).unwrap_or_default()).await
    }

    /// What the handler of `/guarded` saw since the last look.
    pub(super) fn take_guarded(&self) -> Option<Guarded> {
        self.guarded().take()
    }

    fn guarded(&self) -> std::sync::MutexGuard<'_, Option<Guarded>> {
        let guarded = self.shared.guarded.lock();
        guarded.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the script has a step at all: `/lazy` loads its session only then.
    #[must_use]
    pub fn has_steps(body: &[u8]) -> bool {
        steps(body).is_ok_and(|steps| !steps.is_empty())
    }

    /// The gate of this name, closed at first.
    #[must_use]
    pub fn gate(&self, name: &str) -> Gate {
        let mut gates = self
            .shared
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        gates.entry(name.to_owned()).or_default().clone()
    }

    /// What the steps of [`Step::After`] under this name came to: a JSON array of outcomes.
    pub async fn outcome(&self, name: &str) -> String {
        let mut outcomes = self.shared.outcomes.subscribe();
        match outcomes.wait_for(|kept| kept.contains_key(name)).await {
            Ok(kept) => kept[name].clone(),
            Err(_) => String::new(),
        }
    }

    pub(super) fn keep_outcome(&self, name: String, outcome: String) {
        self.shared.outcomes.send_modify(|kept| {
            kept.insert(name, outcome);
        });
    }
}

fn steps(body: &[u8]) -> Result<Vec<Step>, Error> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    parsed(body)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::new(ErrorKind::Invalid, "reading the script").caused_by(error))
}
