//! A map in the process's memory.

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use super::Floor;

/// A sharded map of shared text.
#[derive(Clone)]
pub struct MapFloor(Arc<[Shard]>);

type Shard = Mutex<HashMap<u128, Arc<str>>>;

impl MapFloor {
    /// An empty map of 64 shards.
    #[must_use]
    pub fn new() -> Self {
        Self((0..64).map(|_| Shard::default()).collect())
    }

    fn with<T>(&self, key: usize, work: impl FnOnce(&mut HashMap<u128, Arc<str>>, u128) -> T) -> T {
        let shard = &self.0[key % self.0.len()];
        let mut map = shard.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut map, key as u128)
    }
}

impl Default for MapFloor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MapFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapFloor").finish_non_exhaustive()
    }
}

impl Floor for MapFloor {
    const READ: &'static str = "map look-up";
    const WRITE: &'static str = "map replacement";

    async fn fill(&self, key: usize, value: &str) {
        self.with(key, |map, key| map.insert(key, value.into()));
    }

    async fn read(&self, key: usize) {
        black_box(self.with(key, |map, key| map.get(&key).cloned()));
    }

    async fn write(&self, key: usize, value: &str) {
        self.fill(key, value).await;
    }
}
