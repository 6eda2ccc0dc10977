use std::net::IpAddr;

use super::*;
use crate::config::SessionConfig;
use crate::http::Exchange;
use crate::log_tests::Log;
use crate::manager::SessionManager;
use crate::memory::MemoryStore;

struct Head(Vec<(&'static str, String)>);

impl RequestHead for Head {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        for (_, value) in self.0.iter().filter(|(field, _)| *field == name) {
            visit(value.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

fn head(lines: &[(&'static str, &str)]) -> Head {
    let owned = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
    Head(lines.iter().map(owned).collect())
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const FOREIGN_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");

/// A first look in one word.
fn look(guard: &CsrfGuard, method: &str, path: &str, lines: &[(&'static str, &str)]) -> String {
    match guard.check(method, path, &head(lines), None) {
        Check::Pass => "pass".to_owned(),
        Check::Refuse(reply) => {
            assert!(reply.no_store);
            assert_eq!(reply.content_type, "text/plain; charset=utf-8");
            let kind = match reply.status {
                413 => ErrorKind::TooLarge,
                _ => ErrorKind::Csrf,
            };
            assert_eq!(reply.kind, kind);
            reply.status.to_string()
        }
        Check::Token(TokenCheck { given, .. }) => match given {
            Given::InHeader(token) => format!("header {token}"),
            Given::InForm => "form".to_owned(),
        },
    }
}

fn session() -> Session {
    let config = SessionConfig::builder().build().unwrap();
    let manager = SessionManager::new(MemoryStore::new(), config);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let exchange = Exchange::begin(&manager, "POST");
    runtime.block_on(exchange.session(&head(&[]))).unwrap()
}

#[test]
fn x2_a_socket_of_another_site_is_refused_and_one_of_this_needs_no_token() {
    let guard = CsrfGuard::builder()
        .exempt(|_, path| path == "/open")
        .build()
        .unwrap();
    let upgrade = ("upgrade", "websocket");
    let own_site = ("sec-fetch-site", "same-origin");
    for (method, path, lines, seen) in [
        // Over HTTP/1.1, and over HTTP/2.
        ("GET", "/", &[upgrade, FOREIGN_SITE][..], "403"),
        ("GET", "/", &[upgrade, own_site], "pass"),
        ("CONNECT", "/", &[FOREIGN_SITE], "403"),
        ("CONNECT", "/", &[own_site], "pass"),
        ("GET", "/open", &[upgrade, FOREIGN_SITE], "pass"),
        ("GET", "/", &[("upgrade", "h2c"), FOREIGN_SITE], "pass"),
        ("POST", "/", &[upgrade, own_site], "403"),
    ] {
        assert_eq!(
            look(&guard, method, path, lines),
            seen,
            "{method} {lines:?}"
        );
    }
}

#[test]
fn x2_methods_that_change_nothing_and_exempt_requests_pass_unseen() {
    let guard = CsrfGuard::builder()
        .exempt(|_, path| path.starts_with("/hooks/"))
        .exempt(|method, path| (method, path) == ("PUT", "/dav"))
        .build()
        .unwrap();
    let table = [
        ("GET", "/", "pass"),
        ("HEAD", "/", "pass"),
        ("OPTIONS", "/", "pass"),
        ("TRACE", "/", "pass"),
        ("POST", "/hooks/paid", "pass"),
        ("PUT", "/dav", "pass"),
        ("POST", "/dav", "403"),
        ("POST", "/hooks", "403"),
        ("POST", "/", "403"),
        ("PUT", "/", "403"),
        ("PATCH", "/", "403"),
        ("DELETE", "/", "403"),
        ("get", "/", "403"),
        ("PURGE", "/", "403"),
    ];
    for (method, path, seen) in table {
        assert_eq!(
            look(&guard, method, path, &[FOREIGN_SITE]),
            seen,
            "{method} {path}"
        );
    }
}

#[test]
fn x3_where_the_token_is_looked_for() {
    let guard = CsrfGuard::default();
    let header = ("x-csrf-token", "t");
    let length = |text: &'static str| ("content-length", text);
    #[rustfmt::skip]
    let table: [(&[(&'static str, &str)], &str); 18] = [
        (&[], "403"),
        (&[header], "header t"),
        (&[header, FORM], "header t"),
        (&[header, header, FORM], "403"),
        (&[("x-csrf-token", ""), FORM], "header "),
        (&[FORM], "form"),
        (&[FORM, FORM], "403"),
        (&[("content-type", " Application/X-WWW-Form-urlencoded ;charset=utf-8")], "form"),
        (&[("content-type", "application/x-www-form-urlencoded2")], "403"),
        (&[("content-type", "application/json")], "403"),
        (&[("content-type", "multipart/form-data; boundary=x")], "403"),
        (&[("content-type", "application/json"), header], "header t"),
        (&[FORM, length("2097152")], "form"),
        (&[FORM, length("2097153")], "413"),
        (&[FORM, length("99999999999999999999999999")], "413"),
        (&[FORM, length("many")], "form"),
        // What is not searched may be of any length.
        (&[FORM, length("2097153"), header], "header t"),
        (&[FORM, header, FOREIGN_SITE], "403"),
    ];
    for (lines, seen) in table {
        assert_eq!(look(&guard, "POST", "/", lines), seen, "{lines:?}");
    }
    let guard = CsrfGuard::builder().headers_only(true).build().unwrap();
    assert_eq!(look(&guard, "POST", "/", &[]), "pass");
    assert_eq!(look(&guard, "POST", "/", &[FOREIGN_SITE]), "403");
    let guard = CsrfGuard::builder().token_header("X-My-Token");
    let guard = guard.body_bytes_max(3).build().unwrap();
    assert_eq!(
        look(&guard, "POST", "/", &[("x-my-token", "t")]),
        "header t"
    );
    assert_eq!(look(&guard, "POST", "/", &[header]), "403");
    assert_eq!(look(&guard, "POST", "/", &[FORM, length("4")]), "413");
}

#[test]
fn x3_a_body_is_held_up_to_its_limit() {
    let session = session();
    let token = session.csrf_token().unwrap();
    let form = format!("a=1&csrf_token={token}");
    for (limit, fits) in [(form.len(), true), (form.len() - 1, false)] {
        let guard = CsrfGuard::builder().body_bytes_max(limit).build().unwrap();
        for cut in 1..form.len() {
            let Check::Token(check) = guard.check("POST", "/", &head(&[FORM]), None) else {
                panic!("a form is looked into");
            };
            let mut check = check.against(&session).unwrap().expect("it is in the form");
            let (first, second) = form.as_bytes().split_at(cut);
            check.push(first).unwrap();
            let pushed = check
                .push(second)
                .map_err(|reply| (reply.status, reply.kind));
            assert_eq!(pushed.err(), (!fits).then_some((413, ErrorKind::TooLarge)));
            if fits {
                assert_eq!(check.finish().unwrap(), b"a=1");
            }
        }
    }
}

#[test]
fn x3_no_body_is_read_for_a_session_without_a_token() {
    let Check::Token(check) = CsrfGuard::default().check("POST", "/", &head(&[FORM]), None) else {
        panic!("a form is looked into");
    };
    assert_eq!(check.against(&session()).unwrap_err().status, 403);
}

#[test]
fn options_that_make_no_guard_are_refused() {
    let builder = CsrfGuard::builder;
    let table = [
        (
            builder().trusted_origins(["https://a", "*"]),
            "\"*\" cannot be trusted",
        ),
        (
            builder().token_header(""),
            "\"\" cannot be the CSRF token's header",
        ),
        (builder().token_header("x csrf"), "\"x csrf\" cannot be"),
        (builder().token_header("Cookie"), "\"cookie\" cannot be"),
        (
            builder().token_field(""),
            "the CSRF token's field has no name",
        ),
        (
            builder().body_bytes_max(0),
            "no form fits into body_bytes_max",
        ),
    ];
    for (builder, message) in table {
        let error = builder.build().expect_err(message);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with(message), "{error}");
    }
    let shown = format!(
        "{:?}",
        builder()
            .trusted_origins(["https://A:443"])
            .build()
            .unwrap()
    );
    assert!(shown.contains("[\"https://a\"]"), "{shown}");
}

#[test]
fn i1_a_refusal_is_logged_and_shows_no_token() {
    let session = session();
    let own = session.csrf_token().unwrap();
    let foreign = self::session().csrf_token().unwrap();
    let log = Log::default();
    let lines = Arc::clone(&log.0);
    tracing::subscriber::with_default(log, || {
        let guard = CsrfGuard::default();
        look(&guard, "POST", "/", &[FOREIGN_SITE]);
        let check =
            |lines: &[(&'static str, &str)]| match guard.check("PUT", "/", &head(lines), None) {
                Check::Token(check) => check,
                other => panic!("{other:?}"),
            };
        let in_header = check(&[("x-csrf-token", &foreign)]);
        assert!(!format!("{in_header:?}").contains(&foreign));
        assert_eq!(in_header.against(&session).unwrap_err().status, 403);
        let in_form = |body: &str| {
            let mut form = check(&[FORM]).against(&session).unwrap().unwrap();
            form.push(body.as_bytes()).unwrap();
            assert!(!format!("{form:?}").contains(&foreign));
            form
        };
        let body = format!("a=1&csrf_token={foreign}");
        assert_eq!(in_form(&body).finish().unwrap_err().status, 403);
        let twice = format!("csrf_token={own}&csrf_token={own}");
        assert_eq!(in_form(&twice).finish().unwrap_err().status, 403);
        assert_eq!(in_form(&body).broken().status, 400);
        assert!(check(&[("x-csrf-token", &own)]).against(&session).is_ok());
    });
    let lines = lines.lock().unwrap();
    let refusals = lines
        .iter()
        .filter(|line| line.contains("a request was refused"));
    assert_eq!(refusals.count(), 5, "{lines:?}");
    for line in &*lines {
        assert!(!line.contains(&foreign) && !line.contains(&own), "{line}");
    }
    assert!(lines[0].contains("method=\"POST\" status=403"), "{lines:?}");
    assert!(lines[0].contains("another site"), "{lines:?}");
}

#[test]
fn x2_a_foreign_request_is_logged_with_what_was_compared() {
    let log = Log::default();
    let lines = Arc::clone(&log.0);
    tracing::subscriber::with_default(log, || {
        let guard = CsrfGuard::default();
        let own_form = [("origin", "https://shop.example"), ("host", "10.0.0.7:80")];
        assert_eq!(look(&guard, "POST", "/", &own_form), "403");
        let long = "é".repeat(10_000);
        let hostile = [("origin", "a\n\u{1b}[2J"), ("host", &long)];
        assert_eq!(look(&guard, "POST", "/", &hostile), "403");
    });
    let lines = lines.lock().unwrap();
    let compared = "site=\"\" origin=\"https://shop.example\" host=\"10.0.0.7:80\"";
    assert!(lines[0].contains(compared), "{lines:?}");
    assert!(lines[1].contains(r#"origin="a\n\u{1b}[2J""#), "{lines:?}");
    assert!(lines[1].len() < 600, "{}", lines[1].len());
}
