//! The API as it runs.

use session_test_program::{Program, Reply};

const ADA: &str = r#"{"name":"ada","password":"lovelace"}"#;
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn start() -> Program {
    Program::start(env!("CARGO_BIN_EXE_api-without-cookies"), &["memory:"])
}

/// Sends a request without any memory of those before.
fn send(api: &Program, (method, path): (&str, &str), token: (&str, &str), body: &str) -> Reply {
    let reply = api.visitor().send(method, path, &[JSON, token], body);
    assert_eq!(reply.header("set-cookie"), None, "{}", reply.head);
    reply
}

fn by_bearer(api: &Program, request: (&str, &str), token: &str, body: &str) -> Reply {
    let value = format!("Bearer {token}");
    send(api, request, ("Authorization", &value), body)
}

fn by_device(api: &Program, value: &str, body: &str) -> Reply {
    send(api, ("POST", "/reading"), ("X-Device", value), body)
}

fn login(api: &Program) -> String {
    let reply = by_bearer(api, ("POST", "/login"), "", ADA);
    assert_eq!(reply.short(), (200, r#"{"user":"ada"}"#));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let token = reply.header("x-session-token");
    token.expect("a token").to_owned()
}

#[test]
fn h5_a_login_answers_with_the_token_and_the_token_is_all_it_takes() {
    let api = start();
    let token = login(&api);
    let noted = by_bearer(&api, ("POST", "/notes"), &token, r#""milk""#);
    assert_eq!(noted.short(), (200, r#"["milk"]"#));
    let notes = by_bearer(&api, ("GET", "/notes"), &token, "");
    assert_eq!(notes.short(), (200, r#"["milk"]"#));
    assert_eq!(notes.header("vary"), Some("Authorization"));
    assert_eq!(
        notes.header("x-session-token"),
        None,
        "nothing new to learn"
    );
}

#[test]
fn a_wrong_password_or_no_token_is_refused() {
    let api = start();
    let wrong = r#"{"name":"ada","password":"wrong"}"#;
    let refused = by_bearer(&api, ("POST", "/login"), "", wrong);
    assert_eq!(
        refused.short(),
        (403, r#"{"error":"wrong name or password"}"#)
    );
    assert_eq!(refused.header("x-session-token"), None);
    let unknown = r#"{"error":"please sign in"}"#;
    for token in ["", "x"] {
        let refused = by_bearer(&api, ("POST", "/notes"), token, r#""milk""#);
        assert_eq!(refused.short(), (401, unknown));
    }
    // A cookie is no way in.
    let token = login(&api);
    for name in ["sid", "__Host-sid"] {
        let value = format!("{name}={token}");
        let refused = send(&api, ("GET", "/notes"), ("Cookie", &value), "");
        assert_eq!(refused.short(), (401, unknown));
    }
}

#[test]
fn a_logout_ends_the_token() {
    let api = start();
    let token = login(&api);
    let ended = by_bearer(&api, ("POST", "/logout"), &token, "");
    assert_eq!(ended.status, 204);
    let removed = ended.header("x-session-token");
    assert_eq!(removed.map(str::trim), Some(""), "{}", ended.head);
    assert_eq!(by_bearer(&api, ("GET", "/notes"), &token, "").status, 401);
    assert_eq!(by_device(&api, &format!("7;{token}"), "20").status, 401);
}

#[test]
fn h5_a_function_finds_the_same_session_in_another_header() {
    let api = start();
    let token = login(&api);
    let device = format!("7;{token}");
    assert_eq!(
        by_device(&api, &device, "20").short(),
        (200, r#"{"mean":20.0}"#)
    );
    assert_eq!(
        by_device(&api, &device, "21").short(),
        (200, r#"{"mean":20.5}"#)
    );
    let unknown = (401, r#"{"error":"an unknown device"}"#);
    for value in ["", "7", "7;", "7;x", &token] {
        assert_eq!(by_device(&api, value, "20").short(), unknown, "{value}");
    }
    // Each way opens its own routes only.
    let bearer = by_bearer(&api, ("POST", "/reading"), &token, "20");
    assert_eq!(bearer.short(), unknown);
    let notes = send(&api, ("GET", "/notes"), ("X-Device", &device), "");
    assert_eq!(notes.status, 401);
}
