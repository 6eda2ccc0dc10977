//! What sessions cost, measured beside what cannot be avoided.
//!
//! Each figure is made of samples of two sides: the session's, and its floor's. For
//! [`stores`] that is the raw operation of the backend ([`floors`]), for [`requests`] the bare
//! framework. Both sides run within each sample ([`pair`]), so the ratio holds when the
//! machine's speed drifts. The bench `compare` runs what it is asked to and
//! writes the [`report`].

pub mod backends;
pub mod beds;
pub mod floors;
pub mod http;
pub mod in_memory;
pub mod peers;
pub mod probes;
pub mod requests;
pub mod stores;

pub mod client;
pub mod figures;
pub mod load;
pub mod machine;
pub mod operation;
pub mod pair;
pub mod placement;
pub mod programs;
pub mod progress;
pub mod report;
