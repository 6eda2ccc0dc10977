#![doc = include_str!("../README.md")]

mod redis;

mod cluster;
mod sentinel;

mod postgres;

mod mariadb;

mod disk;
mod proxy;

mod certificates;
mod mariadb_wire;
mod postgres_wire;
mod resp;

mod account;
mod port;
mod process;
mod program;
mod server;
mod url;
mod watcher;

mod error;

pub use cluster::{RedisCluster, RedisClusterBuilder};
pub use disk::{PinnedFile, SmallDisk};
pub use error::ServerError;
pub use mariadb::{MariaDbBuilder, MariaDbServer};
pub use postgres::{PostgresBuilder, PostgresServer};
pub use proxy::Proxy;
pub use redis::{RedisBuilder, RedisServer};
pub use sentinel::RedisSentinel;
pub use watcher::Watcher;
