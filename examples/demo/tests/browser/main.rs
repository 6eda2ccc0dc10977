//! The demo as a person sees it: in a real, headless Chromium.
//!
//! [`driver`] starts the browser. A further test of what a browser shows is a further module
//! beside [`page`].

mod driver;
mod page;
mod server;
