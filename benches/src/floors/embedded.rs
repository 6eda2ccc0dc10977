//! Embedded engines, called where the task is: no thread is asked.

use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::Floor;

/// sled: a get; a compare-and-swap, handed to the operating system.
#[derive(Clone, Debug)]
pub struct SledFloor(sled::Db);

impl SledFloor {
    /// A database in `folder`.
    ///
    /// # Errors
    ///
    /// sled's.
    pub fn open(folder: &Path) -> Result<Self, sled::Error> {
        // Flushed by those who write, as a store must that acknowledges what it keeps.
        let config = sled::Config::new().path(folder).flush_every_ms(None);
        config.open().map(Self)
    }
}

impl Floor for SledFloor {
    const READ: &'static str = "get";
    const WRITE: &'static str = "get, compare_and_swap and flush";

    async fn fill(&self, key: usize, value: &str) {
        let put = self.0.insert(key.to_be_bytes(), value);
        put.expect("sled takes it");
    }

    async fn read(&self, key: usize) {
        black_box(self.0.get(key.to_be_bytes()).expect("sled answers"));
    }

    async fn write(&self, key: usize, value: &str) {
        let key = key.to_be_bytes();
        let old = self.0.get(key).expect("sled answers");
        let mut new = value.as_bytes().to_vec();
        // sled skips what does not change.
        let turn = old.as_ref().and_then(|old| old.first()).copied();
        new[0] = turn.unwrap_or_default().wrapping_add(1);
        let swapped = self.0.compare_and_swap(key, old, Some(new));
        assert!(swapped.expect("sled answers").is_ok(), "nobody else writes");
        self.0.flush().expect("sled writes");
    }
}

/// redb: a get; a transaction that is on the disk when it returns.
#[derive(Clone)]
pub struct RedbFloor(Arc<Database>);

const TABLE: TableDefinition<'_, u64, &str> = TableDefinition::new("floor");

impl RedbFloor {
    /// A database in `file`.
    ///
    /// # Errors
    ///
    /// redb's.
    pub fn open(file: &Path) -> Result<Self, redb::DatabaseError> {
        Ok(Self(Arc::new(Database::create(file)?)))
    }

    fn put(&self, key: usize, value: &str) -> Result<(), redb::Error> {
        let mut writing = self.0.begin_write()?;
        writing
            .set_durability(Durability::Immediate)
            .expect("no savepoint is open");
        {
            let mut table = writing.open_table(TABLE)?;
            black_box(table.get(key as u64)?.is_some());
            table.insert(key as u64, value)?;
        }
        Ok(writing.commit()?)
    }

    fn get(&self, key: usize) -> Result<Option<String>, redb::Error> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key as u64)?.map(|found| found.value().to_owned()))
    }
}

impl fmt::Debug for RedbFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbFloor").finish_non_exhaustive()
    }
}

impl Floor for RedbFloor {
    const READ: &'static str = "get";
    const WRITE: &'static str = "a transaction, durable";

    async fn fill(&self, key: usize, value: &str) {
        self.put(key, value).expect("redb takes it");
    }

    async fn read(&self, key: usize) {
        black_box(self.get(key).expect("redb answers"));
    }

    async fn write(&self, key: usize, value: &str) {
        self.put(key, value).expect("redb takes it");
    }
}
