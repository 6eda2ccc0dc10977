//! Sessions in Redis or Valkey.

mod config;
mod connect;
mod store;

mod link;
mod url;

pub use config::RedisConfig;
pub use store::RedisStore;
