//! The demo under actix-web as a person sees it: the tests of `browser` that need the program.

/// What the demo runs under.
const FRAMEWORK: &str = "actix";

#[path = "../running/demo.rs"]
mod demo;
#[path = "../browser/driver.rs"]
mod driver;
#[path = "../browser/running.rs"]
mod running;
