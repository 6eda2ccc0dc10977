//! What each way to Redis costs: a bare `GET`, and a session's load and update, by one task and
//! by 64, all in one run against servers of its own.
//!
//! `cargo bench -p session-benches --bench redis_links`

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster_async::ClusterConnection;
use session_core::{Clock, Created, Expiry, Record, SessionId, Store, Token, Written};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{RedisCluster, RedisServer};

const ROUNDS: usize = 9;
const TASKS: [usize; 2] = [1, 64];
const OPERATIONS: [usize; 2] = [1_500, 9_600];

fn main() {
    // `cargo test --benches` only wants to see that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let server = RedisServer::builder()
        .setting("appendonly", "no")
        .start()
        .expect("a server");
    let cluster = RedisCluster::builder()
        .setting("appendonly", "no")
        .start()
        .expect("a cluster");
    let mut rows = bare(&server, &cluster).await;
    for (name, store) in stores(&server, &cluster).await {
        rows.push(Row::new(format!("{name}: load"), Work::Load(store.clone())));
        rows.push(Row::new(format!("{name}: update"), Work::Update(store)));
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            for (column, tasks) in TASKS.into_iter().enumerate() {
                let took = row.work.run(tasks, OPERATIONS[column]).await;
                row.took[column].push(took);
            }
        }
    }
    print(&rows);
}

async fn bare(server: &RedisServer, cluster: &RedisCluster) -> Vec<Row> {
    let client = redis::Client::open(server.url()).expect("a URL");
    let manager = ConnectionManager::new(client).await.expect("a connection");
    let value = "x".repeat(200);
    let mut set = redis::cmd("SET");
    let mut connection = manager.clone();
    connection
        .req_packed_command(set.arg("bare").arg(value))
        .await
        .expect("a value");
    let pool = deadpool(server, 16);
    let nodes = cluster.nodes().iter().map(RedisServer::url);
    let client = redis::cluster::ClusterClient::new(nodes).expect("URLs");
    let nodes = client.get_async_connection().await.expect("connections");
    vec![
        Row::new("GET, ConnectionManager", Work::Get(manager)),
        Row::new("GET, deadpool of 16", Work::PoolGet(pool)),
        Row::new("GET, ClusterConnection", Work::ClusterGet(nodes)),
    ]
}

async fn stores(server: &RedisServer, cluster: &RedisCluster) -> Vec<(String, RedisStore)> {
    let url = server.url();
    let client = redis::Client::open(url.as_str()).expect("a URL");
    let manager = ConnectionManager::new(client).await.expect("a connection");
    let mut stores = vec![(
        "ConnectionManager".to_owned(),
        RedisStore::from_connection_manager(manager),
    )];
    for connections in [1, 2, 4] {
        let config = RedisConfig::new(&url).connections(connections);
        let store = RedisStore::with_config(config).await.expect("a store");
        stores.push((format!("URL, {connections} connections"), store));
    }
    for size in [4, 16, 64] {
        let store = RedisStore::from_pool(deadpool(server, size));
        stores.push((format!("deadpool of {size}"), store));
    }
    let store = RedisStore::connect(&cluster.url()).await.expect("a store");
    stores.push(("cluster of 3".to_owned(), store));
    stores
}

fn deadpool(server: &RedisServer, size: usize) -> deadpool_redis::Pool {
    let manager = deadpool_redis::Manager::new(server.url()).expect("a URL");
    deadpool_redis::Pool::builder(manager)
        .max_size(size)
        .build()
        .expect("a pool")
}

enum Work {
    Get(ConnectionManager),
    PoolGet(deadpool_redis::Pool),
    ClusterGet(ClusterConnection),
    Load(RedisStore),
    Update(RedisStore),
}

impl Work {
    /// Microseconds for one of `operations`, spread over `tasks`.
    async fn run(&self, tasks: usize, operations: usize) -> f64 {
        let each = operations / tasks;
        let took = match self {
            Self::Get(manager) => {
                spread(tasks, |_| {
                    let mut manager = manager.clone();
                    async move {
                        for _ in 0..each {
                            get(&mut manager).await;
                        }
                    }
                })
                .await
            }
            Self::ClusterGet(nodes) => {
                spread(tasks, |task| {
                    let mut nodes = nodes.clone();
                    async move {
                        for _ in 0..each {
                            let mut get = redis::cmd("GET");
                            let answer = nodes.req_packed_command(get.arg(task)).await;
                            assert!(answer.is_ok());
                        }
                    }
                })
                .await
            }
            Self::PoolGet(pool) => {
                spread(tasks, |_| {
                    let pool = pool.clone();
                    async move {
                        for _ in 0..each {
                            get(&mut pool.get().await.expect("a connection")).await;
                        }
                    }
                })
                .await
            }
            Self::Load(store) => {
                let sessions = Arc::new(sessions(store, tasks).await);
                spread(tasks, |task| {
                    let (store, id) = (store.clone(), sessions[task].0);
                    async move {
                        for _ in 0..each {
                            let loaded = store.load(&id).await.expect("an answer");
                            assert!(loaded.is_some());
                        }
                    }
                })
                .await
            }
            Self::Update(store) => {
                let sessions = Arc::new(sessions(store, tasks).await);
                spread(tasks, |task| {
                    let (store, (id, mut record)) = (store.clone(), sessions[task].clone());
                    async move {
                        for _ in 0..each {
                            let expected = record.version;
                            record.version = expected.next().expect("random bytes");
                            let written = store.update(&id, &record, expected).await;
                            assert_eq!(written.expect("an answer"), Written::Done);
                        }
                    }
                })
                .await
            }
        };
        took.as_secs_f64() * 1e6 / (each * tasks) as f64
    }
}

async fn get(connection: &mut impl ConnectionLike) {
    let mut get = redis::cmd("GET");
    let answer = connection.req_packed_command(get.arg("bare")).await;
    assert!(matches!(answer, Ok(redis::Value::BulkString(_))));
}

async fn spread<F>(tasks: usize, work: impl Fn(usize) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let begin = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(|task| tokio::spawn(work(task))).collect();
    for task in tasks {
        task.await.expect("work");
    }
    begin.elapsed()
}

async fn sessions(store: &RedisStore, count: usize) -> Vec<(SessionId, Record)> {
    let expiry = Expiry::new(Some(Duration::from_secs(600)), None);
    let mut sessions = Vec::new();
    for _ in 0..count {
        let token = Token::random().expect("random bytes");
        let record = Record::new(token.digest(), Clock::system().now(), expiry).expect("a record");
        let created = store.create(&token.id(), &record).await;
        assert_eq!(created.expect("an answer"), Created::Done);
        sessions.push((token.id(), record));
    }
    sessions
}

struct Row {
    name: String,
    work: Work,
    took: [Vec<f64>; 2],
}

impl Row {
    fn new(name: impl Into<String>, work: Work) -> Self {
        Self {
            name: name.into(),
            work,
            took: Default::default(),
        }
    }

    /// Of the round that others on the machine disturbed least.
    fn fastest(&self, column: usize) -> f64 {
        self.took[column].iter().copied().fold(f64::MAX, f64::min)
    }
}

/// Each with its ratio to the first.
fn print(rows: &[Row]) {
    println!(
        "{:<28} {:>18} {:>18}",
        "µs per operation", "1 task", "64 tasks"
    );
    for row in rows {
        print!("{:<28}", row.name);
        for column in 0..2 {
            let (took, floor) = (row.fastest(column), rows[0].fastest(column));
            print!(" {took:>10.1} ({:>4.2})", took / floor);
        }
        println!();
    }
}
