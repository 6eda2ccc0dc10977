//! The ways to a store.

use session_core::{Error, ErrorKind};

use crate::config::RedisConfig;
use crate::link::Link;
use crate::store::RedisStore;

impl RedisStore {
    /// Connects to the server at `url` with the default options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the server cannot be reached or refuses us.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::with_config(RedisConfig::new(url)).await
    }

    /// Connects as `config` says.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn with_config(config: RedisConfig) -> Result<Self, Error> {
        let link = Link::connect(&config).await.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("connecting to redis failed: {error}"),
            )
            .caused_by(error)
        })?;
        Ok(Self::over(link, &config))
    }
}
