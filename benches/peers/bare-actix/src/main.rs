//! actix-web without sessions: the floor.

use std::process::ExitCode;

use actix_web::App;

fn main() -> ExitCode {
    contract::actix::main(|options| {
        let open = async { Ok(()) };
        contract::actix::run(options, open, |()| {
            App::new().configure(contract::actix::bare)
        })
    })
}
