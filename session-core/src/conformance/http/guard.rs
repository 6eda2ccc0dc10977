//! X2 and X3: requests of other sites are refused before their handler.

use super::HttpHarness;
use super::browser::Browser;
use super::events::Told;
use super::message::Response;
use super::probe::Guarded;
use super::script::Step;
use super::world::{NONE, World, get, insert};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use crate::event::{EventKind, Rejection};
use crate::http::CsrfGuard;

const FORM: &str = "application/x-www-form-urlencoded";
const FOREIGN: &str = "the request was refused: it comes from another site";
const WRONG: &str = "the request was refused: its CSRF token is missing or wrong";

/// A visitor with these header lines, whose session has a token; nothing counted yet.
async fn visitor(world: &World<'_>, headers: &[(&str, &str)]) -> (Browser, String) {
    let mut visitor = world.visitor().await;
    let response = visitor.post([Step::CsrfToken]).await;
    let token = response.outcome(0).as_str().expect("a token").to_owned();
    world.spy.reset();
    (with(&visitor, headers), token)
}

fn with(browser: &Browser, headers: &[(&str, &str)]) -> Browser {
    let mut browser = browser.clone();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    browser.headers = headers.iter().map(owned).collect();
    browser
}

/// Every byte of a refusal but `Vary`.
#[track_caller]
fn assert_refused(response: &Response, status: u16, body: &str) {
    assert_eq!((response.status, &*response.body), (status, body), "{response:?}");
    let text = "text/plain; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(text));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.set_cookie(), None);
    assert_eq!(response.header("retry-after"), None);
}

fn script(steps: &[Step]) -> String {
    serde_json::to_string(steps).expect("steps are JSON")
}

pub(super) async fn x2_a_request_from_another_site_is_403_and_looks_at_nothing(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let (visitor, token) = visitor(&world, &[]).await;
    let token = ("x-csrf-token", token.as_str());
    let host = ("host", "shop.example");
    let table: [(&[(&str, &str)], bool); 8] = [
        (&[("sec-fetch-site", "cross-site"), token], false),
        (&[("sec-fetch-site", "same-site"), token], false),
        (&[host, ("origin", "https://evil.example"), token], false),
        (&[host, ("origin", "null"), token], false),
        (&[host, ("x-forwarded-host", "a"), ("origin", "https://a"), token], false),
        (&[host, ("origin", "https://Shop.example:443"), token], true),
        (&[("sec-fetch-site", "same-origin"), token], true),
        (&[token], true),
    ];
    for (headers, passes) in table {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let mut browser = with(&visitor, headers);
            let response = browser.send(method, "/guarded", "").await;
            if passes {
                assert_eq!(response.status, 200, "{headers:?}");
                world.assert_loads(1);
            } else {
                assert_refused(&response, 403, FOREIGN);
                assert_eq!(response.header("vary"), None, "no session was looked at");
                world.assert_calls(NONE);
            }
            assert_eq!(world.probe.take_guarded().is_some(), passes, "{headers:?}");
        }
    }
}

pub(super) async fn x2_a_request_that_changes_nothing_passes(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (mut browser, _) = visitor(&world, &[("sec-fetch-site", "cross-site")]).await;
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        let response = browser.send(method, "/guarded", "").await;
        assert_eq!(response.status, 200, "{method}");
        assert!(world.probe.take_guarded().is_some(), "{method}");
    }
}

pub(super) async fn x2_a_socket_is_opened_by_the_applications_own_pages_alone(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let (visitor, _) = visitor(&world, &[]).await;
    let host = ("host", "shop.example");
    for (protocols, opens) in [("websocket", true), ("h2c, WebSocket", true), ("h2c", false)] {
        let upgrade = ("upgrade", protocols);
        let mut own = with(&visitor, &[host, upgrade, ("origin", "https://shop.example")]);
        assert_eq!(own.send("GET", "/guarded", "").await.status, 200);
        assert!(world.probe.take_guarded().is_some(), "{protocols}");
        let mut page = with(&visitor, &[host, upgrade, ("origin", "https://evil.example")]);
        let response = page.send("GET", "/guarded", "").await;
        match opens {
            true => assert_refused(&response, 403, FOREIGN),
            false => assert_eq!(response.status, 200, "{protocols}"),
        }
        assert_eq!(world.probe.take_guarded().is_some(), !opens, "{protocols}");
        // It is no way around the token.
        let mut post = with(&visitor, &[upgrade]);
        assert_refused(&post.send("POST", "/guarded", "").await, 403, WRONG);
    }
}

