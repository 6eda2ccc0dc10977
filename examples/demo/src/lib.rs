//! A small web app that shows sessions at work, on whatever store a URL names.
//!
//! In reading order: the [`options`] say what to start and [`setup`] starts it. [`routes`] has
//! what each route does with a session and answers with an [`answer::Answer`]; both are free of
//! any framework. `axum_app` and `actix_app` are the glue to one each: extractors in, responses
//! out. The [`page`] turns a plain model into HTML.

pub mod options;
pub mod setup;

pub mod app;
pub mod routes;

pub mod answer;
pub mod form;
pub mod moment;

#[cfg(feature = "actix")]
pub mod actix_app;
#[cfg(feature = "axum")]
pub mod axum_app;

pub mod secret_key;
pub mod signals;

pub mod agent;
pub mod lang;
pub mod page;
