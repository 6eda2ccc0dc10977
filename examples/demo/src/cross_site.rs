//! Requests that another site's page made the browser send.
//!
//! The cookie's `SameSite=Lax` keeps most of them without a session already; this refuses them
//! before anything is looked at. `Sec-Fetch-Site` is the browser's own word and decides where it
//! is there; older browsers send `Origin`, which is compared with `Host`. A client that sends
//! neither is no browser that another site could misuse.
//!
//! `/transfer` shows the other way: it asks for the session's token.
//!
//! # Source
//!
//! OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Fetch Metadata headers" and
//! "Verifying Origin With Standard Headers".

/// Whether a request is to be refused. `header` gives the value of a field by its lower-case name.
pub fn refuses<'a>(
    method: &str,
    path: &str,
    header: impl Fn(&'static str) -> Option<&'a [u8]>,
) -> bool {
    if matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE") || path == "/transfer" {
        return false;
    }
    if let Some(site) = header("sec-fetch-site") {
        // A sibling domain (`same-site`) is another's as well.
        return !matches!(site, b"same-origin" | b"none");
    }
    match (header("origin"), header("host")) {
        (None, _) => false,
        (Some(origin), Some(host)) => !is_origin_of(origin, host),
        (Some(_), None) => true,
    }
}

/// Whether an `Origin` names `host`. The scheme is not compared: a proxy may have ended TLS.
fn is_origin_of(origin: &[u8], host: &[u8]) -> bool {
    let (own, port) = if let Some(own) = origin.strip_prefix(b"https://") {
        (own, b":443".as_slice())
    } else if let Some(own) = origin.strip_prefix(b"http://") {
        (own, b":80".as_slice())
    } else {
        return false;
    };
    // Browsers leave out the default port of either.
    let host = host.strip_suffix(port).unwrap_or(host);
    own.strip_suffix(port)
        .unwrap_or(own)
        .eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_from_another_site_is_told_by_its_headers() {
        let (own, other) = ("http://shop.example:8080", "http://evil.example");
        #[rustfmt::skip]
        let table = [
            // method, path, Sec-Fetch-Site, Origin, refused
            ("POST", "/login", None, None, false),
            ("POST", "/login", Some("same-origin"), Some(own), false),
            ("POST", "/login", Some("none"), None, false),
            ("POST", "/login", Some("same-site"), Some(own), true),
            ("POST", "/login", Some("cross-site"), None, true),
            ("POST", "/login", Some("Cross-Site"), None, true),
            ("POST", "/login", None, Some(own), false),
            ("POST", "/login", None, Some("https://SHOP.example:8080"), false),
            ("POST", "/login", None, Some(other), true),
            ("POST", "/login", None, Some("http://shop.example"), true),
            ("POST", "/login", None, Some("null"), true),
            ("POST", "/login", None, Some(""), true),
            ("PUT", "/values/a", None, Some(other), true),
            ("DELETE", "/values/a", Some("cross-site"), None, true),
            ("GET", "/count", Some("cross-site"), Some(other), false),
            ("POST", "/transfer", Some("cross-site"), Some(other), false),
        ];
        for (method, path, site, origin, refused) in table {
            let header = |name| {
                let value = match name {
                    "sec-fetch-site" => site,
                    "origin" => origin,
                    _ => Some("shop.example:8080"),
                };
                value.map(str::as_bytes)
            };
            assert_eq!(
                refuses(method, path, header),
                refused,
                "{method} {path} {site:?} {origin:?}"
            );
        }
    }

    #[test]
    fn the_default_port_may_be_left_out() {
        let table = [
            ("http://a", "a:80", true),
            ("http://a:80", "a", true),
            ("https://a", "a:443", true),
            ("https://a", "a", true),
            ("http://a", "a:443", false),
            ("http://[::1]:80", "[::1]", true),
            ("ftp://a", "a", false),
        ];
        for (origin, host, same) in table {
            assert_eq!(
                is_origin_of(origin.as_bytes(), host.as_bytes()),
                same,
                "{origin} {host}"
            );
        }
    }
}
