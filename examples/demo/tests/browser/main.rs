//! The demo as a person sees it: in a real, headless Chromium.
//!
//! [`driver`] starts the browser. [`page`] is about the page alone, [`running`] about the whole
//! program behind it.

#[path = "../running/demo.rs"]
mod demo;
mod driver;
mod page;
mod running;
mod server;
