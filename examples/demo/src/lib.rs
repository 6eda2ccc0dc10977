//! A small web app that shows sessions at work: the parts its program and its tests share.
//!
//! Nothing here holds a session or answers a request. The [`options`] say what to start, and the
//! [`page`] turns a plain model into HTML.

pub mod agent;
pub mod lang;
pub mod options;
pub mod page;
