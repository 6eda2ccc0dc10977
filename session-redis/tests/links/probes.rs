//! What every link is put to.

use std::collections::HashSet;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::conformance::samples;
use session_core::{
    Created, Cursor, Error, ErrorKind, Only, Owner, Record, SessionId, Store, StoreErrorKind,
    Written,
};
use session_redis::RedisStore;
use session_test_servers::RedisServer;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Each operation of the contract, once.
pub(crate) async fn carries_out_everything(store: &RedisStore) {
    store.ping().await.unwrap();
    let (id, owner) = (samples::id(), Owner::new("ann").unwrap());
    let record = samples::owned_record("ann");
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Taken);
    let next = updated(store, &id, &record).await;
    let late = samples::next_of(&record);
    let written = store.update(&id, &late, record.version).await.unwrap();
    assert_eq!(written, Written::Conflict);
    assert_eq!(store.load(&id).await.unwrap(), Some(next));
    assert_eq!(store.owned_by(&owner).await.unwrap(), [id]);
    assert!(all_ids(store).await.contains(&id));
    let deleted = store.delete(&id, Only::Any).await.unwrap();
    assert_eq!(deleted, Written::Done);
    assert_eq!(store.load(&id).await.unwrap(), None);
}

/// Stores that many new records.
pub(crate) async fn create_some(store: &RedisStore, count: usize) -> Vec<(SessionId, Record)> {
    let mut created = Vec::new();
    for _ in 0..count {
        let (id, record) = (samples::id(), samples::plain_record());
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
        created.push((id, record));
    }
    created
}

/// The next version of the record, stored.
pub(crate) async fn updated(store: &RedisStore, id: &SessionId, record: &Record) -> Record {
    let next = samples::next_of(record);
    let written = store.update(id, &next, record.version).await.unwrap();
    assert_eq!(written, Written::Done);
    next
}

pub(crate) async fn all_ids(store: &RedisStore) -> HashSet<SessionId> {
    let (mut ids, mut cursor) = (HashSet::new(), Cursor::start());
    loop {
        let page = store.scan(cursor, 20).await.unwrap();
        ids.extend(page.ids);
        match page.next {
            Some(next) => cursor = next,
            None => return ids,
        }
    }
}

/// Waits until a write of a new record succeeds, and what it wrote can be read.
pub(crate) async fn comes_back(store: &RedisStore) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (id, record) = (samples::id(), samples::plain_record());
        match store.create(&id, &record).await {
            Ok(created) => {
                assert_eq!(created, Created::Done);
                assert_eq!(store.load(&id).await.unwrap(), Some(record));
                return;
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
                assert!(Instant::now() < deadline, "still: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Waits until callers who soon give up, one after the other, can read the record.
pub(crate) async fn comes_back_to_the_impatient(store: &RedisStore, id: &SessionId) -> Record {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "still no answer");
        let soon = Duration::from_millis(400);
        match tokio::time::timeout(soon, store.load(id)).await {
            Ok(Ok(loaded)) => return loaded.expect("it is stored"),
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(_) => {}
        }
    }
}

/// Waits until `happened` says so.
pub(crate) async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "{what}: not in a long time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn cannot_connect(url: &str) -> Error {
    let connected = tokio::time::timeout(PATIENCE, RedisStore::connect(url)).await;
    connected.expect("connecting has an end").unwrap_err()
}

pub(crate) async fn is_unreachable(url: &str) {
    let error = cannot_connect(url).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("connecting to redis failed: "), "{text}");
}

/// Servers that take connections and never answer.
pub(crate) fn silent_servers(count: usize) -> Vec<RedisServer> {
    let start = |_| {
        let server = RedisServer::start().unwrap();
        server.freeze();
        server
    };
    (0..count).map(start).collect()
}

/// As a URL lists them: `127.0.0.1:PORT,127.0.0.1:PORT`.
pub(crate) fn listed(servers: &[RedisServer]) -> String {
    let addrs = servers.iter().map(|server| server.addr().to_string());
    addrs.collect::<Vec<_>>().join(",")
}

/// Waits until nothing is connected to the server.
pub(crate) async fn is_left_alone(server: &RedisServer) {
    until("the end of the connections", || {
        let clients = server.command(&["CLIENT", "LIST"]).unwrap();
        // The one that asks.
        clients.lines().filter(|line| !line.is_empty()).count() == 1
    })
    .await;
}

/// How often the server has begun a script by its digest.
pub(crate) fn scripts_run(server: &RedisServer) -> u64 {
    times_run(server, "evalsha")
}

/// How often the server has carried out the command, given as its statistics name it.
pub(crate) fn times_run(server: &RedisServer, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    let calls = stats.lines().find_map(|line| {
        let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = counts.split(',').next().filter(|_| name == command)?;
        calls.parse().ok()
    });
    calls.unwrap_or(0)
}

/// How many connections the server has accepted.
pub(crate) fn connections_accepted(server: &RedisServer) -> u64 {
    let stats = server.command(&["INFO", "stats"]).unwrap();
    let field = |line: &str| {
        line.strip_prefix("total_connections_received:")?
            .parse()
            .ok()
    };
    stats.lines().find_map(|line| field(line.trim())).unwrap()
}

/// The same while commands of others are dropped at every moment of their lives.
pub(crate) async fn keeps_replies_apart(store: &RedisStore) {
    let records = Arc::new(create_some(store, 16).await);
    let droppers = (0..8).map(|task| {
        let (store, records) = (store.clone(), records.clone());
        tokio::spawn(async move {
            for round in 0..500_usize {
                let (id, _) = &records[(task + round) % records.len()];
                let patience = Duration::from_micros((round as u64 % 25) * 20);
                let _ = tokio::time::timeout(patience, store.load(id)).await;
            }
        })
    });
    let readers = (0..8).map(|task| {
        let (store, records) = (store.clone(), records.clone());
        tokio::spawn(async move {
            for round in 0..300_usize {
                let (id, record) = &records[(task * 3 + round) % records.len()];
                assert_eq!(store.load(id).await.unwrap().as_ref(), Some(record));
            }
        })
    });
    for task in droppers.chain(readers).collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// As a name that a provider moves at a failover: new connections lead elsewhere, old ones stay.
pub(crate) struct MovableName {
    addr: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
}

impl MovableName {
    pub(crate) fn of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = Arc::new(Mutex::new(server));
        let now = Arc::clone(&server);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(*now.lock().unwrap()).unwrap();
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { addr, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    pub(crate) fn leads_to(&self, server: SocketAddr) {
        *self.server.lock().unwrap() = server;
    }
}
