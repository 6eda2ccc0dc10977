//! What stores and adapters are tested with: published, so that others' can be too.
//!
//! [`SpyStore`] wraps any store, counts what it is asked and breaks on request. [`http`] holds
//! the scenarios that every adapter passes.

mod gate;
pub mod http;
mod spy;

pub use gate::Gate;
pub use spy::{Counts, Fault, Operation, SpyStore};
