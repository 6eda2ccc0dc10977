//! Redis: `GET`, and a compare-and-set in one script.

use std::fmt;
use std::hint::black_box;

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster_async::ClusterConnection;
use redis::{Script, Value};

use super::Floor;

/// Replaces a value whose first 16 bytes are the ones given.
const SWAP: &str = "if redis.call('GETRANGE', KEYS[1], 0, 15) ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1";

/// One server, over redis-rs' shared connection.
#[derive(Clone)]
pub struct RedisFloor(ConnectionManager);

/// A cluster, over redis-rs' own routing.
#[derive(Clone)]
pub struct ClusterFloor(ClusterConnection);

impl RedisFloor {
    /// The server at `url`.
    ///
    /// # Errors
    ///
    /// redis-rs'.
    pub async fn open(url: &str) -> redis::RedisResult<Self> {
        let client = redis::Client::open(url)?;
        Ok(Self(ConnectionManager::new(client).await?))
    }
}

impl ClusterFloor {
    /// The cluster of these nodes.
    ///
    /// # Errors
    ///
    /// redis-rs'.
    pub async fn open(nodes: Vec<String>) -> redis::RedisResult<Self> {
        let client = redis::cluster::ClusterClient::new(nodes)?;
        Ok(Self(client.get_async_connection().await?))
    }
}

/// The operations over either connection.
macro_rules! floor {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl Floor for $name {
            const READ: &'static str = "GET";
            const WRITE: &'static str = "EVALSHA compare-and-set";

            async fn fill(&self, key: usize, value: &str) {
                let mut set = redis::cmd("SET");
                set.arg(name(key)).arg(value);
                ask(self.0.clone(), &set).await;
            }

            async fn read(&self, key: usize) {
                let mut get = redis::cmd("GET");
                get.arg(name(key));
                black_box(ask(self.0.clone(), &get).await);
            }

            async fn write(&self, key: usize, value: &str) {
                let swapped = SCRIPT.with(|script| {
                    let mut swap = script.key(name(key));
                    swap.arg(&value[..16]).arg(value).arg(600_000);
                    swap
                });
                let mut connection = self.0.clone();
                let swapped: redis::RedisResult<i64> = swapped.invoke_async(&mut connection).await;
                assert_eq!(swapped.expect("Redis answers"), 1, "nobody else writes");
            }
        }
    };
}

floor!(RedisFloor);
floor!(ClusterFloor);

thread_local! {
    static SCRIPT: &'static Script = Box::leak(Box::new(Script::new(SWAP)));
}

fn name(key: usize) -> String {
    format!("floor:{key}")
}

async fn ask(mut connection: impl ConnectionLike, command: &redis::Cmd) -> Value {
    let answer = connection.req_packed_command(command).await;
    answer.expect("Redis answers")
}