pub(super) async fn x2_x3_a_refusal_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (visitor, token) = visitor(&world, &[]).await;
    let id = visitor.id().await;
    told.take();
    world.spy.reset();
    let mut foreign = with(&visitor, &[("sec-fetch-site", "cross-site"), ("x-csrf-token", &*token)]);
    foreign.send("POST", "/guarded", "").await;
    assert_eq!(told.names(), ["rejected csrf_origin"]);
    world.assert_calls(NONE);
    with(&visitor, &[]).send("POST", "/guarded", "").await;
    assert_eq!(told.names(), ["rejected csrf_token"]);
    with(&visitor, &[("x-csrf-token", "wrong")]).send("POST", "/guarded", "").await;
    let events = told.take();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].kind, EventKind::Rejected(Rejection::CsrfToken));
    assert_eq!(events[0].session, Some(id));
    with(&visitor, &[("x-csrf-token", &*token)]).send("POST", "/guarded", "").await;
    assert!(told.take().is_empty(), "what passes is not told");
}

pub(super) async fn x2_a_trusted_origin_still_needs_the_token(harness: &dyn HttpHarness) {
    let guard = CsrfGuard::builder().trusted_origins(["https://app.example"]);
    let world = World::guarded(harness, guard).await;
    let site = ("sec-fetch-site", "cross-site");
    let (visitor, token) = visitor(&world, &[]).await;
    let token = ("x-csrf-token", token.as_str());
    let trusted = ("origin", "https://app.example");
    let response = with(&visitor, &[site, trusted, token]);
    let response = { response }.send("POST", "/guarded", "").await;
    assert_eq!(response.status, 200);
    let mut tokenless = with(&visitor, &[site, trusted]);
    assert_refused(&tokenless.send("POST", "/guarded", "").await, 403, WRONG);
    let mut another = with(&visitor, &[site, ("origin", "http://app.example"), token]);
    assert_refused(&another.send("POST", "/guarded", "").await, 403, FOREIGN);
}

pub(super) async fn x3_a_token_in_the_header_passes_any_body_on(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (mut visitor, token) = visitor(&world, &[]).await;
    let token = ("x-csrf-token", token.as_str());
    let steps = script(&[get("seen"), insert("a", 1)]);
    let form = "a=1&csrf_token=of%20the%20application&b=%zz";
    for (kind, body) in [
        ("application/json", &*steps),
        ("multipart/form-data; boundary=x", "--x--"),
        (FORM, form),
        ("text/plain", ""),
    ] {
        let mut browser = with(&visitor, &[("content-type", kind), token]);
        let response = browser.send("POST", "/guarded", body).await;
        assert_eq!(response.status, 200, "{kind}");
        let seen = world.probe.take_guarded().expect("the handler ran");
        assert_eq!(seen.body, body.as_bytes(), "{kind}");
        visitor.jar = browser.jar;
    }
    let response = visitor.get([get("seen"), get("a")]).await;
    assert_eq!(response.body, "[1,1]", "in one session");
}

pub(super) async fn x3_a_token_in_a_form_is_taken_out_of_it(harness: &dyn HttpHarness) {
    let guard = CsrfGuard::builder().token_field("the token");
    let world = World::guarded(harness, guard).await;
    let (visitor, token) = visitor(&world, &[("content-type", FORM)]).await;
    for (before, after, rest) in [
        ("", "", ""),
        ("a=1&", "", "a=1"),
        ("", "&a=1", "a=1"),
        ("z=%C3%A9+%zz&", "&a=&&b=2&a=3", "z=%C3%A9+%zz&a=&&b=2&a=3"),
    ] {
        let form = format!("{before}the+%74oken={token}{after}");
        let length = form.len().to_string();
        let mut browser = visitor.clone();
        let announced = ("content-length".to_owned(), length);
        browser.headers.push(announced);
        let response = browser.send("POST", "/guarded", &form).await;
        assert_eq!((response.status, &*response.body), (200, "[]"));
        let seen = Guarded {
            content_length: Some(rest.len().to_string()),
            body: rest.as_bytes().to_vec(),
        };
        assert_eq!(world.probe.take_guarded(), Some(seen));
        world.assert_loads(1);
    }
}

