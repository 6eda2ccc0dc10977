//! The form as it runs.

use session_test_program::{Program, Visitor};

fn start() -> (Program, Visitor) {
    let program = Program::start(env!("CARGO_BIN_EXE_csrf-form"), &[]);
    let visitor = program.visitor();
    (program, visitor)
}

/// The text between `before` and the next quote.
fn after(page: &str, before: &str) -> String {
    let (_, rest) = page.split_once(before).expect("the page has a token");
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// The tokens of the page: the form's and the script's.
fn tokens(visitor: &mut Visitor) -> [String; 2] {
    let page = visitor.get("/").body;
    let form = after(&page, r#"name="csrf_token" value=""#);
    [form, after(&page, r#"name="csrf-token" content=""#)]
}

fn change_address(visitor: &mut Visitor, token: &str) -> u16 {
    let form = format!("address=ada%40example.com&csrf_token={token}");
    visitor.post("/address", &form).status
}

fn like(visitor: &mut Visitor, token: &str) -> (u16, String) {
    let reply = visitor.send("POST", "/likes", &[("X-CSRF-Token", token)], "");
    (reply.status, reply.body)
}

const REFUSED: &str = "the request was refused: its CSRF token is missing or wrong";

#[test]
fn x1_the_pages_own_form_and_script_are_accepted() {
    let (_program, mut visitor) = start();
    let [form, script] = tokens(&mut visitor);
    assert_eq!(change_address(&mut visitor, &form), 303);
    assert_eq!(like(&mut visitor, &script), (200, "1\n".to_owned()));
    assert_eq!(like(&mut visitor, &script), (200, "2\n".to_owned()));
    let page = visitor.get("/").body;
    assert!(page.contains("Your address: ada@example.com"), "{page}");
    assert!(page.contains("<output>2</output>"), "{page}");
}

#[test]
fn x1_a_token_reads_differently_on_each_page_and_all_stay_good() {
    let (_program, mut visitor) = start();
    let [first, _] = tokens(&mut visitor);
    let [second, _] = tokens(&mut visitor);
    assert_ne!(first, second);
    assert_eq!(change_address(&mut visitor, &second), 303);
    assert_eq!(change_address(&mut visitor, &first), 303);
}

#[test]
fn x1_without_the_sessions_own_token_nothing_is_changed() {
    let (program, mut visitor) = start();
    let [mut own, _] = tokens(&mut visitor);
    let [of_another, _] = tokens(&mut program.visitor());
    let flipped = if own.pop() == Some('A') { "Q" } else { "A" };
    let damaged = own + flipped;
    for token in ["", "x", &of_another, &damaged] {
        assert_eq!(change_address(&mut visitor, token), 403, "{token}");
        assert_eq!(like(&mut visitor, token), (403, REFUSED.to_owned()));
    }
    let missing = visitor.post("/address", "address=eve%40example.com");
    assert_eq!(missing.short(), (403, REFUSED));
    let missing = visitor.post("/likes", "");
    assert_eq!(missing.short(), (403, REFUSED));

    let page = visitor.get("/").body;
    assert!(page.contains("Your address: none"), "{page}");
    assert!(page.contains("<output>0</output>"), "{page}");
}

#[test]
fn x1_a_token_is_worth_nothing_without_the_cookie() {
    let (program, mut visitor) = start();
    let [token, _] = tokens(&mut visitor);
    assert_eq!(change_address(&mut program.visitor(), &token), 403);
}

#[test]
fn x2_another_sites_page_is_refused_even_with_the_token() {
    let (program, mut visitor) = start();
    let [_, token] = tokens(&mut visitor);
    let own = format!("http://{}", program.address());
    let origins = [
        ("https://evil.example", 403),
        ("null", 403),
        (own.as_str(), 200),
    ];
    for (origin, status) in origins {
        let headers = [("Origin", origin), ("X-CSRF-Token", token.as_str())];
        let reply = visitor.send("POST", "/likes", &headers, "");
        assert_eq!(reply.status, status, "{origin}");
    }
}
