//! The application as it runs on its store.

use session_test_program::Program;

#[test]
fn a_custom_store_keeps_what_it_is_given() {
    let visits = Program::start(env!("CARGO_BIN_EXE_custom-store"), &[]);
    let (mut one, mut other) = (visits.visitor(), visits.visitor());
    assert_eq!(one.get("/").short(), (200, "visit 1\n"));
    assert_eq!(one.get("/").short(), (200, "visit 2\n"));
    assert_eq!(other.get("/").short(), (200, "visit 1\n"));
}
