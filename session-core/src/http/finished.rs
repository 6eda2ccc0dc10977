//! What a finished exchange does to the response's head.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::reply::Reply;
use crate::config::SessionConfig;
use crate::error::Error;

/// A response's header fields, as an adapter's framework holds them.
pub trait ResponseHead {
    /// Hands `visit` the value of each field called `name` (lower case), in order.
    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8]));

    /// Adds a field; those of the same name stay.
    fn append(&mut self, name: &str, value: Cow<'static, str>);

    /// Removes all fields of this name and adds one.
    fn replace(&mut self, name: &str, value: Cow<'static, str>);
}

/// The outcome of an exchange: perhaps another response, and header fields for whichever goes
/// out.
#[derive(Clone, Default)]
pub struct Finished {
    /// The response to send in place of the handler's.
    pub reply: Option<Reply>,
    vary: Option<Cow<'static, str>>,
    token: Option<(String, String)>,
    sets: bool,
    /// The body may hold the token.
    exposed: bool,
    clear_site_data: bool,
    challenge: Option<&'static str>,
    /// Of the layers inside of this one's.
    inner: Option<Box<Self>>,
}

impl fmt::Debug for Finished {
    /// Shows no token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("reply", &self.reply)
            .field("token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

impl Finished {
    /// Nothing asked for the session.
    pub(crate) fn untouched() -> Self {
        Self::default()
    }

    pub(crate) fn new(config: &SessionConfig) -> Self {
        let vary = config.transport.vary().map(|name| match name {
            Cow::Borrowed("Cookie") => Cow::Borrowed("Cookie"),
            other => Cow::Owned(other.into_owned()),
        });
        Self {
            vary,
            ..Self::default()
        }
    }

    pub(crate) fn reply_with(&mut self, error: &Error) {
        self.reply = Some(error.reply());
    }

    pub(crate) fn set(&mut self, config: &SessionConfig, token: &str, life: Option<Duration>) {
        self.token = config.transport.write(&config.cookie, token, life);
        self.sets = true;
    }

    pub(crate) fn expose(&mut self) {
        self.exposed = true;
    }

    pub(crate) fn remove(&mut self, config: &SessionConfig) {
        self.token = config.transport.remove(&config.cookie);
    }

    /// Names the scheme that a 401 asks for.
    pub(crate) fn challenge(&mut self, config: &SessionConfig) {
        self.challenge = config.transport.challenge();
    }

    pub(crate) fn clear_site_data(&mut self) {
        self.clear_site_data = true;
    }

    /// The same over what an inner layer's response carries: should this answer in its place,
    /// the client still learns of every session that was stored.
    #[must_use]
    #[inline]
    pub fn over(mut self, inner: Option<Self>) -> Self {
        self.inner = inner.map(Box::new);
        self
    }

    /// What the response has to carry for a layer further out, which passes it to
    /// [`over`](Self::over); `None` if the client has nothing to learn.
    #[must_use]
    pub fn carried(self) -> Option<Self> {
        match self.token {
            Some(_) => Some(self),
            None => self.inner.map(|inner| *inner),
        }
    }

    /// Writes the header fields: to the handler's response, or to the one made of
    /// [`reply`](Self::reply).
    pub fn apply(&self, head: &mut dyn ResponseHead) {
        if let (Some(_), Some(inner)) = (&self.reply, &self.inner) {
            inner.apply_again(head);
        }
        self.apply_own(head);
    }

    /// To the response in place of the one that had all of it already.
    fn apply_again(&self, head: &mut dyn ResponseHead) {
        if let Some(inner) = &self.inner {
            inner.apply_again(head);
        }
        self.apply_own(head);
    }

    fn apply_own(&self, head: &mut dyn ResponseHead) {
        if let Some(name) = &self.vary
            && !lists(head, "vary", &[name, "*"])
        {
            head.append("vary", name.clone());
        }
        if let Some(challenge) = self.challenge {
            head.append("www-authenticate", Cow::Borrowed(challenge));
        }
        if let Some((name, value)) = &self.token {
            head.append(name, Cow::Owned(value.clone()));
        }
        // A shared cache must not hand one visitor's session to another (RFC 9111).
        if self.token.is_some() || self.exposed {
            if !lists(head, "cache-control", &["no-store"]) {
                head.replace("cache-control", Cow::Borrowed("no-store"));
            }
            // Where there is one, caches of content networks go by it alone (RFC 9213).
            if has(head, CDN_CACHE_CONTROL) && !lists(head, CDN_CACHE_CONTROL, &["no-store"]) {
                head.replace(CDN_CACHE_CONTROL, Cow::Borrowed("no-store"));
            }
        }
        // The cookie of a session begun since, or of another kind, must not be cleared with the
        // rest.
        if self.clear_site_data {
            let what = if self.sets_any() { STORAGE } else { ALL };
            head.replace("clear-site-data", Cow::Borrowed(what));
        } else if self.sets && lists(head, "clear-site-data", &["\"cookies\""]) {
            head.replace("clear-site-data", Cow::Borrowed(STORAGE));
        }
    }

    fn sets_any(&self) -> bool {
        self.sets || self.inner.as_ref().is_some_and(|inner| inner.sets_any())
    }
}

const STORAGE: &str = "\"storage\"";
const ALL: &str = "\"cookies\", \"storage\"";

const CDN_CACHE_CONTROL: &str = "cdn-cache-control";

fn has(head: &dyn ResponseHead, field: &str) -> bool {
    let mut found = false;
    head.each_header(field, &mut |_| found = true);
    found
}

/// Whether a comma-separated field lists any of `items`, in any case.
fn lists(head: &dyn ResponseHead, field: &str, items: &[&str]) -> bool {
    let mut found = false;
    head.each_header(field, &mut |line| {
        let is = |one: &[u8], item: &&str| one.trim_ascii().eq_ignore_ascii_case(item.as_bytes());
        let mut listed = line.split(|byte| *byte == b',');
        found |= listed.any(|one| items.iter().any(|item| is(one, item)));
    });
    found
}
