//! Rules F1, F4 and C5 with real servers: each store behind a real application while its server
//! hangs, crashes, is cut off, is full, refuses the password, or may not write.
//!
//! What holds in each test:
//!
//! - While it lasts, a request that needs its session is answered 503 with `Retry-After` and no
//!   cookie: never 200, never an empty session. A route that touches no session answers.
//! - An addition that was acknowledged is there afterwards, and one that was not is there once or
//!   not at all. An answer tells the truth.
//! - What was destroyed before stays so. A logout that could not be carried out is no success.
//! - The application goes on when its server does, without a restart.

mod app;
mod bed;
mod counter;
mod load;

mod crash;
mod cut;
mod failover;
mod full;
mod hang;
mod password;
mod read_only;
