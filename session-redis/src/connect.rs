//! The ways to a store.

use redis::RedisError;
use redis::aio::ConnectionManager;
use session_core::{Error, ErrorKind};

use crate::config::RedisConfig;
use crate::failure::without_arguments;
use crate::link::{Link, is_refused_login};
use crate::store::RedisStore;

impl RedisStore {
    /// Connects to the servers at `url`, with the default options and those in the URL.
    ///
    /// [`RedisConfig`] lists both.
    ///
    /// # Errors
    ///
    /// As [`with_config`](Self::with_config).
    ///
    /// ```no_run
    /// use session_redis::RedisStore;
    ///
    /// # async fn connect() -> Result<(), session_core::Error> {
    /// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::with_config(RedisConfig::new(url)).await
    }

    /// Connects as `config` says.
    ///
    /// A server that cannot be reached now is an error; one that is lost later is connected to
    /// again when it is back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the URL is wrong, the certificate's file cannot be read, or the
    /// server refuses the user or the password. [`ErrorKind::Unavailable`]: it cannot be reached.
    /// None repeats the URL.
    pub async fn with_config(config: RedisConfig) -> Result<Self, Error> {
        let link = config.link().map_err(|error| {
            Error::new(error.kind(), format!("connecting to redis failed: {error}"))
                .caused_by(error)
        })?;
        link.connect().await.map_err(failed)?;
        Ok(Self::over(link, &config))
    }

    /// A store over a pool of the application's own; see [the section on
    /// connections](crate#which-connection-when).
    ///
    /// Nothing is sent yet.
    #[cfg(feature = "pool")]
    #[must_use]
    pub fn from_pool(pool: deadpool_redis::Pool) -> Self {
        let config = RedisConfig::from_pool(pool.clone());
        Self::over(Link::over_pool(pool), &config)
    }

    /// A store over a pool of connections to a cluster, of the application's own.
    ///
    /// Nothing is sent yet.
    #[cfg(all(feature = "pool", feature = "cluster"))]
    #[must_use]
    pub fn from_cluster_pool(pool: deadpool_redis::cluster::Pool) -> Self {
        let config = RedisConfig::from_cluster_pool(pool.clone());
        Self::over(Link::over_cluster_pool(pool), &config)
    }

    /// A store over a connection of the application's own.
    ///
    /// Nothing is sent yet.
    #[must_use]
    pub fn from_connection_manager(manager: ConnectionManager) -> Self {
        let config = RedisConfig::from_connection_manager(manager.clone());
        Self::over(Link::over_manager(manager), &config)
    }
}

fn failed(error: RedisError) -> Error {
    let kind = if is_refused_login(&error) {
        ErrorKind::Invalid
    } else {
        ErrorKind::Unavailable
    };
    match without_arguments(&error.to_string()) {
        Some(told) => Error::new(kind, format!("connecting to redis failed: {told}")),
        None => Error::new(kind, format!("connecting to redis failed: {error}")).caused_by(error),
    }
}
