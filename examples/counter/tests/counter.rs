//! The counter as it runs.

use session_test_program::Program;

#[test]
fn the_counter_counts_for_each_visitor() {
    let counter = Program::start(env!("CARGO_BIN_EXE_counter"), &[]);
    let (mut one, mut other) = (counter.visitor(), counter.visitor());
    assert_eq!(one.get("/").short(), (200, "1\n"));
    assert_eq!(one.get("/").short(), (200, "2\n"));
    assert_eq!(other.get("/").short(), (200, "1\n"));
}