pub(super) async fn x3_without_the_right_token_it_is_403(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (other, _) = visitor(&world, &[]).await;
    let foreign = { other }.post([Step::CsrfToken]).await.outcome(0);
    let foreign = foreign.as_str().expect("a token");
    let (visitor, token) = visitor(&world, &[]).await;
    let before = world.records().await;
    let in_form = |value: &str| format!("a=1&csrf_token={value}");
    let header = "x-csrf-token";
    #[rustfmt::skip]
    let table: [(&[(&str, &str)], String); 14] = [
        (&[], String::new()),
        (&[(header, foreign)], String::new()),
        (&[(header, "")], String::new()),
        (&[(header, &token[1..])], String::new()),
        (&[(header, &token), (header, &token)], String::new()),
        (&[("content-type", FORM)], String::new()),
        (&[("content-type", FORM)], in_form("")),
        (&[("content-type", FORM)], in_form(foreign)),
        (&[("content-type", FORM)], format!("{}&csrf_token={token}", in_form(&token))),
        (&[("content-type", FORM)], format!("{}&csrf%5Ftoken=x", in_form(&token))),
        (&[("content-type", FORM)], format!("csrf-token={token}")),
        (&[("content-type", "application/json")], format!("{{\"csrf_token\":\"{token}\"}}")),
        (&[("content-type", "multipart/form-data; boundary=x")], in_form(&token)),
        // The header decides where there is one.
        (&[("content-type", FORM), (header, foreign)], in_form(&token)),
    ];
    for (headers, body) in table {
        world.spy.reset();
        let mut browser = with(&visitor, headers);
        let response = browser.send("POST", "/guarded", &body).await;
        assert_refused(&response, 403, WRONG);
        // What shows in the head alone needs no session.
        let vary = response.header("vary");
        assert!([None, Some("Cookie")].contains(&vary), "{headers:?} {vary:?}");
        world.assert_loads(vary.is_some().into());
        assert_eq!(world.probe.take_guarded(), None, "{headers:?} {body}");
    }
    assert_eq!(world.records().await, before);
}

pub(super) async fn x3_who_has_no_session_is_403_and_gets_none(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let stranger = world.stranger();
    let seedless = world.visitor().await;
    let before = world.records().await;
    let token = "A".repeat(86);
    for (browser, loads) in [(&stranger, 0), (&seedless, 1)] {
        for (headers, body) in [
            (("x-csrf-token", token.as_str()), String::new()),
            (("content-type", FORM), format!("csrf_token={token}")),
        ] {
            let mut browser = with(browser, &[headers]);
            let response = browser.send("POST", "/guarded", &body).await;
            assert_refused(&response, 403, WRONG);
            assert_eq!(response.header("vary"), Some("Cookie"));
            world.assert_loads(loads);
        }
    }
    assert_eq!(world.records().await, before);
}

pub(super) async fn x3_a_refused_request_does_not_extend_life(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (visitor, token) = visitor(&world, &[]).await;
    world.advance(3_600);
    let mut wrong = with(&visitor, &[("x-csrf-token", "wrong")]);
    assert_eq!(wrong.send("POST", "/guarded", "").await.status, 403);
    world.assert_loads(1);
    let mut right = with(&visitor, &[("x-csrf-token", &token)]);
    assert_eq!(right.send("POST", "/guarded", "").await.status, 200);
    world.assert_calls(Counts { loads: 1, touches: 1, ..NONE });
}

pub(super) async fn x3_a_session_that_cannot_be_loaded_is_what_it_always_is(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let (visitor, token) = visitor(&world, &[]).await;
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.always(Operation::Load, down);
    let sorted = |mut response: Response| {
        response.headers.sort();
        response
    };
    let eager = sorted({ visitor.clone() }.post([]).await);
    assert_eq!(eager.status, 503);
    for (headers, body) in [
        (("x-csrf-token", token.as_str()), String::new()),
        (("content-type", FORM), format!("csrf_token={token}")),
    ] {
        let mut browser = with(&visitor, &[headers]);
        let response = browser.send("POST", "/guarded", &body).await;
        assert_eq!(sorted(response), eager);
        assert_eq!(world.probe.take_guarded(), None);
    }
}

