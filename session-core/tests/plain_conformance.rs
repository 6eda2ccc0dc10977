//! A store that offers everything passes every property: nothing is left out.

#[path = "stores/plain.rs"]
mod plain;

session_core::store_conformance!(plain::Plain::default());
