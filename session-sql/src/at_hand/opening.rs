//! Opening a connection in a task of its own.
//!
//! Who asks for a connection gives up at its deadline, and its future is dropped. Were connections
//! opened in such futures, one that takes longer than anybody waits would never be there: each
//! would begin anew. So a task opens it and has the turn meanwhile, of which there are as many as
//! connections; what nobody waits for any more is at hand for who comes next.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{AtHand, Taken, Turn};

/// What is waited for; it goes on without.
pub(super) struct Opening<DB: sqlx::Database>(oneshot::Receiver<Opened<DB>>);

/// A connection, or why there is none; the turn is lost only with the runtime.
type Opened<DB> = Result<(Taken<DB>, Turn<DB>), (sqlx::Error, Option<Turn<DB>>)>;

impl<DB: sqlx::Database> Opening<DB> {
    /// Begins it in the runtime of who asks, for no longer than the opener's options say.
    pub(super) fn begin(turn: Turn<DB>) -> Result<Self, sqlx::Error> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (mut caller, answer) = oneshot::channel();
        runtime.spawn(async move {
            let opened = match while_wanted(turn.0.opened(), &mut caller).await {
                Some(Ok(taken)) => Ok((taken, turn)),
                Some(Err(error)) => Err((error, Some(turn))),
                None => return,
            };
            match caller.send(opened) {
                Err(Ok((taken, turn))) => turn.put(taken),
                Err(Err((error, _))) => unheard(&error),
                Ok(()) => (),
            }
        });
        Ok(Self(answer))
    }

    /// What came of it; `None` if it is not done by then.
    pub(super) async fn within(&mut self, until: Instant) -> Option<Opened<DB>> {
        let answer = tokio::time::timeout_at(until, &mut self.0).await.ok()?;
        let ended = || io::Error::other("the runtime that was opening a connection has ended");
        Some(answer.unwrap_or_else(|_| Err((ended().into(), None))))
    }
}

/// What was handed over at the last moment is kept.
impl<DB: sqlx::Database> Drop for Opening<DB> {
    fn drop(&mut self) {
        self.0.close();
        if let Ok(Ok((taken, turn))) = self.0.try_recv() {
            turn.put(taken);
        }
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

/// What `opening` comes to; `None` once nobody has waited for it for [`UNWANTED_MAX`].
async fn while_wanted<T, A>(
    opening: impl Future<Output = T>,
    caller: &mut oneshot::Sender<A>,
) -> Option<T> {
    let mut opening = pin!(opening);
    let mut unwanted = pin!(async {
        caller.closed().await;
        tokio::time::sleep(UNWANTED_MAX).await;
    });
    let either = poll_fn(|context| match opening.as_mut().poll(context) {
        Poll::Ready(opened) => Poll::Ready(Some(opened)),
        Poll::Pending => unwanted.as_mut().poll(context).map(|()| None),
    });
    either.await
}

/// Who gave up before was told of a deadline only.
fn unheard(error: &sqlx::Error) {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        tracing::warn!(target: "session", %error, "a connection could not be opened");
    }
}

/// So long an opening goes on that nobody waits for: its server may hang, and others need the turn.
pub(super) const UNWANTED_MAX: Duration = Duration::from_secs(30);
