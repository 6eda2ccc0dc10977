//! The application that an adapter's test builds, but for its routes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::script::{self, Answer, Step};
use crate::conformance::Gate;
use crate::error::{Error, ErrorKind};
use crate::manager::SessionManager;
use crate::session::Session;

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
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gates: Mutex<HashMap<String, Gate>>,
    outcomes: watch::Sender<HashMap<String, String>>,
}

impl Probe {
    /// A probe of this manager's sessions.
    #[must_use]
    pub fn new(manager: SessionManager) -> Self {
        Self {
            manager,
            shared: Arc::default(),
        }
    }

    /// The manager that the application's layer gets.
    #[must_use]
    pub fn manager(&self) -> &SessionManager {
        &self.manager
    }

    /// Runs the script in `body` on the session, if the handler has one.
    ///
    /// # Errors
    ///
    /// What a step fails with; the handler returns it as its own error.
    pub async fn perform(&self, session: Option<&Session>, body: &[u8]) -> Result<Answer, Error> {
        script::run(self, session, steps(body)?).await
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
    serde_json::from_slice(body)
        .map_err(|error| Error::new(ErrorKind::Invalid, "reading the script").caused_by(error))
}
