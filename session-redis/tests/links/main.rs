//! Every way to the servers, with the servers as they are when things go wrong.

//mod cluster;
//mod cluster_pool;
mod manager;
#[cfg(feature = "pool")]
mod pool;
mod secrets;
//mod sentinel;
mod server;
mod silence;
#[cfg(feature = "tls")]
mod tls;
mod urls;

mod probes;
