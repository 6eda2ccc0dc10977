//! The rules a cookie's attributes must meet, each with the error that says what to change.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::attributes::{CookieAttributes, Lifetime, SameSite};

/// Why [`CookiePolicy::new`](super::CookiePolicy::new) refused the attributes; its text says what to
/// change.
///
/// # Example
///
/// ```
/// use session_core::http::{CookieAttributes, CookiePolicy};
///
/// let admin = CookieAttributes { path: "/admin".into(), ..Default::default() };
/// let error = CookiePolicy::new(admin).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a `__Host-` cookie must have the path `/`: set it, or choose another name",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// The name is empty.
    NameEmpty,
    /// The name has a character that no RFC 9110 token has.
    NameNotToken,
    /// A `__Host-` (or `__Host-Http-`) name without `Secure`.
    HostPrefixWithoutSecure,
    /// A `__Host-` (or `__Host-Http-`) name with a domain.
    HostPrefixWithDomain,
    /// A `__Host-` (or `__Host-Http-`) name with another path than `/`.
    HostPrefixWithPath,
    /// A `__Secure-` name without `Secure`.
    SecurePrefixWithoutSecure,
    /// A `__Http-` name without `Secure`.
    HttpPrefixWithoutSecure,
    /// A `__Http-` or `__Host-Http-` name without `HttpOnly`.
    HttpPrefixWithoutHttpOnly,
    /// `SameSite=None` without `Secure`.
    SameSiteNoneWithoutSecure,
    /// `Partitioned` without `Secure`.
    PartitionedWithoutSecure,
    /// The path does not start with `/`.
    PathNotAbsolute,
    /// The path has a control character, a space, a `;` or something outside of ASCII.
    PathCharacter,
    /// The path is longer than 1,024 bytes.
    PathTooLong,
    /// The domain is an IP address.
    DomainIsAddress,
    /// The domain is not a host name.
    DomainNotHostName,
    /// The domain is one bare label, such as `com`.
    DomainIsOneLabel,
    /// A persistent lifetime under 1 s.
    LifetimeTooShort,
    /// A persistent lifetime over 400 days.
    LifetimeTooLong,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameEmpty => "the cookie name is empty: give it one, such as `__Host-sid`",
            Self::NameNotToken => {
                "the cookie name may only hold ASCII letters, digits and !#$%&'*+-.^_`|~: remove \
                 the rest"
            }
            Self::HostPrefixWithoutSecure => {
                "a `__Host-` cookie must be secure: set secure, or choose another name"
            }
            Self::HostPrefixWithDomain => {
                "a `__Host-` cookie must have no domain: remove it, or choose another name"
            }
            Self::HostPrefixWithPath => {
                "a `__Host-` cookie must have the path `/`: set it, or choose another name"
            }
            Self::SecurePrefixWithoutSecure => {
                "a `__Secure-` cookie must be secure: set secure, or choose another name"
            }
            Self::HttpPrefixWithoutSecure => {
                "a `__Http-` cookie must be secure: set secure, or choose another name"
            }
            Self::HttpPrefixWithoutHttpOnly => {
                "a `__Http-` or `__Host-Http-` cookie must be http-only: set http_only, or choose \
                 another name"
            }
            Self::SameSiteNoneWithoutSecure => {
                "a cookie for requests from all sites must be secure: set secure, or choose lax \
                 or strict"
            }
            Self::PartitionedWithoutSecure => {
                "a partitioned cookie must be secure: set secure, or turn partitioned off"
            }
            Self::PathNotAbsolute => "the cookie path must start with `/`: add it",
            Self::PathCharacter => {
                "the cookie path may only hold visible ASCII without `;`: percent-encode the rest"
            }
            Self::PathTooLong => "the cookie path is longer than 1024 bytes: shorten it",
            Self::DomainIsAddress => {
                "the cookie domain is an address, which has no subdomains: leave the domain out"
            }
            Self::DomainNotHostName => {
                "the cookie domain is not a host name: use labels of ASCII letters, digits and \
                 inner hyphens, of 63 bytes at most and 253 together (punycode for others)"
            }
            Self::DomainIsOneLabel => {
                "the cookie domain has no dot, and no browser takes a cookie for all of it: name \
                 your own domain under it, or leave it out"
            }
            Self::LifetimeTooShort => {
                "the cookie lifetime is under one second: lengthen it, or use a browser session"
            }
            Self::LifetimeTooLong => {
                "the cookie lifetime is over 400 days, the most browsers keep: shorten it"
            }
        })
    }
}

