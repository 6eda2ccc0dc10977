//! Redis under the eyes of Sentinel.

use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::start_all;
use crate::{RedisServer, ServerError};

/// A primary, a replica, and three Sentinels (two must agree) that know them as `sessions`; ended
/// when dropped.
///
/// A primary that has been away for two seconds is replaced by its replica. Its answers do not
/// wait for the replica: what it acknowledged last can be lost then.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// let mut sentinel = session_test_servers::RedisSentinel::start()?;
/// let first = sentinel.primary_now();
/// sentinel.primary().kill();
/// while sentinel.primary_now() == first {
///     std::thread::sleep(std::time::Duration::from_millis(50));
/// }
/// # Ok(())
/// # }
/// ```
pub struct RedisSentinel {
    primary: RedisServer,
    replica: RedisServer,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts all five; they know each other when this returns.
    ///
    /// # Errors
    ///
    /// The program is missing, or a server did not start.
    pub fn start() -> Result<Self, ServerError> {
        let primary = RedisServer::start()?;
        let replica = RedisServer::builder().replica_of(primary.port()).start()?;
        let port = primary.port();
        let sentinel = RedisServer::builder()
            .sentinel()
            .setting("sentinel monitor", format!("{NAME} 127.0.0.1 {port} 2"))
            .setting(
                "sentinel down-after-milliseconds",
                format!("{NAME} {DOWN_AFTER_MS}"),
            )
            .setting("sentinel failover-timeout", format!("{NAME} {FAILOVER_MS}"))
            // They need not wait for the primary's next report to find its replica.
            .setting(
                "sentinel known-replica",
                format!("{NAME} 127.0.0.1 {}", replica.port()),
            );
        let sentinels = start_all((0..SENTINELS).map(|_| sentinel.clone()))?;
        let started = Self {
            primary,
            replica,
            sentinels,
        };
        let known = format!(
            "name={NAME},status=ok,address=127.0.0.1:{port},slaves=1,sentinels={SENTINELS}"
        );
        for sentinel in &started.sentinels {
            sentinel.wait_for(&["INFO", "sentinel"], &known)?;
        }
        Ok(started)
    }

    /// `redis+sentinel://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT/sessions`: the Sentinels,
    /// and the name under which they know the primary.
    pub fn url(&self) -> String {
        let addrs = self
            .sentinels
            .iter()
            .map(|sentinel| sentinel.addr().to_string());
        let addrs = addrs.collect::<Vec<String>>().join(",");
        format!("redis+sentinel://{addrs}/{NAME}")
    }

    /// The server that was started as the primary, whatever it is now.
    pub fn primary(&mut self) -> &mut RedisServer {
        &mut self.primary
    }

    /// The server that was started as the replica, whatever it is now.
    pub fn replica(&mut self) -> &mut RedisServer {
        &mut self.replica
    }

    /// The Sentinels, to be killed and restarted.
    pub fn sentinels(&mut self) -> &mut [RedisServer] {
        &mut self.sentinels
    }

    /// Who the primary is, as most Sentinels say. While they differ, it waits.
    ///
    /// # Panics
    ///
    /// No two agreed for a minute.
    pub fn primary_now(&self) -> SocketAddr {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let said: Vec<_> = self.sentinels.iter().filter_map(primary_by).collect();
            let agreed = |addr: &&SocketAddr| said.iter().filter(|other| other == addr).count() > 1;
            match said.iter().find(agreed) {
                Some(addr) => return *addr,
                None if Instant::now() > deadline => {
                    panic!("no two Sentinels agreed on a primary for a minute")
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

fn primary_by(sentinel: &RedisServer) -> Option<SocketAddr> {
    sentinel.pid()?;
    let answer = sentinel
        .command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])
        .ok()?;
    answer.replace('\n', ":").parse().ok()
}

impl fmt::Debug for RedisSentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSentinel")
            .field("primary", &self.primary)
            .field("replica", &self.replica)
            .field("sentinels", &self.sentinels)
            .finish()
    }
}

/// What the Sentinels call the primary and its replicas.
const NAME: &str = "sessions";

const SENTINELS: usize = 3;

/// Short, so that a test need not wait; long enough that a busy machine causes no failover.
const DOWN_AFTER_MS: u32 = 2_000;

/// After how long a failover that did not succeed is tried again.
const FAILOVER_MS: u32 = 10_000;
