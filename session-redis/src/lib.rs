//! Sessions in Redis or Valkey.

mod config;
mod connect;
mod store;

mod owners;
mod revise;
mod scan;
mod scripts;

mod answer;
mod keys;
mod link;
mod url;

mod failure;

pub use config::RedisConfig;
pub use store::RedisStore;
