//! The demo as it runs under actix-web: the tests of `running`, each of them.

/// What the demo runs under.
const FRAMEWORK: &str = "actix";

#[path = "../running/client.rs"]
mod client;
#[path = "../running/demo.rs"]
mod demo;

#[path = "../running/command_line.rs"]
mod command_line;
#[path = "../running/ending.rs"]
mod ending;
#[path = "../running/every_store.rs"]
mod every_store;
#[path = "../running/kill.rs"]
mod kill;
#[path = "../running/outage.rs"]
mod outage;
#[path = "../running/refusals.rs"]
mod refusals;
#[path = "../running/routes.rs"]
mod routes;
#[path = "../running/shared_store.rs"]
mod shared_store;
#[path = "../running/shown_page.rs"]
mod shown_page;
#[path = "../running/tokens.rs"]
mod tokens;
