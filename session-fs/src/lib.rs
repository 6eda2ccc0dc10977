//! Sessions in files.
mod config;
mod failure;
mod file;
mod folder;
mod log;
mod owners;
mod paths;
mod records;
mod removal;
mod scan;
mod store;
mod sweep;
mod syncs;

pub use config::{Durability, FsConfig};
pub use store::FsStore;
