//! The store.

use crate::config::RedisConfig;
use crate::link::Link;

/// Sessions in Redis.
#[derive(Clone, Debug)]
pub struct RedisStore {
    link: Link,
    prefix: String,
}

impl RedisStore {
    /// The store over a link that is up; the only constructor.
    pub(crate) fn over(link: Link, config: &RedisConfig) -> Self {
        let _ = config.chosen_clock_skew();
        Self {
            link,
            prefix: config.chosen_prefix().to_owned(),
        }
    }
}
