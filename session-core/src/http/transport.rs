//! How a token travels: in a cookie, in a header, or as the application says (rule H5).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::check::is_token_octet;
use super::cookie;
use super::policy::CookiePolicy;
use crate::error::{Error, ErrorKind};

/// The parts of a request that a session looks at; an adapter implements it in a few lines.
pub trait RequestHead {
    /// Hands `visit` the value of each header line called `name` (lower case), in order.
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8]));

    /// The address of the connection's other end, if it is known.
    fn peer(&self) -> Option<IpAddr>;

    /// The authority that the request's target names: HTTP/2 sends it in place of `Host`.
    fn authority(&self) -> Option<&str> {
        None
    }

    /// The request's path and query as they were received, as `/page?key=value` and percent-encoded;
    /// empty where they are not known. For a [`TokenTransport`] of the application's own.
    fn target(&self) -> &str {
        ""
    }
}

/// How tokens travel between client and server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Transport {
    /// In the session cookie.
    #[default]
    Cookie,
    /// In a header of this name, both ways; a removal is an empty value.
    Header(String),
    /// `Authorization: Bearer` from the client, a header of this name to it (RFC 6750 section
    /// 2.1).
    Bearer(String),
    /// As the application says.
    Custom(Arc<dyn TokenTransport>),
}

/// A transport of the application's own.
///
/// A token in an address is written to logs, kept in histories and passed on to other sites as the
/// referrer. Where a client can send nothing else (an `EventSource`, a calendar that subscribes),
/// keep its sessions short, and ask for little under them:
///
/// ```
/// use session_core::http::{RequestHead, TokenTransport};
/// use std::time::Duration;
///
/// /// `?ticket=TOKEN`; a token has no character that would be percent-encoded.
/// #[derive(Debug)]
/// struct Ticket;
///
/// impl TokenTransport for Ticket {
///     fn read<'a>(&self, head: &'a dyn RequestHead, found: &mut dyn FnMut(&'a [u8])) {
///         let (_, query) = head.target().split_once('?').unwrap_or_default();
///         let values = query.split('&').filter_map(|pair| pair.strip_prefix("ticket="));
///         values.for_each(|token| found(token.as_bytes()));
///     }
///
///     /// The handler hands it out, as `session.expose_token()`.
///     fn write(&self, _token: &str, _life: Option<Duration>) -> Option<(String, String)> {
///         None
///     }
///
///     fn remove(&self) -> Option<(String, String)> {
///         None
///     }
///
///     /// A cache tells addresses apart by itself.
///     fn vary(&self) -> Option<String> {
///         None
///     }
/// }
/// ```
pub trait TokenTransport: fmt::Debug + Send + Sync {
    /// Hands `found` each candidate token of a request, best first.
    fn read<'a>(&self, head: &'a dyn RequestHead, found: &mut dyn FnMut(&'a [u8]));

    /// The header line that gives the client its `token`; `None` if none does, and the client gets
    /// it from a handler, which takes it from
    /// [`Session::expose_token`](crate::Session::expose_token).
    ///
    /// The client is to keep it for `life`, as [`remember`](crate::Session::remember) or the
    /// configuration says; `None`: until it closes, as a browser does.
    ///
    /// A `login`, a `renew` and a timed renewal give the client another token after the handler has
    /// answered, which only a header can bring.
    fn write(&self, token: &str, life: Option<Duration>) -> Option<(String, String)>;

    /// The header line that takes the token away.
    fn remove(&self) -> Option<(String, String)>;

    /// The request headers that decide which session a request gets, for `Vary`.
    fn vary(&self) -> Option<String>;
}

impl Transport {
    pub(crate) fn is_cookie(&self) -> bool {
        matches!(self, Self::Cookie)
    }

    pub(crate) fn checked(&self) -> Result<Self, Error> {
        let checked = |name: &String| {
            let reserved = [
                "cookie",
                "set-cookie",
                "vary",
                "cache-control",
                "content-length",
            ];
            let lower = name.to_ascii_lowercase();
            if lower.is_empty() || !lower.bytes().all(is_token_octet) || reserved.contains(&&*lower)
            {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "{name:?} cannot be the session's header: choose a name like x-session-id"
                    ),
                ));
            }
            Ok(lower)
        };
        Ok(match self {
            Self::Header(name) => Self::Header(checked(name)?),
            Self::Bearer(name) => Self::Bearer(checked(name)?),
            other => other.clone(),
        })
    }

    /// Hands `found` every candidate token of the request, in order.
    pub(crate) fn read<'a>(
        &self,
        policy: &'a CookiePolicy,
        head: &'a dyn RequestHead,
        found: &mut dyn FnMut(&'a [u8]),
    ) {
        match self {
            Self::Cookie => head.each_header("cookie", &mut |line| {
                cookie::values(line, policy.name().as_bytes()).for_each(&mut *found);
            }),
            Self::Header(name) => head.each_header(name, &mut |line| found(line)),
            Self::Bearer(_) => head.each_header("authorization", &mut |line| {
                let (scheme, token) = line.split_at_checked(7).unwrap_or_default();
                if scheme.eq_ignore_ascii_case(b"bearer ") {
                    // More than one space may stand there (RFC 9110 section 11.4).
                    found(token.trim_ascii_start());
                }
            }),
            Self::Custom(custom) => custom.read(head, found),
        }
    }

    /// The header line that gives the client its token, to be kept for `life`.
    pub(crate) fn write(
        &self,
        policy: &CookiePolicy,
        token: &str,
        life: Option<Duration>,
    ) -> Option<(String, String)> {
        match self {
            Self::Cookie => Some(("set-cookie".to_owned(), policy.set(token, life))),
            Self::Header(name) | Self::Bearer(name) => Some((name.clone(), token.to_owned())),
            Self::Custom(custom) => custom.write(token, life),
        }
    }

    /// Whether a response can bring the client a token at all.
    pub(crate) fn brings_tokens(&self) -> bool {
        match self {
            Self::Cookie | Self::Header(_) | Self::Bearer(_) => true,
            Self::Custom(custom) => custom.write("a-token", None).is_some(),
        }
    }

    /// The challenge of a 401, where clients answer one (RFC 6750 section 3).
    pub(crate) fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Bearer(_) => Some("Bearer error=\"invalid_token\""),
            Self::Cookie | Self::Header(_) | Self::Custom(_) => None,
        }
    }

    /// The header line that takes the token away.
    pub(crate) fn remove(&self, policy: &CookiePolicy) -> Option<(String, String)> {
        match self {
            Self::Cookie => Some(("set-cookie".to_owned(), policy.removal())),
            Self::Header(name) | Self::Bearer(name) => Some((name.clone(), String::new())),
            Self::Custom(custom) => custom.remove(),
        }
    }

    /// The request header that `Vary` must name.
    pub(crate) fn vary(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Cookie => Some("Cookie".into()),
            Self::Header(name) => Some(name.as_str().into()),
            Self::Bearer(_) => Some("Authorization".into()),
            Self::Custom(custom) => custom.vary().map(Into::into),
        }
    }
}
