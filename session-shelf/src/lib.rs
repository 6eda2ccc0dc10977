//! Sessions in an embedded database.

mod config;
mod migrate;
mod store;

mod layout;
mod records;
mod writer;
mod writes;

mod engine;
mod keys;
mod marks;
mod place;
mod shelf;

mod failure;

#[cfg(test)]
mod tests;

pub use config::{Durability, ShelfConfig};
pub use migrate::migrate;
pub use store::ShelfStore;
