//! What the routes of a login do, whatever the framework.

use session_test_program::{Program, Visitor};

use crate::PROGRAM;

const ADA: &str = "name=ada&password=lovelace";
const GRACE: &str = "name=grace&password=hopper";

fn start() -> Program {
    Program::start(PROGRAM, &["memory:"])
}

fn signed_in(program: &Program, form: &str) -> Visitor {
    let mut visitor = program.visitor();
    assert_eq!(visitor.post("/login", form).status, 200);
    visitor
}

fn is_signed_in(visitor: &mut Visitor) -> bool {
    visitor.get("/").body != "hello stranger\n"
}

/// The ids of the user's sessions, and which of them is the visitor's own.
fn devices(visitor: &mut Visitor) -> (Vec<String>, String) {
    let list = visitor.get("/devices");
    assert_eq!(list.status, 200, "{}", list.body);
    let id = |line: &str| line[2..].split(',').next().unwrap_or_default().to_owned();
    let own = list.body.lines().find(|line| line.starts_with('*'));
    let own = id(own.expect("one's own is marked"));
    (list.body.lines().map(id).collect(), own)
}

#[test]
fn a_wrong_password_is_refused_and_stores_nothing() {
    let program = start();
    let mut visitor = program.visitor();
    for wrong in [
        "name=ada&password=wrong",
        "name=ada&password=hopper",
        "name=eve&password=lovelace",
        "name=&password=",
    ] {
        let refused = visitor.post("/login", wrong);
        assert_eq!(refused.short(), (403, "wrong name or password\n"));
        assert_eq!(refused.header("set-cookie"), None);
    }
    assert_eq!(visitor.get("/").body, "hello stranger\n");
    assert_eq!(visitor.post("/login", ADA).short(), (200, "hello ada\n"));
    assert_eq!(visitor.get("/").body, "hello ada\n");
}

#[test]
fn i4_a_token_of_before_the_login_is_worth_nothing_after_it() {
    let program = start();
    let mut victim = signed_in(&program, ADA);
    let mut thief = victim.clone();
    victim.post("/login", ADA);
    assert_ne!(victim.cookie, thief.cookie);
    assert!(is_signed_in(&mut victim));
    assert!(!is_signed_in(&mut thief));
}

#[test]
fn a_logout_ends_the_session_and_removes_the_cookie() {
    let program = start();
    let mut visitor = signed_in(&program, ADA);
    let mut thief = visitor.clone();
    assert_eq!(visitor.post("/logout", "").short(), (200, "goodbye\n"));
    assert_eq!(visitor.cookie, "");
    assert!(!is_signed_in(&mut thief));
}

#[test]
fn staying_signed_in_is_a_cookie_that_outlives_the_browser() {
    let program = start();
    let until_closed = program.visitor().post("/login", ADA);
    let until_closed = until_closed.header("set-cookie").expect("a cookie");
    assert!(!until_closed.contains("Max-Age"), "{until_closed}");
    let form = format!("{ADA}&remember=on");
    let remembered = program.visitor().post("/login", &form);
    let remembered = remembered.header("set-cookie").expect("a cookie");
    assert!(remembered.contains("; Max-Age=2592000"), "{remembered}");
}

#[test]
fn a_user_sees_each_of_their_devices_and_ends_one() {
    let program = start();
    let (mut laptop, mut phone) = (signed_in(&program, ADA), program.visitor());
    let agent = [
        ("User-Agent", "<b>a phone</b>"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    phone.send("POST", "/login", &agent, ADA);
    let (ids, own) = devices(&mut laptop);
    assert_eq!(ids.len(), 2);
    let (_, other) = devices(&mut phone);
    assert_ne!(own, other);
    assert!(ids.contains(&own) && ids.contains(&other));

    let list = laptop.get("/devices");
    assert!(list.body.contains("<b>a phone</b>"), "{}", list.body);
    let kind = list.header("content-type").expect("a type");
    assert!(kind.starts_with("text/plain"), "what agents say: {kind}");

    let revoked = laptop.post("/devices/revoke", &format!("id={other}"));
    assert_eq!(revoked.short(), (200, "ended 1\n"));
    assert!(!is_signed_in(&mut phone));
    assert_eq!(devices(&mut laptop), (vec![own.clone()], own));
    let again = laptop.post("/devices/revoke", &format!("id={other}"));
    assert_eq!(again.short(), (200, "ended 0\n"));
    let malformed = laptop.post("/devices/revoke", "id=x");
    assert_eq!(malformed.short(), (400, "no such id\n"));
}

#[test]
fn ending_ones_own_device_is_a_logout() {
    let program = start();
    let (mut laptop, mut phone) = (signed_in(&program, ADA), signed_in(&program, ADA));
    let mut thief = laptop.clone();
    let (_, own) = devices(&mut laptop);
    let revoked = laptop.post("/devices/revoke", &format!("id={own}"));
    assert_eq!(revoked.short(), (200, "goodbye\n"));
    assert_eq!(laptop.cookie, "", "the browser is told");
    assert!(!is_signed_in(&mut thief));
    assert!(is_signed_in(&mut phone));
}

#[test]
fn nobody_ends_or_sees_another_users_sessions() {
    let program = start();
    let (mut ada, mut grace) = (signed_in(&program, ADA), signed_in(&program, GRACE));
    let (_, of_ada) = devices(&mut ada);
    assert!(!devices(&mut grace).0.contains(&of_ada));
    let revoked = grace.post("/devices/revoke", &format!("id={of_ada}"));
    assert_eq!(revoked.short(), (200, "ended 0\n"));
    assert!(is_signed_in(&mut ada));

    let mut stranger = program.visitor();
    assert_eq!(stranger.get("/devices").status, 401);
    for path in ["revoke", "revoke-others", "revoke-all"] {
        let form = format!("id={of_ada}");
        let refused = stranger.post(&format!("/devices/{path}"), &form);
        assert_eq!(refused.status, 401, "{path}");
    }
    assert!(is_signed_in(&mut ada));
}

#[test]
fn ending_the_others_keeps_ones_own() {
    let program = start();
    let mut ada = [(); 3].map(|()| signed_in(&program, ADA));
    let mut grace = signed_in(&program, GRACE);
    let revoked = ada[1].post("/devices/revoke-others", "");
    assert_eq!(revoked.short(), (200, "ended 2\n"));
    let still = ada.each_mut().map(is_signed_in);
    assert_eq!(still, [false, true, false]);
    assert!(is_signed_in(&mut grace));
}

#[test]
fn o2_signing_out_everywhere_ends_all_of_them() {
    let program = start();
    let mut ada = [(); 3].map(|()| signed_in(&program, ADA));
    let mut thief = ada[1].clone();
    let mut grace = signed_in(&program, GRACE);
    let revoked = ada[1].post("/devices/revoke-all", "");
    assert_eq!(revoked.short(), (200, "goodbye, everywhere\n"));
    assert_eq!(ada[1].cookie, "", "the browser is told");
    let still = ada.each_mut().map(is_signed_in);
    assert_eq!(still, [false, false, false]);
    assert!(!is_signed_in(&mut thief));
    assert!(is_signed_in(&mut grace));
}

#[test]
fn o3_a_sixth_device_signs_one_of_the_others_out() {
    let program = start();
    let mut ada = [(); 6].map(|()| signed_in(&program, ADA));
    let mut still = ada.each_mut().map(is_signed_in);
    // Which one is not said: on a fast machine all were used in the same millisecond.
    still.sort_unstable();
    assert_eq!(still, [false, true, true, true, true, true]);
    assert!(is_signed_in(&mut ada[5]), "the latest is never the one");
}
