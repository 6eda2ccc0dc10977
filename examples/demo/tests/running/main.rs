//! The demo as it runs: the real program, over real connections.
//!
//! [`demo`] starts it, [`client`] talks to it; the other modules are the tests.

/// What the demo runs under; `running-actix` has the same tests under the other one.
const FRAMEWORK: &str = "axum";

mod client;
mod demo;

mod command_line;
mod ending;
mod every_store;
mod kill;
mod outage;
mod refusals;
mod routes;
#[cfg(feature = "actix")]
mod same_answers;
mod shared_store;
mod shown_page;
mod tokens;
