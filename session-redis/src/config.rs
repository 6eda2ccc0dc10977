//! The options of the store, and the URL they can be given in.

use std::fmt;
use std::time::Duration;

/// The options of a [`RedisStore`](crate::RedisStore).
#[derive(Clone)]
pub struct RedisConfig {
    url: String,
    prefix: String,
    clock_skew: Duration,
    response_timeout: Duration,
    connect_timeout: Duration,
    connections: usize,
}

impl RedisConfig {
    /// The defaults, for the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "session:".to_owned(),
            clock_skew: Duration::from_secs(30),
            response_timeout: Duration::from_millis(1_500),
            connect_timeout: Duration::from_millis(1_500),
            connections: 1,
        }
    }

    /// What every key begins with.
    ///
    /// # Default
    ///
    /// `session:`
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How much longer than the record's expiry the server keeps it.
    ///
    /// # Default
    ///
    /// 30 s
    #[must_use]
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// How many connections one server gets; commands take turns on them.
    ///
    /// # Default
    ///
    /// 1
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn chosen_prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn chosen_clock_skew(&self) -> Duration {
        self.clock_skew
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("clock_skew", &self.clock_skew)
            .finish_non_exhaustive()
    }
}
