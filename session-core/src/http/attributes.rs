//! The cookie's attributes as they are asked for, before anything is checked.

use std::time::Duration;

/// Which requests from other sites carry the cookie.
///
/// # Default
///
/// [`SameSite::Lax`].
///
/// # Source
///
/// RFC 6265bis section 4.1.2.7.
///
/// # Example
///
/// ```
/// use session_core::http::{CookieAttributes, SameSite};
///
/// let strict = CookieAttributes { same_site: SameSite::Strict, ..Default::default() };
/// assert_eq!(strict.name, "__Host-sid");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// None of them: a user who follows a link to the site arrives signed out.
    Strict,
    /// Only top-level navigations with a safe method, such as a followed link.
    #[default]
    Lax,
    /// All of them; needs `Secure`, and CSRF tokens on everything that changes something.
    None,
}

impl SameSite {
    /// The attribute's value in a `Set-Cookie` field.
    ///
    /// # Example
    ///
    /// ```
    /// assert_eq!(session_core::http::SameSite::Strict.as_str(), "Strict");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// How long the browser keeps the cookie. The session itself ends by
/// [`timeout`](crate::SessionConfigBuilder::timeout), 24 idle hours by default: for visitors who are to
/// stay signed in for a month, both are a month.
///
/// # Default
///
/// [`Lifetime::BrowserSession`].
///
/// # Source
///
/// RFC 6265bis section 4.1.2.2 and, for the limit, section 5.5.
///
/// # Example
///
/// ```
/// use session_core::SessionConfig;
/// use session_core::http::Lifetime;
/// use std::time::Duration;
///
/// let month = Duration::from_secs(30 * 24 * 3600);
/// let config = SessionConfig::builder().timeout(month).lifetime(Lifetime::Persistent(month));
/// # config.build()?;
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lifetime {
    /// Until the browser closes, as far as it keeps to that.
    #[default]
    BrowserSession,
    /// From each `Set-Cookie` on, for so long: at least 1 s, at most [`Lifetime::MAX`].
    Persistent(Duration),
}

impl Lifetime {
    /// 400 days: browsers cut anything longer down to this.
    ///
    /// # Source
    ///
    /// RFC 6265bis section 5.5.
    ///
    /// # Example
    ///
    /// ```
    /// assert_eq!(session_core::http::Lifetime::MAX.as_secs(), 400 * 24 * 60 * 60);
    /// ```
    pub const MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);
}

/// The cookie's attributes as they were asked for; [`CookiePolicy::new`](super::CookiePolicy::new) checks them.
///
/// # Default
///
/// Name `__Host-sid`, `Path=/`, `Secure`, `HttpOnly`, `SameSite=Lax`, no domain, not partitioned,
/// until the browser closes.
///
/// # Example
///
/// ```
/// use session_core::http::CookieAttributes;
///
/// // For a laptop without HTTPS: `Secure`, and so the `__Host-` name, has to go.
/// let local = CookieAttributes { name: "sid".into(), secure: false, ..Default::default() };
/// assert!(local.http_only);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieAttributes {
    /// The cookie's name: an RFC 9110 token. Browsers hold names with a `__Host-`, `__Secure-`,
    /// `__Http-` or `__Host-Http-` prefix, in any case, to that prefix's rules.
    pub name: String,
    /// The host whose subdomains, too, get the cookie; `None` for the exact host alone.
    pub domain: Option<String>,
    /// The path below which the cookie is sent: 1 to 1,024 visible ASCII characters without `;`,
    /// the first of them `/`.
    pub path: String,
    /// Whether the cookie travels over HTTPS only.
    pub secure: bool,
    /// Whether scripts in the page are kept from reading the cookie.
    pub http_only: bool,
    /// Which requests from other sites carry the cookie.
    pub same_site: SameSite,
    /// Whether, embedded in other sites, each of those gets a cookie of its own (CHIPS).
    pub partitioned: bool,
    /// How long the browser keeps the cookie.
    pub lifetime: Lifetime,
}

impl Default for CookieAttributes {
    fn default() -> Self {
        Self {
            name: "__Host-sid".to_owned(),
            domain: None,
            path: "/".to_owned(),
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            lifetime: Lifetime::BrowserSession,
        }
    }
}
