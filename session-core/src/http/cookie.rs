//! Reading the `Cookie` header byte for byte, and writing `Set-Cookie`.

use std::fmt::{self, Write as _};
use std::iter::FusedIterator;

/// The values of every cookie called exactly `name` in one `Cookie` header line, in order.
///
/// The reader sees exactly the bytes that arrived:
///
/// - only `;` separates cookies, and the first `=` of a pair ends its name;
/// - white space is SP and HTAB, nothing else, and is trimmed around names and values;
/// - names are compared byte for byte: case counts and `%` is a character like any other;
/// - a pair without `=` is skipped, and no byte of a neighbour can hide a cookie after it;
/// - values are handed out raw: what this crate sends needs neither quotes nor escapes.
///
/// Each of these has been an attack on a reader that was kinder. A reader that percent-decodes
/// names lets `__%48ost-sid`, which any sibling domain can set, pass for `__Host-sid`; a reader
/// that trims Unicode or C1 white space does the same with a stray byte; a reader that gives up
/// on the first byte it dislikes lets any neighbour sign a user out.
///
/// Several cookies of one name may arrive, and their order says little about who set them: the
/// caller has to look at each.
///
/// `header` is the field value as it arrived, of any length and any bytes; of several lines,
/// read each. A value may be empty. Nothing is allocated and each byte is looked at once or twice.
///
/// `name` is taken as it is: a name with `=`, `;` or white space at its ends matches nothing.
///
/// # Errors
///
/// None: what is not a cookie of that name is skipped.
///
/// # Source
///
/// RFC 6265bis section 4.2.1 for the shape, section 5.6 for `=`, SP and HTAB.
///
/// # Example
///
/// ```
/// use session_core::http::values;
///
/// let header = b"theme=dark; sid=one; SID=two; sid=three";
/// let found: Vec<&[u8]> = values(header, b"sid").collect();
/// assert_eq!(found, [b"one".as_slice(), b"three"]);
///
/// let mut found = values(b"broken; \xff=\x01; sid = a=b ;sid=", b"sid");
/// assert_eq!(found.next(), Some(b"a=b".as_slice()));
/// assert_eq!(found.next(), Some(b"".as_slice()));
/// assert_eq!(found.next(), None);
/// ```
#[must_use]
pub fn values<'h>(header: &'h [u8], name: &'h [u8]) -> Values<'h> {
    Values { rest: header, name }
}

/// The iterator that [`values`] returns.
///
/// Its `Debug` output says how many bytes are left to read and shows none of them: they are
/// other people's cookies as well as ours.
///
/// # Example
///
/// ```
/// let found = session_core::http::values(b"sid=s3cret", b"sid");
/// assert_eq!(format!("{found:?}"), "Values { rest_bytes: 10, .. }");
/// ```
#[derive(Clone)]
pub struct Values<'h> {
    rest: &'h [u8],
    name: &'h [u8],
}

impl<'h> Iterator for Values<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        // One pass: a byte is in a name, or in a value, never searched for both.
        while let Some(at) = self.rest.iter().position(|&b| b == b'=' || b == b';') {
            let (before, after) = (&self.rest[..at], &self.rest[at + 1..]);
            let ends = self.rest[at] == b';';
            self.rest = after;
            if ends {
                continue;
            }
            // Values are long: many of their bytes are looked at together.
            let end = memchr::memchr(b';', after).unwrap_or(after.len());
            self.rest = after.get(end + 1..).unwrap_or_default();
            if trim(before) == self.name {
                return Some(trim(&after[..end]));
            }
        }
        self.rest = &[];
        None
    }
}

impl FusedIterator for Values<'_> {}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values")
            .field("rest_bytes", &self.rest.len())
            .finish_non_exhaustive()
    }
}

/// How long the browser is told to keep a cookie.
#[derive(Clone, Copy)]
pub(crate) enum Keep {
    /// Until the browser closes: neither `Max-Age` nor `Expires`.
    BrowserSession,
    /// For so many seconds.
    Seconds(u32),
    /// Not at all.
    Remove,
}

/// One `Set-Cookie` field value, about to be written.
///
/// The name, the value and the attributes have been checked; `attributes` starts with `"; "` or
/// is empty. There is no `Debug`: the value is a secret.
pub(crate) struct SetCookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) keep: Keep,
    pub(crate) attributes: &'a str,
}

impl SetCookie<'_> {
    /// The most bytes [`Keep::Seconds`] adds: every digit a `u32` can have.
    pub(crate) const MAX_AGE_BYTES: usize = "; Max-Age=4294967295".len();

    /// The field value, in one allocation.
    pub(crate) fn write(&self) -> String {
        let mut text = String::with_capacity(self.bytes_max());
        text.push_str(self.name);
        text.push('=');
        text.push_str(self.value);
        match self.keep {
            Keep::BrowserSession => {}
            Keep::Seconds(seconds) => {
                write!(text, "; Max-Age={seconds}").expect("a String takes every write");
            }
            Keep::Remove => text.push_str(REMOVE),
        }
        text.push_str(self.attributes);
        text
    }

    fn bytes_max(&self) -> usize {
        let lifetime = match self.keep {
            Keep::BrowserSession => 0,
            Keep::Seconds(_) => Self::MAX_AGE_BYTES,
            Keep::Remove => REMOVE.len(),
        };
        self.name.len() + 1 + self.value.len() + lifetime + self.attributes.len()
    }
}

/// Every browser of today heeds `Max-Age`; the date is for clients that know only `Expires`,
/// because a removal that is overlooked leaves the user signed in.
const REMOVE: &str = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

/// Without SP and HTAB at both ends; `trim_ascii` would also take CR, LF and form feed.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
