//! Which site a request comes from, by the headers that a browser sets and no page can change.

use super::transport::RequestHead;
use crate::error::{Error, ErrorKind};

/// Whether another site's page made the browser send this.
///
/// `Sec-Fetch-Site` is the browser's own word and decides where it is there; older browsers send
/// `Origin`, which is compared with the host that was asked. A client that sends neither is no
/// browser that another site could misuse.
pub(super) fn is_foreign(head: &impl RequestHead, trusted: &[String]) -> bool {
    let origin = Line::of(head, "origin");
    if let Line::One(origin) = origin
        && normal(origin).is_some_and(|origin| trusted.contains(&origin))
    {
        return false;
    }
    match (Line::of(head, "sec-fetch-site"), origin) {
        // A sibling domain (`same-site`) is another's as well.
        (Line::One(site), _) => !matches!(site, b"same-origin" | b"none"),
        (Line::Several, _) | (Line::None, Line::Several) => true,
        (Line::None, Line::None) => false,
        (Line::None, Line::One(origin)) => !is_origin_of(origin, head),
    }
}

/// Whether an `Origin` names the host that was asked. The scheme is not compared, since a proxy
/// may have ended TLS; nor is `X-Forwarded-Host`, which anyone can send.
fn is_origin_of(origin: &[u8], head: &impl RequestHead) -> bool {
    let host = match (head.authority(), Line::of(head, "host")) {
        // RFC 9112 section 3.2.2: the target's own authority counts, whatever `Host` says.
        (Some(authority), _) => authority.as_bytes(),
        (None, Line::One(host)) => host,
        (None, _) => return false,
    };
    let (own, port) = if let Some(own) = origin.strip_prefix(b"https://") {
        (own, b":443".as_slice())
    } else if let Some(own) = origin.strip_prefix(b"http://") {
        (own, b":80".as_slice())
    } else {
        return false;
    };
    // Browsers leave out the default port of either.
    let host = host.strip_suffix(port).unwrap_or(host);
    let own = own.strip_suffix(port).unwrap_or(own);
    !own.is_empty() && own.eq_ignore_ascii_case(host)
}

/// What the client sent in a field, for a log that escapes it.
pub(super) fn shown(head: &impl RequestHead, name: &str) -> String {
    let mut lines = Vec::new();
    head.each_header(name, &mut |line| lines.push(String::from_utf8_lossy(line)));
    let mut text = lines.join(", ");
    text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
    text
}

/// The host that was asked, in the same way.
pub(super) fn shown_host(head: &impl RequestHead) -> String {
    match head.authority() {
        Some(authority) => authority[..authority.floor_char_boundary(SHOWN_BYTES_MAX)].to_owned(),
        None => shown(head, "host"),
    }
}

/// The longest name of a host has 253 bytes.
const SHOWN_BYTES_MAX: usize = 320;

/// The lines of a field of which there should be one.
#[derive(Clone, Copy)]
enum Line<'a> {
    None,
    One(&'a [u8]),
    Several,
}

impl<'a> Line<'a> {
    fn of(head: &'a impl RequestHead, name: &str) -> Self {
        let mut line = Self::None;
        head.each_header(name, &mut |value| {
            line = match line {
                Self::None => Self::One(value),
                _ => Self::Several,
            };
        });
        line
    }
}

/// An origin as browsers spell it, to be trusted.
pub(super) fn checked(origin: &str) -> Result<String, Error> {
    let Some(normal) = normal(origin.as_bytes()) else {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{origin:?} cannot be trusted, for it is no origin: give scheme, host and, where it is \
                 not the default, port, as in https://app.example.com"
            ),
        ));
    };
    Ok(normal)
}

/// `scheme://host[:port]` in lower case and without a default port; `None` for anything else,
/// `null` included.
fn normal(origin: &[u8]) -> Option<String> {
    let origin = std::str::from_utf8(origin).ok()?.to_ascii_lowercase();
    let (scheme, rest) = origin.split_once("://")?;
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let in_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let fits = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(in_scheme)
        && rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && rest.bytes().all(in_rest);
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let rest = rest.strip_suffix(port).unwrap_or(rest);
    fits.then(|| format!("{scheme}://{rest}"))
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
