//! The way to the server: whatever it is made of, the store sees three methods.

mod position;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind, Value};

pub(crate) use position::Position;

use crate::config::RedisConfig;

/// A cheap clone; commands of all clones share the connections.
#[derive(Clone, Debug)]
pub(crate) struct Link(ConnectionManager);

impl Link {
    pub(crate) async fn connect(config: &RedisConfig) -> Result<Self, RedisError> {
        let client = redis::Client::open(config.url())?;
        let options = ConnectionManagerConfig::new()
            .set_response_timeout(Some(config.response_timeout()))
            .set_connection_timeout(Some(config.connect_timeout()));
        Ok(Self(
            ConnectionManager::new_with_config(client, options).await?,
        ))
    }

    /// One command, routed by its first key.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut manager = self.0.clone();
        manager.req_packed_command(command).await?.extract_error()
    }

    /// EVALSHA on one key; a server that does not know the script is taught it.
    pub(crate) async fn script(
        &self,
        script: &Script,
        key: &[u8],
        args: &[&[u8]],
    ) -> Result<Value, RedisError> {
        let mut evalsha = redis::cmd("EVALSHA");
        evalsha.arg(script.get_hash()).arg(1).arg(key);
        for arg in args {
            evalsha.arg(*arg);
        }
        match self.command(&evalsha).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut manager = self.0.clone();
                script.load_async(&mut manager).await?;
                self.command(&evalsha).await
            }
            answer => answer,
        }
    }

    /// One SCAN step over one of the primaries.
    pub(crate) async fn scan(
        &self,
        position: Position,
        pattern: &[u8],
        count: usize,
    ) -> Result<(Vec<Vec<u8>>, Option<Position>), RedisError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(position.cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(count.max(1));
        let (cursor, keys): (u64, Vec<Vec<u8>>) =
            redis::from_redis_value(self.command(&scan).await?)?;
        Ok((keys, position.next(cursor)))
    }
}
