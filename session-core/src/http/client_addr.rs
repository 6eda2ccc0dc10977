//! Whose request this is, behind however many proxies (rule A2).

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::check::is_token_octet;
use super::cookie::trim;
use super::net::TrustedProxies;

/// The address of the client that sent a request, behind however many proxies (rule A2).
///
/// - The address is the peer's, unless the peer is a trusted proxy.
/// - Then it is the right-most untrusted entry of `X-Forwarded-For` or `Forwarded`: each proxy
///   appends at the right, and what stands left of an untrusted entry is that client's word.
/// - An entry that is not an address stops the walk; the last address walked over is the answer,
///   or the peer's if there is none.
/// - If every entry is trusted, the left-most is the answer.
/// - If both headers are there and disagree, the answer is the peer's: the proxy writes one of
///   them, and the other came from the client.
///
/// An answer of one's own proxy where a client's was hoped for means that the proxy is set up
/// otherwise than [`TrustedProxies`] says. It is not safe to bind sessions to such an address,
/// but it is never one that a client chose.
///
/// `peer` is the other end of the connection, `None` where it has no address (a Unix socket); then
/// the answer is `None`, since nobody vouches for the headers: but see
/// [`trust_unix_socket`](crate::SessionConfigBuilder::trust_unix_socket). `forwarded_for` and `forwarded` give
/// the field values of all `X-Forwarded-For` and all `Forwarded` lines, in the order they arrived
/// in; they are not read unless the peer is trusted. Any bytes will do. Nothing is allocated, each
/// byte is looked at a few times, and each entry is compared with each trusted block.
///
/// `X-Forwarded-For` entries may carry a port (`192.0.2.1:80`, `[::1]:80`). `Forwarded` is read to
/// the letter, except that white space is let through around `;`: an element with `for` twice or
/// not at all, a bare IPv6 address, a port outside of quotes, `unknown` and `_hidden` are not
/// addresses. No entry, also an empty one, is passed over. An IPv4-mapped IPv6 address is answered
/// as IPv4.
///
/// # Source
///
/// RFC 7239 sections 4 and 6.
///
/// # Example
///
/// ```
/// use session_core::http::{IpNet, TrustedProxies, client_address};
///
/// let nets = ["10.0.0.0/8", "::1"].map(str::parse::<IpNet>);
/// let trusted: TrustedProxies = nets.into_iter().collect::<Result<_, _>>()?;
/// let none = std::iter::empty;
///
/// let claimed = b"6.6.6.6, 192.0.2.7, 10.0.0.2".as_slice();
/// let address = client_address(Some("10.0.0.1".parse()?), &trusted, [claimed].into_iter(), none());
/// assert_eq!(address, Some("192.0.2.7".parse()?));
///
/// let line = br#"for="[2001:db8::7]:4711";proto=https"#.as_slice();
/// let address = client_address(Some("::1".parse()?), &trusted, none(), [line].into_iter());
/// assert_eq!(address, Some("2001:db8::7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn client_address<'a>(
    peer: Option<IpAddr>,
    trusted: &TrustedProxies,
    forwarded_for: impl Iterator<Item = &'a [u8]>,
    forwarded: impl Iterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !trusted.contains(peer) {
        return Some(peer);
    }
    forwarded_address(trusted, forwarded_for, forwarded).or(Some(peer))
}

/// What a trusted peer says of the client's address; `None` if that is nothing, or nothing certain.
pub(super) fn forwarded_address<'a>(
    trusted: &TrustedProxies,
    forwarded_for: impl Iterator<Item = &'a [u8]>,
    forwarded: impl Iterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    let mut by_list = Walk::new(trusted);
    for line in forwarded_for {
        for entry in line.split(|&b| b == b',') {
            by_list.step(listed_address(trim(entry)));
        }
    }
    let mut by_element = Walk::new(trusted);
    for line in forwarded {
        // A quote left open ends with its line: what a client sent on a line of its own cannot
        // swallow what the proxy wrote on the next.
        for element in split_unquoted(line, b',') {
            by_element.step(element_address(element));
        }
    }
    let (a, b) = (by_list.end, by_element.end);
    match (by_list.present, by_element.present) {
        (true, true) if a != b => None,
        (false, true) => b,
        _ => a,
    }
}

