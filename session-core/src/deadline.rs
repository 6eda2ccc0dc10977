//! The time an operation on the store may take, its retries and queueing included.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Timeout, timeout_at};

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
    pub(crate) fn bound<F>(&self, operation: Pin<Box<F>>) -> Bounded<'_, F>
    where
        F: Future + ?Sized,
    {
        Bounded {
            deadline: self,
            in_part: false,
            stage: Stage::First(operation),
        }
    }

    /// As [`bound`](Self::bound), but leaves a quarter of the time for what follows.
    pub(crate) fn bound_in_part<F>(&self, operation: Pin<Box<F>>) -> Bounded<'_, F>
    where
        F: Future + ?Sized,
    {
        Bounded {
            in_part: true,
            ..self.bound(operation)
        }
    }

    /// Sleeps for `span`, at most until the deadline.
    pub(crate) async fn sleep(&self, span: Duration) {
        let until = (Instant::now() + span).min(self.end());
        tokio::time::sleep_until(until).await;
    }
}

/// An operation and its end. By hand, since it is a part of every future that asks a store: as an
/// `async fn` it is twice as large.
pub(crate) struct Bounded<'a, F: ?Sized> {
    deadline: &'a Deadline,
    in_part: bool,
    stage: Stage<F>,
}

enum Stage<F: ?Sized> {
    /// A first poll that answers at once, as an in-memory store's does, costs no timer.
    First(Pin<Box<F>>),
    /// On the heap: it is large, and most operations do not wait.
    Waiting(Pin<Box<Timeout<Pin<Box<F>>>>>),
    Over,
}

impl<F: Future + ?Sized> Future for Bounded<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::First(operation) = &mut self.stage
            && let Poll::Ready(answer) = operation.as_mut().poll(cx)
        {
            self.stage = Stage::Over;
            return Poll::Ready(Ok(answer));
        }
        let mut waiting = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::First(operation) => {
                let end = self.deadline.end();
                let left = end.saturating_duration_since(Instant::now());
                let reserved = if self.in_part {
                    left / 4
                } else {
                    Duration::ZERO
                };
                Box::pin(timeout_at(end - reserved, operation))
            }
            Stage::Waiting(waiting) => waiting,
            Stage::Over => panic!("an operation is asked no more once it has answered"),
        };
        let answer = waiting.as_mut().poll(cx).map_err(|_| Elapsed);
        if answer.is_pending() {
            self.stage = Stage::Waiting(waiting);
        }
        answer
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