pub(super) async fn x3_a_form_that_is_too_long_is_413(harness: &dyn HttpHarness) {
    let world = World::guarded(harness, CsrfGuard::builder().body_bytes_max(120)).await;
    let (visitor, token) = visitor(&world, &[("content-type", FORM)]).await;
    let told = "the request's body is too large";
    for (filler, fits) in [(20, true), (21, false)] {
        // 11 + 86 for the token, 3 for the other field's name.
        let form = format!("csrf_token={token}&a={}", "x".repeat(filler));
        assert_eq!(form.len(), 100 + filler);
        for announced in [false, true] {
            let mut browser = visitor.clone();
            if announced {
                let length = form.len().to_string();
                browser.headers.push(("content-length".into(), length));
            }
            let response = browser.send("POST", "/guarded", &form).await;
            if fits {
                assert_eq!(response.status, 200);
                world.assert_loads(1);
            } else {
                assert_refused(&response, 413, told);
                // A client in process may announce it by itself.
                let counts = world.spy.counts();
                assert!(counts == NONE || !announced, "{counts:?}");
                world.spy.reset();
            }
            assert_eq!(world.probe.take_guarded().is_some(), fits);
        }
    }
    // What is not searched may be longer.
    let header = ("x-csrf-token", token.as_str());
    let mut browser = with(&visitor, &[("content-type", FORM), header]);
    let response = browser.send("POST", "/guarded", &"x".repeat(1_000)).await;
    assert_eq!(response.status, 200);
}

pub(super) async fn x3_a_guard_can_look_at_the_headers_only(harness: &dyn HttpHarness) {
    let world = World::guarded(harness, CsrfGuard::builder().headers_only(true)).await;
    let visitor = world.visitor().await;
    let form = ("content-type", FORM);
    let mut browser = with(&visitor, &[form]);
    let response = browser.send("POST", "/guarded", "csrf_token=1&a=2").await;
    assert_eq!(response.status, 200);
    let seen = world.probe.take_guarded().expect("the handler ran");
    assert_eq!(seen.body, b"csrf_token=1&a=2", "nobody's but the application's");
    let mut browser = with(&visitor, &[form, ("sec-fetch-site", "cross-site")]);
    let response = browser.send("POST", "/guarded", "").await;
    assert_refused(&response, 403, FOREIGN);
    // It needs no sessions.
    let steps = script(&[]);
    let bare = world.stranger().send("POST", "/bare/guarded", &steps).await;
    assert_eq!(bare.status, 500, "the handler's extractor");
    let mut foreign = with(&world.stranger(), &[("sec-fetch-site", "cross-site")]);
    let response = foreign.send("POST", "/bare/guarded", "").await;
    assert_refused(&response, 403, FOREIGN);
}

pub(super) async fn x3_exempt_requests_reach_their_handler(harness: &dyn HttpHarness) {
    for (exempts, status) in [("PUT", 200), ("POST", 403)] {
        let guard = CsrfGuard::builder()
            .exempt(move |method, path| method == exempts && path == "/guarded");
        let world = World::guarded(harness, guard).await;
        let mut browser = with(&world.stranger(), &[("sec-fetch-site", "cross-site")]);
        let response = browser.send("PUT", "/guarded?a=%2F", "a=1").await;
        assert_eq!(response.status, status);
        let seen = world.probe.take_guarded();
        assert_eq!(seen.is_some(), status == 200);
    }
}

pub(super) async fn x3_a_guard_without_a_layer_of_sessions_is_500(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (visitor, token) = visitor(&world, &[]).await;
    let mut browser = with(&visitor, &[("x-csrf-token", &token)]);
    let response = browser.send("POST", "/bare/guarded", "").await;
    assert_eq!((response.status, &*response.body), (500, "internal server error"));
    assert_eq!(world.probe.take_guarded(), None);
    world.assert_calls(NONE);
}
