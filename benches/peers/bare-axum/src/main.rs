//! axum without sessions: the floor.

use std::process::ExitCode;

fn main() -> ExitCode {
    contract::axum::main(async |_| Ok(contract::axum::bare()))
}
