//! A program under test, and a visitor of it.
//!
//! The tests of `examples/` start the real program and talk to it as a browser does. It is told
//! to listen on a free port by its first argument, says `listening on http://ADDRESS`, and is
//! killed when the [`Program`] is dropped. A [`Visitor`] keeps one cookie, as a browser would;
//! its clone is the same browser's second connection, or a thief.
//!
//! ```no_run
//! use session_test_program::Program;
//!
//! // In a test of the package: env!("CARGO_BIN_EXE_counter")
//! let counter = Program::start("target/debug/counter", &[]);
//! let mut visitor = counter.visitor();
//! assert_eq!(visitor.get("/").body, "1\n");
//! assert_eq!(visitor.get("/").body, "2\n");
//! ```

mod program;
mod visitor;

pub use program::Program;
pub use visitor::{Reply, Visitor};
