//! The physical limit of each backend: its raw operation, without any session.
//!
//! A floor reads and writes values of the size that a session's record has, over the backend's
//! own client, in the way that is known to be its fastest. A store cannot be faster than its
//! floor; by how much it is slower is what a session costs.

mod embedded;
mod files;
mod memory;
mod redis;
mod sql;

use std::future::Future;
use std::sync::Arc;

pub use embedded::{RedbFloor, SledFloor};
pub use files::FileFloor;
pub use memory::MapFloor;
pub use redis::{ClusterFloor, RedisFloor};
pub use sql::{MySqlFloor, PostgresFloor, SqliteFloor};

use crate::operation::Operation;

/// The raw operations of one backend, on one key for each task.
pub trait Floor: Clone + Send + Sync + 'static {
    /// What the reading operation is, for the report.
    const READ: &'static str;
    /// What the writing one is.
    const WRITE: &'static str;

    /// Puts `value` under the key of this number.
    fn fill(&self, key: usize, value: &str) -> impl Future<Output = ()> + Send;

    /// Reads the value of this number.
    fn read(&self, key: usize) -> impl Future<Output = ()> + Send;

    /// Replaces it, if it is what was last written by this task.
    fn write(&self, key: usize, value: &str) -> impl Future<Output = ()> + Send;
}

/// What of a floor is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// A read and then a write.
    Both,
}

/// A floor's operations, to be measured.
#[derive(Clone, Debug)]
pub struct FloorWork<F> {
    floor: F,
    part: Part,
    value: Arc<str>,
}

impl<F: Floor> FloorWork<F> {
    /// Repeats `part` of `floor` with values like `value`.
    pub fn new(floor: F, part: Part, value: &str) -> Self {
        let value = value.into();
        Self { floor, part, value }
    }

    /// What this is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self.part {
            Part::Read => F::READ.to_owned(),
            Part::Write => F::WRITE.to_owned(),
            Part::Both => format!("{}, {}", F::READ, F::WRITE),
        }
    }
}

impl<F: Floor> Operation for FloorWork<F> {
    type Task = usize;

    async fn prepare(&self, task: usize, _: u64) -> usize {
        self.floor.fill(task, &self.value).await;
        task
    }

    async fn once(&self, task: &mut usize, _: u64) {
        if self.part != Part::Write {
            self.floor.read(*task).await;
        }
        if self.part != Part::Read {
            self.floor.write(*task, &self.value).await;
        }
    }
}
