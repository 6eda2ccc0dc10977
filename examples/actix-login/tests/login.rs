//! The login as it runs under actix-web: the tests of `axum-login`, each of them.

const PROGRAM: &str = env!("CARGO_BIN_EXE_actix-login");

#[path = "../../axum-login/tests/login/routes.rs"]
mod routes;
