//! Fields of forms, queries and paths, read the same under every framework.

use std::borrow::Cow;

/// The first field called `name` of a form's body or a URL's query
/// (`application/x-www-form-urlencoded`).
pub fn field<'a>(encoded: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    form_urlencoded::parse(encoded)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// The last segment of a path as it was sent, percent-decoded; `None` where that is no UTF-8.
///
/// Frameworks disagree on which escapes of a path they decode, so neither is asked.
pub fn last_segment(path: &str) -> Option<Cow<'_, str>> {
    let (_, segment) = path.rsplit_once('/')?;
    percent_encoding::percent_decode_str(segment)
        .decode_utf8()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_the_first_of_a_name_counts() {
        let form = b"user=ada+%26+co&user=eve&empty=&%6Bey=v";
        assert_eq!(field(form, "user").as_deref(), Some("ada & co"));
        assert_eq!(field(form, "empty").as_deref(), Some(""));
        assert_eq!(field(form, "key").as_deref(), Some("v"));
        assert_eq!(field(form, "none"), None);
    }

    #[test]
    fn a_segment_is_decoded_once() {
        let table = [
            ("/values/a", Some("a")),
            ("/values/a%2Fb+%C3%A9", Some("a/b+é")),
            ("/values/a%252Fb", Some("a%2Fb")),
            ("/values/%FF", None),
        ];
        for (path, segment) in table {
            assert_eq!(last_segment(path).as_deref(), segment, "{path}");
        }
    }
}
