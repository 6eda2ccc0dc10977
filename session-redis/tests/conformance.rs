//! The store keeps the contract over every kind of link. Only the sweep is left out: servers
//! expire records by themselves.

#[path = "conformance/harness.rs"]
mod harness;
#[path = "conformance/one_server.rs"]
mod one_server;
