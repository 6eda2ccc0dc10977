use std::net::IpAddr;

use super::*;

#[derive(Default)]
struct Head {
    lines: Vec<(&'static str, &'static str)>,
    authority: Option<&'static str>,
}

impl RequestHead for Head {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        for (_, value) in self.lines.iter().filter(|(field, _)| *field == name) {
            visit(value.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn authority(&self) -> Option<&str> {
        self.authority
    }
}

fn head(lines: &[(&'static str, &'static str)]) -> Head {
    Head {
        lines: lines.to_vec(),
        authority: None,
    }
}

#[test]
fn x2_a_request_from_another_site_is_told_by_its_headers() {
    let (own, other) = ("http://shop.example:8080", "http://evil.example");
    #[rustfmt::skip]
    let table = [
        // Sec-Fetch-Site, Origin, foreign
        (None, None, false),
        (Some("same-origin"), Some(own), false),
        (Some("none"), None, false),
        // The browser's word counts, whatever a proxy has made of the host.
        (Some("same-origin"), Some(other), false),
        (Some("same-site"), Some(own), true),
        (Some("cross-site"), None, true),
        (Some("Cross-Site"), None, true),
        (Some(""), None, true),
        (Some("same-origin, cross-site"), Some(own), true),
        (None, Some(own), false),
        (None, Some("https://SHOP.example:8080"), false),
        (None, Some(other), true),
        (None, Some("http://shop.example"), true),
        (None, Some("http://shop.example:8080.evil.example"), true),
        (None, Some("http://shop.example:8080/"), true),
        (None, Some("http://a@shop.example:8080"), true),
        (None, Some("null"), true),
        (None, Some(""), true),
    ];
    for (site, origin, foreign) in table {
        let mut lines = vec![("host", "shop.example:8080")];
        lines.extend(site.map(|site| ("sec-fetch-site", site)));
        lines.extend(origin.map(|origin| ("origin", origin)));
        let told = is_foreign(&head(&lines), &[]);
        assert_eq!(told, foreign, "{site:?} {origin:?}");
    }
}

#[test]
fn x2_the_default_port_may_be_left_out() {
    let table = [
        ("http://a", "a:80", true),
        ("http://a:80", "a", true),
        ("https://a", "a:443", true),
        ("https://a", "a", true),
        ("http://a", "a:443", false),
        ("https://a:80", "a", false),
        ("http://[::1]:80", "[::1]", true),
        ("http://[2001:DB8::1]:8080", "[2001:db8::1]:8080", true),
        ("http://[::1]", "[::1]:8080", false),
        ("http://[::80]", "[::80]", true),
        ("ftp://a", "a", false),
        ("http://", "", false),
        ("http://:80", ":80", false),
    ];
    for (origin, host, own) in table {
        let told = is_foreign(&head(&[("origin", origin), ("host", host)]), &[]);
        assert_eq!(told, !own, "{origin} {host}");
    }
}

#[test]
fn x2_only_the_host_that_was_asked_counts() {
    let origin = ("origin", "https://shop.example");
    let forwarded = [
        ("x-forwarded-host", "shop.example"),
        ("forwarded", "host=shop.example"),
        ("x-original-host", "shop.example"),
    ];
    for line in forwarded {
        assert!(is_foreign(&head(&[origin, line]), &[]), "{line:?}");
        let lines = [origin, line, ("host", "proxy.example")];
        assert!(is_foreign(&head(&lines), &[]), "{line:?}");
    }
    // HTTP/2 names it in the target, and may leave out the field.
    let mut sent = head(&[origin]);
    sent.authority = Some("Shop.example:443");
    assert!(!is_foreign(&sent, &[]));
    sent.lines.push(("host", "evil.example"));
    assert!(!is_foreign(&sent, &[]));
    sent.authority = Some("evil.example");
    assert!(is_foreign(&sent, &[]));
}

#[test]
fn x2_what_comes_twice_is_nobodys_word() {
    let host = ("host", "shop.example");
    let own = ("origin", "https://shop.example");
    let same = ("sec-fetch-site", "same-origin");
    assert!(is_foreign(&head(&[host, own, own]), &[]));
    assert!(is_foreign(&head(&[host, host, own]), &[]));
    assert!(is_foreign(&head(&[host, same, same]), &[]));
    assert!(!is_foreign(&head(&[host, same, own, own]), &[]));
}

#[test]
fn x2_a_trusted_origin_is_none_of_another_site() {
    let trusted: Vec<_> = [
        "HTTPS://App.example:443",
        "http://localhost:3000",
        "app-x://A",
    ]
    .into_iter()
    .map(|origin| checked(origin).unwrap())
    .collect();
    assert_eq!(trusted[0], "https://app.example");
    #[rustfmt::skip]
    let table = [
        (Some("same-site"), "https://app.example", true),
        (Some("cross-site"), "https://APP.example:443", true),
        (None, "https://app.example", true),
        (None, "http://localhost:3000", true),
        (Some("cross-site"), "app-x://a", true),
        (Some("cross-site"), "http://app.example", false),
        (Some("cross-site"), "https://app.example:8443", false),
        (Some("cross-site"), "https://app.example.evil.example", false),
        (Some("cross-site"), "https://evil.example", false),
        (None, "http://localhost", false),
        (None, "null", false),
    ];
    for (site, origin, passes) in table {
        let mut lines = vec![("host", "shop.example"), ("origin", origin)];
        lines.extend(site.map(|site| ("sec-fetch-site", site)));
        assert_eq!(
            !is_foreign(&head(&lines), &trusted),
            passes,
            "{site:?} {origin}"
        );
        lines.push(("origin", "https://evil.example"));
        assert!(
            is_foreign(&head(&lines), &trusted),
            "{site:?} {origin}, twice"
        );
    }
}

#[test]
fn x2_what_is_no_origin_cannot_be_trusted() {
    for wrong in [
        "",
        "null",
        "*",
        "app.example",
        "https://",
        "https://*.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?",
        "https://a@app.example",
        "https:app.example",
        "://app.example",
        "1s://app.example",
        "https://:443",
        "https://app.example, https://b.example",
        " https://app.example",
        "https://é.example",
    ] {
        let error = checked(wrong).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
    }
}
