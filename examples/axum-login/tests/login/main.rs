//! The login as it runs under axum.

const PROGRAM: &str = env!("CARGO_BIN_EXE_axum-login");

mod routes;
