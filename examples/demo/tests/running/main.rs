//! The demo as it runs: the real program, over real connections.
//!
//! [`demo`] starts it, [`client`] talks to it; the other modules are the tests.

mod client;
mod demo;

mod command_line;
mod ending;
mod kill;
mod outage;
mod refusals;
mod routes;
mod shared_store;
mod shown_page;
mod tokens;
