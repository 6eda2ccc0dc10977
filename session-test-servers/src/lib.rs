#![doc = include_str!("../README.md")]

mod account;
mod error;
mod port;
mod process;
mod program;
mod server;
mod url;
mod watcher;

mod certificates;
mod redis;
mod resp;

mod mariadb;
mod mariadb_wire;
mod postgres;
mod postgres_wire;

mod proxy;

pub use error::ServerError;
pub use mariadb::{MariaDbBuilder, MariaDbServer};
pub use postgres::{PostgresBuilder, PostgresServer};
pub use proxy::Proxy;
pub use redis::{RedisBuilder, RedisServer};
