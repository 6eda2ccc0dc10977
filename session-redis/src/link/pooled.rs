//! Connections that are lent out one command at a time, from a pool of deadpool's.
//!
//! The pool sends `UNWATCH` and `PING` each time it lends a connection, and so finds dead ones.

use std::fmt;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::{Pool, PoolError, Runtime};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, Value};

use super::fault::{is_of_replica, timed_out, without_secrets};
use super::line::Timeouts;

/// A pool of up to `size` connections that `client` makes.
pub(crate) fn pool(client: &Client, timeouts: Timeouts, size: usize) -> Result<Pool, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeouts.connect))
        .set_response_timeout(Some(timeouts.response));
    let info = client.get_connection_info().clone();
    let manager = deadpool_redis::Manager::new_with_config(info, config)?;
    let pool = Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(timeouts.response))
        .create_timeout(Some(timeouts.connect))
        .recycle_timeout(Some(timeouts.response))
        .build();
    pool.map_err(|_| (ErrorKind::Client, "the pool could not be built").into())
}

/// A pool of connections to one server, the user's or ours.
#[derive(Clone)]
pub(crate) struct Pooled(Pool);

impl Pooled {
    pub(crate) fn new(pool: Pool) -> Self {
        Self(pool)
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self.once(command).await {
            Err(error) if is_of_replica(&error) => {
                // The others lead to the same server, which was demoted.
                self.0.retain(|_, _| false);
                self.once(command).await
            }
            answer => answer,
        }
    }

    async fn once(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.0.get().await.map_err(explained)?;
        let answer = connection
            .req_packed_command(command)
            .await
            .and_then(Value::extract_error);
        if let Err(error) = &answer
            && (error.is_io_error() || error.is_unrecoverable_error() || is_of_replica(error))
        {
            // Not to be lent again.
            drop(deadpool_redis::Connection::take(connection));
        }
        answer
    }
}

pub(crate) fn explained(error: PoolError) -> RedisError {
    match error {
        PoolError::Backend(error) => without_secrets(error),
        PoolError::Timeout(_) => timed_out("no connection of the pool came free in time"),
        PoolError::Closed => (ErrorKind::Client, "the pool is closed").into(),
        PoolError::NoRuntimeSpecified => {
            (ErrorKind::Client, "the pool has time-outs and no runtime").into()
        }
        PoolError::PostCreateHook(_) => (
            ErrorKind::Client,
            "a hook of the pool refused the connection",
        )
            .into(),
    }
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&self.0.status()).finish()
    }
}
