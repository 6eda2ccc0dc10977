//! What our cookie says to the browser, checked once when the application starts.

use std::time::Duration;

use super::attributes::{CookieAttributes, Lifetime};
use super::check::{self, PolicyError};
use super::cookie::{Keep, SetCookie};

/// Checked cookie attributes, and the only maker of `Set-Cookie` texts.
///
/// [`CookieAttributes`] is what was asked for, this is what has been checked. Browsers drop a cookie
/// that breaks one of their rules without a word, and the user can then never sign in; so each rule is
/// an error here, and says what to change.
///
/// The defaults are the strictest that work for an ordinary site over HTTPS. What is allowed but
/// weaker is told by [`warnings`](CookiePolicy::warnings).
///
/// It never changes, so that a removal always names the cookie that was set.
///
/// # Example
///
/// ```
/// use session_core::http::{CookieAttributes, CookiePolicy, PolicyError};
/// use std::time::Duration;
///
/// let policy = CookiePolicy::new(CookieAttributes::default())?;
/// assert_eq!(
///     policy.set("token", None),
///     "__Host-sid=token; Path=/; Secure; HttpOnly; SameSite=Lax",
/// );
/// let text = policy.set("token", Some(Duration::from_secs(60)));
/// assert!(text.starts_with("__Host-sid=token; Max-Age=60; "));
///
/// let shared = CookieAttributes { domain: Some("example.com".into()), ..Default::default() };
/// assert_eq!(CookiePolicy::new(shared).unwrap_err(), PolicyError::HostPrefixWithDomain);
/// # Ok::<(), PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePolicy {
    attributes: CookieAttributes,
    /// Everything that follows the lifetime, from `"; "` on.
    tail: String,
}

impl CookiePolicy {
    /// Checks `attributes` against every rule a browser would drop the cookie for.
    ///
    /// A leading dot of the domain is dropped and the domain is kept in lower case.
    ///
    /// # Errors
    ///
    /// The first broken rule, as a [`PolicyError`].
    ///
    /// # Source
    ///
    /// RFC 6265bis sections 4.1.1 (syntax), 4.1.3 (prefixes), 5.5 (lifetime), 5.6 (lengths) and
    /// 5.7 (what is dropped); CHIPS for `Partitioned`.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{CookieAttributes, CookiePolicy};
    ///
    /// let insecure = CookieAttributes { secure: false, ..Default::default() };
    /// assert!(CookiePolicy::new(insecure).is_err(), "a __Host- cookie needs Secure");
    /// ```
    pub fn new(mut attributes: CookieAttributes) -> Result<Self, PolicyError> {
        check::check(&mut attributes)?;
        let tail = tail(&attributes);
        Ok(Self { attributes, tail })
    }

    /// The `Set-Cookie` field value that gives the browser `value`.
    ///
    /// With `max_age`, the cookie lasts that long: rounded up to a whole second, and kept between
    /// 1 s, because 0 would remove it, and [`Lifetime::MAX`]. With `None` it lasts until the
    /// browser closes, whatever the policy's own [`lifetime`](Self::lifetime) is.
    ///
    /// `value` is this crate's own token (RFC 6265bis cookie octets, no quotes); that is asserted
    /// in debug builds only.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{CookieAttributes, CookiePolicy};
    ///
    /// let attributes = CookieAttributes { name: "__Secure-s".into(), ..Default::default() };
    /// let policy = CookiePolicy::new(attributes)?;
    /// let text = "__Secure-s=abc; Path=/; Secure; HttpOnly; SameSite=Lax";
    /// assert_eq!(policy.set("abc", None), text);
    /// # Ok::<(), session_core::http::PolicyError>(())
    /// ```
    #[must_use]
    pub fn set(&self, value: &str, max_age: Option<Duration>) -> String {
        debug_assert!(
            value.bytes().all(check::is_cookie_octet),
            "a token holds only cookie octets"
        );
        self.text(value, max_age.map_or(Keep::BrowserSession, keep_for))
    }

    /// The `Set-Cookie` field value that makes the browser drop the cookie.
    ///
    /// It has the name, domain, path and every attribute of what [`set`](Self::set) sends: with
    /// another path or domain it would be another cookie, and without `Secure` a browser would
    /// refuse to let it replace ours.
    ///
    /// # Source
    ///
    /// RFC 6265bis section 5.7 (a cookie is known by name, domain and path).
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{CookieAttributes, CookiePolicy};
    ///
    /// let removal = CookiePolicy::new(CookieAttributes::default())?.removal();
    /// assert!(removal.starts_with("__Host-sid=; Max-Age=0; Expires=Thu, 01 Jan 1970"));
    /// # Ok::<(), session_core::http::PolicyError>(())
    /// ```
    #[must_use]
    pub fn removal(&self) -> String {
        self.text("", Keep::Remove)
    }

    /// The cookie's name, as it must appear in a `Cookie` header.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{CookieAttributes, CookiePolicy};
    ///
    /// assert_eq!(CookiePolicy::new(CookieAttributes::default())?.name(), "__Host-sid");
    /// # Ok::<(), session_core::http::PolicyError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.attributes.name
    }

    /// How long the browser is to keep the cookie.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{CookieAttributes, CookiePolicy, Lifetime};
    ///
    /// let policy = CookiePolicy::new(CookieAttributes::default())?;
    /// assert_eq!(policy.lifetime(), Lifetime::BrowserSession);
    /// # Ok::<(), session_core::http::PolicyError>(())
    /// ```
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        self.attributes.lifetime
    }

    /// What is allowed and yet weaker than the defaults, each a sentence to be logged once.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{CookieAttributes, CookiePolicy};
    ///
    /// let policy = CookiePolicy::new(CookieAttributes::default())?;
    /// assert!(policy.warnings().is_empty());
    /// # Ok::<(), session_core::http::PolicyError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        // Not in any case: a browser older than the rule about case does not protect `__host-`.
        if !self.name().starts_with("__Host-") {
            warnings.push(
                "the cookie name does not start with `__Host-`, so a sibling domain can plant \
                 a session of its own here",
            );
        }
        if !self.attributes.secure {
            warnings.push(
                "the cookie is not `Secure`, so it travels over plain HTTP for anyone on the \
                 way to read",
            );
        }
        if !self.attributes.http_only {
            warnings.push(
                "the cookie is not `HttpOnly`, so any script in the page can read and send it \
                 elsewhere",
            );
        }
        warnings
    }

    fn text(&self, value: &str, keep: Keep) -> String {
        let (name, attributes) = (self.name(), self.tail.as_str());
        SetCookie {
            name,
            value,
            keep,
            attributes,
        }
        .write()
    }
}

/// `max_age` in whole seconds, never 0 and never more than browsers keep.
fn keep_for(max_age: Duration) -> Keep {
    let max_age = max_age.min(Lifetime::MAX);
    let whole = max_age.as_secs() + u64::from(max_age.subsec_nanos() > 0);
    Keep::Seconds(u32::try_from(whole.max(1)).expect("400 days of seconds fit in 32 bits"))
}

fn tail(attributes: &CookieAttributes) -> String {
    let mut tail = String::new();
    if let Some(domain) = &attributes.domain {
        tail.push_str("; Domain=");
        tail.push_str(domain);
    }
    tail.push_str("; Path=");
    tail.push_str(&attributes.path);
    if attributes.secure {
        tail.push_str("; Secure");
    }
    if attributes.http_only {
        tail.push_str("; HttpOnly");
    }
    tail.push_str("; SameSite=");
    tail.push_str(attributes.same_site.as_str());
    if attributes.partitioned {
        tail.push_str("; Partitioned");
    }
    tail
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
