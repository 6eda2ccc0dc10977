//! The demo as a person sees it: in a real, headless Chromium.
//!
//! [`driver`] starts the browser. [`page`] is about the page alone, [`running`] about the whole
//! program behind it.

/// What the demo runs under; `browser-actix` has the same tests under the other one.
const FRAMEWORK: &str = "axum";

#[path = "../running/demo.rs"]
mod demo;
mod driver;
mod page;
mod running;
mod server;
