//! The stores under test, each beside its floor: opened, or its server started, when it is asked
//! for.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use session_core::{MemoryLimits, MemoryStore, Store};
use session_fs::FsStore;
use session_redis::RedisStore;
use session_shelf::ShelfStore;
use session_sql::SqlStore;
use session_test_servers::{MariaDbServer, PostgresServer, RedisCluster, RedisServer};
use tempfile::TempDir;

use crate::floors::{
    ClusterFloor, FileFloor, Floor, FloorWork, MapFloor, MySqlFloor, Part, PostgresFloor,
    RedbFloor, RedisFloor, SledFloor, SqliteFloor,
};
use crate::operation::Run;
use crate::placement::Placement;

/// A store, and what it is measured beside.
pub struct Bed {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Where its servers run, if it has any.
    pub placement: Option<Placement>,
    floor: Box<Floors>,
    // Servers and folders that end with the bed, in this order: the store first.
    _keep: Box<dyn std::any::Any>,
}

/// The floor's operation, and its name.
type Floors = dyn Fn(Part, &str) -> (Run, String);

impl fmt::Debug for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bed")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Every store and engine, by name.
pub const NAMES: [&str; 9] = [
    "memory",
    "fs",
    "sled",
    "redb",
    "sqlite",
    "postgres",
    "mariadb",
    "redis",
    "redis-cluster",
];

/// Connections of an SQL store and of its floor.
const CONNECTIONS: u32 = 10;

type Opened = Result<Bed, Box<dyn StdError + Send + Sync>>;

impl Bed {
    /// The bed of this name, its files on the disk that holds `folder`.
    ///
    /// # Errors
    ///
    /// There is no such store, its server is not installed, or it cannot be opened.
    pub async fn open(name: &str, folder: &Path) -> Opened {
        let own = TempDir::new_in(folder)?;
        match name {
            "memory" => {
                // A sample of creates makes more than a server would ever keep.
                let limits = MemoryLimits {
                    sessions: usize::MAX,
                    bytes: usize::MAX,
                };
                let store = MemoryStore::bounded(limits);
                Ok(Self::new(store, MapFloor::new(), own))
            }
            "fs" => {
                let store = FsStore::open(own.path().join("store"))?;
                let floor = own.path().join("floor");
                std::fs::create_dir(&floor)?;
                Ok(Self::new(store, FileFloor::new(floor), own))
            }
            "sled" => {
                let store = ShelfStore::sled(own.path().join("store"))?;
                let floor = SledFloor::open(&own.path().join("floor"))?;
                Ok(Self::new(store, floor, own))
            }
            "redb" => {
                let store = ShelfStore::redb(own.path().join("store.redb"))?;
                let floor = RedbFloor::open(&own.path().join("floor.redb"))?;
                Ok(Self::new(store, floor, own))
            }
            "sqlite" => {
                let file = |name| -> PathBuf { own.path().join(name) };
                let store = sql(&format!("sqlite:{}", file("store.db").display())).await?;
                let floor = SqliteFloor::open(&file("floor.db"), CONNECTIONS).await?;
                Ok(Self::new(store, floor, own))
            }
            "postgres" => {
                let server = PostgresServer::builder().data_on(folder).start()?;
                let store = sql(&server.url()).await?;
                let floor = PostgresFloor::open(&server.url(), CONNECTIONS).await?;
                let pids = server.pid().into_iter().collect();
                Ok(Self::new(store, floor, server).beside(pids))
            }
            "mariadb" => {
                // The memory and the log that it has by default. With the few megabytes that are
                // enough for tests, it writes pages all the time.
                let server = MariaDbServer::builder()
                    .setting("innodb-buffer-pool-size", "128M")
                    .setting("innodb-log-file-size", "96M")
                    .data_on(folder)
                    .start()?;
                let store = sql(&server.url()).await?;
                let floor = MySqlFloor::open(&server.url(), CONNECTIONS).await?;
                let pids = server.pid().into_iter().collect();
                Ok(Self::new(store, floor, server).beside(pids))
            }
            "redis" => {
                let server = RedisServer::builder().setting("appendonly", "no").start()?;
                let store = RedisStore::connect(&server.url()).await?;
                let floor = RedisFloor::open(&server.url()).await?;
                let pids = server.pid().into_iter().collect();
                Ok(Self::new(store, floor, server).beside(pids))
            }
            "redis-cluster" => {
                let cluster = RedisCluster::builder()
                    .setting("appendonly", "no")
                    .start()?;
                let store = RedisStore::connect(&cluster.url()).await?;
                let nodes = cluster.nodes().iter().map(RedisServer::url).collect();
                let floor = ClusterFloor::open(nodes).await?;
                let pids = cluster.nodes().iter().filter_map(RedisServer::pid);
                let pids = pids.collect();
                Ok(Self::new(store, floor, cluster).beside(pids))
            }
            _ => Err(format!("there is no store {name}; there are {}", NAMES.join(", ")).into()),
        }
    }

    fn new<F: Floor>(store: impl Store, floor: F, keep: impl std::any::Any) -> Self {
        Self {
            store: Arc::new(store),
            placement: None,
            floor: Box::new(move |part, value| {
                let work = FloorWork::new(floor.clone(), part, value);
                let name = work.name();
                (Run::new(work), name)
            }),
            _keep: Box::new(keep),
        }
    }

    /// The same, beside servers with these main processes.
    fn beside(self, servers: Vec<i32>) -> Self {
        Self {
            placement: Placement::of(servers),
            ..self
        }
    }

    /// The floor's operation with values like this one, and what it is called.
    #[must_use]
    pub fn floor(&self, part: Part, value: &str) -> (Run, String) {
        (self.floor)(part, value)
    }
}

async fn sql(url: &str) -> Result<SqlStore, session_core::Error> {
    let config = session_sql::SqlConfig::new().connections(CONNECTIONS);
    let store = SqlStore::connect_with(url, config).await?;
    store.migrate().await?;
    Ok(store)
}
