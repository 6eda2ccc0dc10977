//! Both applications as they run.

use std::thread;

use session_test_program::{Program, Visitor};

/// The program, and where its two applications listen: axum's and actix-web's.
fn start(store: &str) -> (Program, [String; 2]) {
    let path = env!("CARGO_BIN_EXE_two-frameworks-one-session");
    let mut program = Program::start(path, &["127.0.0.1:0", store]);
    let addresses = [program.address().to_owned(), program.next_address()];
    (program, addresses)
}

fn count_at(visitor: &mut Visitor, address: &str) -> String {
    address.clone_into(&mut visitor.address);
    visitor.get("/").body
}

#[test]
fn a_session_begun_under_one_goes_on_under_the_other() {
    let (program, [axum, actix]) = start("memory:");
    let mut visitor = program.visitor();
    assert_eq!(count_at(&mut visitor, &axum), "axum counts 1\n");
    let begun = visitor.cookie.clone();
    assert_eq!(count_at(&mut visitor, &actix), "actix-web counts 2\n");
    assert_eq!(count_at(&mut visitor, &axum), "axum counts 3\n");
    assert_eq!(visitor.cookie, begun);

    let mut other = program.visitor();
    assert_eq!(count_at(&mut other, &actix), "actix-web counts 1\n");
    assert_eq!(count_at(&mut other, &axum), "axum counts 2\n");
}

#[test]
fn c2_both_at_once_count_to_exactly_the_sum() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = format!("file:{}", dir.path().display());
    let (program, addresses) = start(&store);
    let mut visitor = program.visitor();
    visitor.get("/");
    let workers = addresses.iter().cycle().take(8).map(|address| {
        let (mut visitor, address) = (visitor.clone(), address.clone());
        thread::spawn(move || {
            let replies = (0..25).map(|_| count_at(&mut visitor, &address));
            replies.map(|reply| number(&reply)).collect::<Vec<u64>>()
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut answers: Vec<u64> = workers
        .into_iter()
        .flat_map(|worker| worker.join().expect("it counts"))
        .collect();
    answers.sort_unstable();
    assert!(answers.into_iter().eq(2..=201), "all answers differ");
}

fn number(reply: &str) -> u64 {
    let number = reply.trim_end().rsplit(' ').next();
    let number = number.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number: {reply}"))
}
