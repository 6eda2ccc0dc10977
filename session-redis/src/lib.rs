//! Sessions in Redis or Valkey.

mod config;
mod connect;
mod store;

mod link;

pub use config::RedisConfig;
pub use store::RedisStore;
