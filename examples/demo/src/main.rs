//! `session-demo`: reads its options and says what it would start.

use std::process::ExitCode;

use session_demo::options::{Options, Stop};

fn main() -> ExitCode {
    match Options::from_args(std::env::args_os()) {
        Ok(options) => {
            println!(
                "session-demo {}: {} on {}, sessions in {}",
                env!("CARGO_PKG_VERSION"),
                options.framework,
                options.bind,
                options.store_name(),
            );
            ExitCode::SUCCESS
        }
        Err(Stop::Asked(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop::Refused(line)) => {
            eprintln!("session-demo: {line}");
            ExitCode::from(Stop::REFUSED)
        }
    }
}
