//! The session, its rules, and the store contract.

pub mod http;
