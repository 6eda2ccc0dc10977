//! Sessions in a table of a SQL database: SQLite, PostgreSQL, MySQL or MariaDB.

// Without a database there is nothing to offer.
#![cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]

mod config;
mod store;

mod migrate;
mod transaction;

mod link;
mod row;
mod statements;

mod connection;
mod open;
mod pool;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod suspicion;

mod dialect;
mod table;

#[cfg(test)]
#[path = "plans_tests.rs"]
mod plans;

mod failure;

// The tests' database is shared with those that see the crate from outside.
#[cfg(test)]
extern crate self as session_sql;

pub use config::{Durability, SqlConfig};
pub use connection::SqlConnection;
pub use pool::SqlPool;
pub use sqlx;
pub use store::SqlStore;
