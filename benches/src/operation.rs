//! One operation, repeated by one task or by many.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Something to be measured.
///
/// Each task has a session, a key or a file of its own: what is measured is the backend under
/// load and not a quarrel over one record.
pub trait Operation: Clone + Send + Sync + 'static {
    /// What one task works on.
    type Task: Send + 'static;

    /// Makes ready, untimed, for `each` repetitions by the task of this number.
    fn prepare(&self, task: usize, each: u64) -> impl Future<Output = Self::Task> + Send;

    /// The `n`th repetition.
    fn once(&self, task: &mut Self::Task, n: u64) -> impl Future<Output = ()> + Send;

    /// Clears away, untimed, what the repetitions have left.
    fn clear(&self, task: Self::Task) -> impl Future<Output = ()> + Send {
        drop(task);
        std::future::ready(())
    }
}

type Running = Pin<Box<dyn Future<Output = Duration>>>;

/// An operation whose type is no longer of interest.
pub struct Run(Box<dyn Fn(usize, u64) -> Running>);

impl Run {
    /// Makes `operation` repeatable.
    pub fn new(operation: impl Operation) -> Self {
        Self(Box::new(move |tasks, each| {
            Box::pin(run(operation.clone(), tasks, each))
        }))
    }

    /// How long `tasks` tasks take that repeat it `each` times.
    pub async fn took(&self, tasks: usize, each: u64) -> Duration {
        (self.0)(tasks, each).await
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

async fn run<O: Operation>(operation: O, tasks: usize, each: u64) -> Duration {
    let mut ready = Vec::with_capacity(tasks);
    for task in 0..tasks {
        ready.push(operation.prepare(task, each).await);
    }
    let begin = Instant::now();
    let running: Vec<_> = ready
        .into_iter()
        .map(|mut task| {
            let operation = operation.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    operation.once(&mut task, n).await;
                }
                task
            })
        })
        .collect();
    let mut done = Vec::with_capacity(tasks);
    for task in running {
        done.push(task.await.expect("no operation panics"));
    }
    let took = begin.elapsed();
    for task in done {
        operation.clear(task).await;
    }
    took
}
