//! Taking one field out of a form, of which everything else stays as it came.

use std::ops::Range;

/// How often a field came, and what it held.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Never,
    Once(String),
    Several,
}

/// Takes the field called `name` out of `form` (`application/x-www-form-urlencoded`), if it comes
/// once.
///
/// # Source
///
/// WHATWG URL, "application/x-www-form-urlencoded parsing".
pub(super) fn take_field(form: &mut Vec<u8>, name: &str) -> Taken {
    let mut found: Option<Range<usize>> = None;
    let mut at = 0;
    for pair in form.split(|byte| *byte == b'&') {
        let range = at..at + pair.len();
        at = range.end + 1;
        if decoded(key_and_value(pair).0) != name.as_bytes() {
            continue;
        }
        if found.is_some() {
            return Taken::Several;
        }
        found = Some(range);
    }
    let Some(range) = found else {
        return Taken::Never;
    };
    let value = decoded(key_and_value(&form[range.clone()]).1);
    // With the separator that follows it, or else the one before it.
    let with_separator = if range.end < form.len() {
        range.start..range.end + 1
    } else {
        range.start.saturating_sub(1)..range.end
    };
    form.drain(with_separator);
    Taken::Once(String::from_utf8_lossy(&value).into_owned())
}

fn key_and_value(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// What is no escape stays as it is.
fn decoded(encoded: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => match after {
                [high, low, tail @ ..] => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => {
                        rest = tail;
                        high * 16 + low
                    }
                    _ => b'%',
                },
                _ => b'%',
            },
            other => other,
        });
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x3_one_field_is_taken_and_the_others_stay_as_they_came() {
        let once = |value: &str| Taken::Once(value.to_owned());
        let table = [
            ("t=x", once("x"), ""),
            ("t=x&a=1", once("x"), "a=1"),
            ("a=1&t=x", once("x"), "a=1"),
            ("a=1&t=x&b=2&a=3", once("x"), "a=1&b=2&a=3"),
            ("b=%C3%A9+%zz&t=x&&c", once("x"), "b=%C3%A9+%zz&&c"),
            ("&t=x", once("x"), ""),
            ("t=x&", once("x"), ""),
            ("&&t=x&&", once("x"), "&&&"),
            ("%74=x%2By+z%", once("x+y z%"), ""),
            ("%74=%C3%A9%FF%4", once("é\u{fffd}%4"), ""),
            ("t", once(""), ""),
            ("t=&a", once(""), "a"),
            ("t==x", once("=x"), ""),
            ("", Taken::Never, ""),
            ("a=t", Taken::Never, "a=t"),
            (
                "T=x&+t=x&t+=x&%2574=x",
                Taken::Never,
                "T=x&+t=x&t+=x&%2574=x",
            ),
            ("t=x&t=x", Taken::Several, "t=x&t=x"),
            ("t=x&a=1&%74", Taken::Several, "t=x&a=1&%74"),
        ];
        for (form, taken, rest) in table {
            let mut body = form.as_bytes().to_vec();
            assert_eq!(take_field(&mut body, "t"), taken, "{form}");
            assert_eq!(std::str::from_utf8(&body).unwrap(), rest, "{form}");
        }
    }

    #[test]
    fn x3_bytes_that_are_no_text_stay_as_they_came() {
        let mut body = b"a=\xff\xfe&t=x&b=\x80".to_vec();
        assert_eq!(take_field(&mut body, "t"), Taken::Once("x".to_owned()));
        assert_eq!(body, b"a=\xff\xfe&b=\x80");
    }
}
