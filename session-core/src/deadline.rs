//! The time an operation on the store may take, its retries and queueing included.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The moment at which an operation gives up.
///
/// The clock is first read when something has to be waited for: an in-memory store's operations
/// never do.
#[derive(Debug)]
pub(crate) struct Deadline {
    span: Duration,
    end: OnceLock<Instant>,
}

/// The deadline passed; the operation may nevertheless happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl Deadline {
    pub(crate) fn after(span: Duration) -> Self {
        Self {
            span,
            end: OnceLock::new(),
        }
    }

    fn end(&self) -> Instant {
        *self.end.get_or_init(|| {
            let now = Instant::now();
            // Beyond what the clock can express is as good as for ever.
            let far = || now + Duration::from_secs(365 * 24 * 60 * 60);
            now.checked_add(self.span).unwrap_or_else(far)
        })
    }

    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// Runs `operation` until it ends or the deadline passes.
    pub(crate) fn bound<F>(
        &self,
        operation: Pin<Box<F>>,
    ) -> impl Future<Output = Result<F::Output, Elapsed>>
    where
        F: Future + ?Sized,
    {
        self.run(operation, |_| Duration::ZERO)
    }

    /// As [`bound`](Self::bound), but leaves a quarter of the time for what follows.
    pub(crate) fn bound_in_part<F>(
        &self,
        operation: Pin<Box<F>>,
    ) -> impl Future<Output = Result<F::Output, Elapsed>>
    where
        F: Future + ?Sized,
    {
        self.run(operation, |left| left / 4)
    }

    /// A first poll that answers at once, as an in-memory store's does, costs no timer.
    async fn run<F>(
        &self,
        mut operation: Pin<Box<F>>,
        reserve: fn(Duration) -> Duration,
    ) -> Result<F::Output, Elapsed>
    where
        F: Future + ?Sized,
    {
        if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await {
            return Ok(answer);
        }
        let left = self.end().saturating_duration_since(Instant::now());
        let waited = timeout_at(self.end() - reserve(left), operation);
        // On the heap: a future that waits is large, and most do not.
        Box::pin(waited).await.map_err(|_| Elapsed)
    }

    /// Sleeps for `span`, at most until the deadline.
    pub(crate) async fn sleep(&self, span: Duration) {
        let until = (Instant::now() + span).min(self.end());
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f1_a_hung_operation_ends_at_the_deadline() {
        let deadline = Deadline::after(Duration::from_secs(2));
        let hung = Box::pin(std::future::pending::<()>());
        assert_eq!(deadline.bound(hung).await, Err(Elapsed));
        assert!(deadline.has_passed());
        assert_eq!(deadline.bound(Box::pin(async { 7 })).await, Ok(7));
    }
}
