//! Opening a connection that may take longer than anybody waits.
//!
//! Who asks for a connection gives up at its deadline, and its future is dropped. Did each opening
//! end then, a connection that takes longer would never be there: each would begin anew. So one that
//! nobody waits for any more goes on in a task of its own, and is at hand for who comes next. It has
//! a turn meanwhile, and may be waiting for a host that is gone: the others end with who asked, and
//! leave their turns to those who come to where the host's name leads by then.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{AtHand, Taken, Turn};

/// It is in no task while somebody waits for it, so it stands still while nobody polls it. One in a
/// task would keep its turn in a runtime that nobody drives any more, as a current-thread one between
/// two `block_on`.
pub(super) struct Opening<DB: sqlx::Database> {
    at_hand: Arc<AtHand<DB>>,
    /// That of who asks, which the connection belongs to.
    runtime: Handle,
    /// `None` once it has ended.
    steps: Option<Steps<DB>>,
}

type Steps<DB> = Pin<Box<dyn Future<Output = Opened<DB>> + Send>>;

/// A connection, or why there is none.
type Opened<DB> = Result<(Taken<DB>, Turn<DB>), (sqlx::Error, Turn<DB>)>;

impl<DB: sqlx::Database> Opening<DB> {
    /// One for who asks, that takes no longer than the opener's options say.
    pub(super) fn begin(turn: Turn<DB>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            at_hand: Arc::clone(&turn.0),
            runtime: Handle::try_current().map_err(io::Error::other)?,
            steps: Some(Box::pin(async move {
                match turn.0.opened().await {
                    Ok(taken) => Ok((taken, turn)),
                    Err(error) => Err((error, turn)),
                }
            })),
        })
    }

    /// What came of it; `None` if it is not done by then.
    pub(super) async fn within(&mut self, until: Instant) -> Option<Opened<DB>> {
        let opened = tokio::time::timeout_at(until, self.steps.as_mut()?).await;
        let opened = opened.ok()?;
        self.steps = None;
        Some(opened)
    }
}

/// Nobody waits for it any more: it goes on if no other does.
impl<DB: sqlx::Database> Drop for Opening<DB> {
    fn drop(&mut self) {
        let Some(steps) = self.steps.take() else {
            return;
        };
        let Ok(only) = Arc::clone(&self.at_hand.unwanted).try_acquire_owned() else {
            return;
        };
        self.runtime.spawn(async move {
            match tokio::time::timeout(UNWANTED_MAX, steps).await {
                Ok(Ok((taken, turn))) => turn.put(taken),
                Ok(Err((error, _))) => unheard(&error),
                Err(_) => (),
            }
            drop(only);
        });
    }
}

impl<DB: sqlx::Database> AtHand<DB> {
    async fn opened(self: &Arc<Self>) -> Result<Taken<DB>, sqlx::Error> {
        let runtime = self.runtime()?;
        let connection = self.opener.acquire().await?.detach();
        self.resting().refused_at = None;
        if let Some(runtime) = runtime {
            self.watch(runtime);
        }
        let now = Instant::now();
        Ok(Taken {
            connection,
            runtime,
            opened_at: now,
            used_at: now,
        })
    }
}

/// Who gave up before was told of a deadline only.
fn unheard(error: &sqlx::Error) {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        tracing::warn!(target: "session", %error, "a connection could not be opened");
    }
}

/// So long the one goes on that nobody waits for: its server may hang, and others need the turn.
pub(super) const UNWANTED_MAX: Duration = Duration::from_secs(30);
