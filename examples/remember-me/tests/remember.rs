//! Staying signed in, as it runs. Time is moved in the records, which the tests open beside the
//! program.

use std::time::Duration;

use session_kit::{Record, Store, Written, connect};
use session_test_program::{Program, Reply, Visitor};

const ADA: &str = "name=ada&password=lovelace";
const HOUR: Duration = Duration::from_secs(60 * 60);

fn start(store: &str) -> Program {
    Program::start(env!("CARGO_BIN_EXE_remember-me"), &[store])
}

fn attributes(reply: &Reply) -> &str {
    let cookie = reply.header("set-cookie").expect("a cookie");
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert!(pair.starts_with("sid="), "{cookie}");
    attributes
}

#[test]
fn the_cookie_outlives_the_browser_for_those_who_ask_for_it() {
    let program = start("memory:");
    let mut visitor = program.visitor();
    let reply = visitor.post("/login", ADA);
    assert_eq!(attributes(&reply), "Path=/; HttpOnly; SameSite=Lax");
    let hello = visitor.get("/").body;
    assert_eq!(hello, "hello ada, come again within 30 minutes\n");

    let mut visitor = program.visitor();
    let reply = visitor.post("/login", &format!("{ADA}&remember=on"));
    let expected = "Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax";
    assert_eq!(attributes(&reply), expected);
    let hello = visitor.get("/").body;
    assert_eq!(hello, "hello ada, come again within 43200 minutes\n");

    // Who signs in again, and does not tick the box, is not remembered for the last time's sake.
    let reply = visitor.post("/login", ADA);
    assert_eq!(attributes(&reply), "Path=/; HttpOnly; SameSite=Lax");
    let hello = visitor.get("/").body;
    assert_eq!(hello, "hello ada, come again within 30 minutes\n");

    visitor.post("/logout", "");
    assert_eq!(visitor.cookie, "");
    assert_eq!(visitor.get("/").body, "hello stranger\n");
}

#[test]
fn a_wrong_password_is_not_remembered() {
    let program = start("memory:");
    let form = "name=ada&password=wrong&remember=on";
    let refused = program.visitor().post("/login", form);
    assert_eq!(refused.short(), (403, "wrong name or password\n"));
    assert_eq!(refused.header("set-cookie"), None);
}

#[tokio::test]
async fn i7_a_stolen_copy_of_the_long_lived_token_dies_with_the_next_renewal() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("file:{}", dir.path().display());
    let program = start(&url);
    let store = connect(&url).await.expect("the store opens");
    let mut ada = program.visitor();
    ada.post("/login", &format!("{ADA}&remember=on"));
    let mut thief = ada.clone();
    assert!(is_signed_in(&mut thief));

    // An hour and a little later she comes again, and gets a new token.
    change(&*store, |record| {
        record.secret_at = record.secret_at.before(HOUR + HOUR / 60);
    })
    .await;
    let renewed = ada.get("/");
    let expected = "Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax";
    assert_eq!(attributes(&renewed), expected);
    assert_ne!(ada.cookie, thief.cookie);

    // Once she has used it, the one before it is good for the ten seconds of grace, and then dead.
    assert!(is_signed_in(&mut ada));
    change(&*store, |record| {
        let previous = record.previous.as_mut().expect("it is remembered");
        previous.until = previous.until.map(|until| until.before(HOUR));
    })
    .await;
    assert!(!is_signed_in(&mut thief));
    assert!(is_signed_in(&mut ada));
}

fn is_signed_in(visitor: &mut Visitor) -> bool {
    visitor.get("/").body != "hello stranger\n"
}

/// Writes the only session of `store` as `change` leaves it.
async fn change(store: &dyn Store, change: impl Fn(&mut Record)) {
    let page = store.scan(Default::default(), 2).await;
    let ids = page.expect("the store is read").ids;
    let [id] = ids[..] else {
        panic!("one session, not {ids:?}");
    };
    let record = store.load(&id).await.expect("the store is read");
    let mut record = record.expect("it is there");
    let expected = record.version;
    change(&mut record);
    record.version = expected.next().expect("random bytes");
    let written = store.update(&id, &record, expected).await;
    assert_eq!(written.expect("the store is written"), Written::Done);
}