/// The walk from the right, done from the left so that nothing needs to be kept: what matters of
/// the entries so far is only where a walk that reached them would end.
struct Walk<'t> {
    trusted: &'t TrustedProxies,
    end: Option<IpAddr>,
    present: bool,
}

impl<'t> Walk<'t> {
    fn new(trusted: &'t TrustedProxies) -> Self {
        Self {
            trusted,
            end: None,
            present: false,
        }
    }

    fn step(&mut self, entry: Option<IpAddr>) {
        self.present = true;
        self.end = match entry.map(|address| address.to_canonical()) {
            // Whoever comes later cannot walk past this one.
            None => None,
            Some(address) if !self.trusted.contains(address) => Some(address),
            // Walked over: the end lies further left, or here if nothing does.
            Some(address) => self.end.or(Some(address)),
        };
    }
}

/// An `X-Forwarded-For` entry: an address, or an address with a port.
fn listed_address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    // A bare IPv6 address first: its last group is not a port.
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    node_address(text, is_port)
}

/// `192.0.2.1`, `192.0.2.1:80`, `[::1]` or `[::1]:80`.
fn node_address(text: &str, is_port: impl Fn(&str) -> bool) -> Option<IpAddr> {
    let (address, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']')?;
            (Ipv6Addr::from_str(address).ok()?.into(), rest)
        }
        None => {
            let (address, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (IpAddr::V4(address.parse().ok()?), rest)
        }
    };
    let legal = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    legal.then_some(address)
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && u16::from_str(text).is_ok()
}

/// RFC 7239 section 6: a port may be hidden where the address is not.
fn is_node_port(text: &str) -> bool {
    let hidden = |name: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !name.is_empty() && name.bytes().all(legal)
    };
    is_port(text) || text.strip_prefix('_').is_some_and(hidden)
}

/// The address in the one `for` of a `Forwarded` element.
///
/// The whole element has to be well-formed. That is what makes an open quote in a client's part
/// harmless: from there on, the quotes a proxy appends open where they should close, and none of
/// them then follows a `=`.
fn element_address(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_unquoted(element, b';').map(trim) {
        if pair.is_empty() {
            continue;
        }
        let at = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        if !is_token(name) {
            return None;
        }
        let node = unquoted(value)?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(node_of(node)).is_some() {
            return None;
        }
    }
    found?
}

fn node_of(node: &[u8]) -> Option<IpAddr> {
    node_address(std::str::from_utf8(node).ok()?, is_node_port)
}

/// A token, or what stands between the quotes of a quoted string; `None` if it is neither.
///
/// Escapes stay as they are: no address needs one, and with a `\` in it none is found.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let [b'"', inner @ .., b'"'] = value else {
        return is_token(value).then_some(value);
    };
    let mut bytes = inner.iter().copied();
    while let Some(b) = bytes.next() {
        let text = if b == b'\\' { bytes.next()? } else { b };
        if !is_text_octet(text) || b == b'"' {
            return None;
        }
    }
    Some(inner)
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_octet)
}

/// RFC 9110 section 5.6.4: what a quoted string may hold, escaped or not.
fn is_text_octet(b: u8) -> bool {
    b == b'\t' || (b >= b' ' && b != 0x7f)
}

/// The parts of `bytes` between those separators that stand outside of quotes.
fn split_unquoted(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    bytes.split(move |&b| {
        if escaped {
            escaped = false;
        } else if quoted && b == b'\\' {
            escaped = true;
        } else if b == b'"' {
            quoted = !quoted;
        } else {
            return b == separator && !quoted;
        }
        false
    })
}

#[cfg(test)]
#[path = "client_addr_tests.rs"]
mod tests;
