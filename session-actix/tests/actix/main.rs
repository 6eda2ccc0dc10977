//! What is particular to actix-web: failing middleware, scopes in scopes, streams, upgrades,
//! workers and clients that go away.
//!
//! [`world`] makes the applications and calls them in process, [`server`] serves them on a real
//! socket; the other modules are the tests.

#[path = "../probe_app/mod.rs"]
mod probe_app;
mod server;
mod world;

mod connections;
mod disconnects;
mod errors;
mod extracting;
mod guard;
mod long_lived;
mod routing;
mod workers;
