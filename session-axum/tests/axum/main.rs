//! What is particular to axum: streams, upgrades, clients that go away, routers in routers.
//!
//! [`world`] makes the applications and calls them in process; the other modules are the tests.

#[path = "../probe_app/mod.rs"]
mod probe_app;
mod world;

mod clients;
mod guard;
mod long_lived;
mod routing;
