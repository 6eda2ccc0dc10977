//! A place where a request or a store call waits until the test lets it go on.

use tokio::sync::watch;

/// Holds whoever comes until it is opened; clones are the same gate.
///
/// ```
/// use session_core::conformance::Gate;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let gate = Gate::new();
/// let held = tokio::spawn({
///     let gate = gate.clone();
///     async move { gate.pass().await }
/// });
/// gate.reached_by(1).await;
/// assert!(!held.is_finished());
/// gate.open();
/// held.await.unwrap();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            arrived: watch::Sender::new(0),
            is_open: watch::Sender::new(false),
        }
    }

    /// Waits until the gate is open; says to the test that someone is there.
    pub async fn pass(&self) {
        self.arrived.send_modify(|count| *count += 1);
        let mut is_open = self.is_open.subscribe();
        // The sender lives as long as `self`.
        let _ = is_open.wait_for(|open| *open).await;
    }

    /// Waits until `count` have come to the gate since it was made.
    pub async fn reached_by(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        let _ = arrived.wait_for(|there| *there >= count).await;
    }

    /// Lets through all who wait and all who come.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