impl std::error::Error for PolicyError {}

/// Checks every rule, and brings the domain into its one form.
pub(super) fn check(attributes: &mut CookieAttributes) -> Result<(), PolicyError> {
    check_name(&attributes.name)?;
    check_path(&attributes.path)?;
    if let Some(domain) = &mut attributes.domain {
        *domain = checked_domain(domain)?;
    }
    check_prefix(attributes)?;
    if attributes.same_site == SameSite::None && !attributes.secure {
        return Err(PolicyError::SameSiteNoneWithoutSecure);
    }
    if attributes.partitioned && !attributes.secure {
        return Err(PolicyError::PartitionedWithoutSecure);
    }
    match attributes.lifetime {
        Lifetime::Persistent(d) if d < Duration::from_secs(1) => Err(PolicyError::LifetimeTooShort),
        Lifetime::Persistent(d) if d > Lifetime::MAX => Err(PolicyError::LifetimeTooLong),
        Lifetime::Persistent(_) | Lifetime::BrowserSession => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), PolicyError> {
    if name.is_empty() {
        return Err(PolicyError::NameEmpty);
    }
    if !name.bytes().all(is_token_octet) {
        return Err(PolicyError::NameNotToken);
    }
    Ok(())
}

/// Browsers compare these prefixes in any case, because servers exist that read names so
/// (RFC 6265bis sections 4.1.3 and 5.4).
fn check_prefix(attributes: &CookieAttributes) -> Result<(), PolicyError> {
    let has = |prefix: &str| {
        let start = attributes.name.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if has("__Host-") {
        if !attributes.secure {
            return Err(PolicyError::HostPrefixWithoutSecure);
        }
        if attributes.domain.is_some() {
            return Err(PolicyError::HostPrefixWithDomain);
        }
        if attributes.path != "/" {
            return Err(PolicyError::HostPrefixWithPath);
        }
    }
    if has("__Secure-") && !attributes.secure {
        return Err(PolicyError::SecurePrefixWithoutSecure);
    }
    if has("__Http-") && !attributes.secure {
        return Err(PolicyError::HttpPrefixWithoutSecure);
    }
    if (has("__Http-") || has("__Host-Http-")) && !attributes.http_only {
        return Err(PolicyError::HttpPrefixWithoutHttpOnly);
    }
    Ok(())
}

/// A space is legal in the syntax, but no URL has one, so the cookie would never come back.
fn check_path(path: &str) -> Result<(), PolicyError> {
    if !path.starts_with('/') {
        return Err(PolicyError::PathNotAbsolute);
    }
    if !path.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
        return Err(PolicyError::PathCharacter);
    }
    if path.len() > ATTRIBUTE_BYTES_MAX {
        return Err(PolicyError::PathTooLong);
    }
    Ok(())
}

fn checked_domain(domain: &str) -> Result<String, PolicyError> {
    let host = domain.strip_prefix('.').unwrap_or(domain);
    let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
    if unbracketed.parse::<IpAddr>().is_ok() {
        return Err(PolicyError::DomainIsAddress);
    }
    if host.len() > HOST_BYTES_MAX || !host.split('.').all(is_label) {
        return Err(PolicyError::DomainNotHostName);
    }
    let host = host.to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or(&host);
    if is_number(last) {
        return Err(PolicyError::DomainIsAddress);
    }
    if last.len() == host.len() && host != "localhost" {
        return Err(PolicyError::DomainIsOneLabel);
    }
    Ok(host)
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Browsers read any host whose last label is a number as an IPv4 address, `127.1` and `0x7f.1`
/// too (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token_octet(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// RFC 6265bis section 4.1.1.
pub(super) fn is_cookie_octet(b: u8) -> bool {
    b.is_ascii_graphic() && !b"\",;\\".contains(&b)
}

/// RFC 6265bis section 5.6: browsers ignore an attribute with a longer value.
const ATTRIBUTE_BYTES_MAX: usize = 1024;

/// RFC 1035 section 2.3.4, in its written form.
const HOST_BYTES_MAX: usize = 253;

/// RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;
