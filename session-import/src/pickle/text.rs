//! Numbers and strings as pickle spells them in lines of text, and long integers in bytes.

use std::borrow::Cow;

use super::heap::Node;

/// More than this many bytes of an integer are not written out: the conversion to decimal takes
/// time that grows with the square of the length.
const INT_BYTES_MAX: usize = 128;

/// The decimal digits of an integer of [`INT_BYTES_MAX`] bytes.
const INT_DIGITS_MAX: usize = 309;

/// A decimal integer, with Python 2's `L` behind it or not.
pub(crate) fn decimal<'a>(line: &[u8]) -> Option<Node<'a>> {
    let text = std::str::from_utf8(line.strip_suffix(b"L").unwrap_or(line)).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Ok(int) = text.parse() {
        return Some(Node::Int(int));
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > INT_DIGITS_MAX {
        return Some(Node::HugeInt);
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    Some(Node::Digits(format!("{sign}{digits}").into()))
}

/// An integer in two's complement, least significant byte first.
pub(crate) fn binary<'a>(bytes: &[u8]) -> Node<'a> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    if bytes.len() <= 8 {
        let mut eight = [fill; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        return Node::Int(i64::from_le_bytes(eight));
    }
    if bytes.len() > INT_BYTES_MAX {
        return Node::HugeInt;
    }
    // The magnitude in limbs of 32 bits, most significant first.
    let mut limbs: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut four = [fill; 4];
            four[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(four)
        })
        .collect();
    if negative {
        let mut carry = true;
        for limb in &mut limbs {
            (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
        }
        // The magnitude of -2^(32n) needs a bit more than its two's complement has.
        limbs.push(u32::from(carry));
    }
    limbs.reverse();
    let digits = decimal_digits(limbs);
    let signed = format!("{}{digits}", if negative { "-" } else { "" });
    match signed.parse() {
        Ok(int) => Node::Int(int),
        Err(_) => Node::Digits(signed.into()),
    }
}

/// Divides by 10^9 until nothing is left: each remainder is nine digits.
fn decimal_digits(mut limbs: Vec<u32>) -> String {
    const NINE_DIGITS: u64 = 1_000_000_000;
    let mut groups = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0;
        for limb in &mut limbs {
            let value = rest << 32 | u64::from(*limb);
            // The quotient fits: `rest` is less than the divisor.
            *limb = (value / NINE_DIGITS) as u32;
            rest = value % NINE_DIGITS;
        }
        groups.push(rest);
    }
    let mut digits = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        digits.push_str(&format!("{group:09}"));
    }
    digits
}

/// A Python 2 string: text if it is UTF-8. What else it may be, nobody knows.
pub(crate) fn python2_string(bytes: Cow<'_, [u8]>) -> Node<'_> {
    match bytes {
        Cow::Borrowed(bytes) => utf8(bytes),
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Node::Text(Cow::Owned(text)),
            Err(_) => Node::BadText,
        },
    }
}

/// Text in UTF-8; Python also writes halves of surrogate pairs, which are none.
pub(crate) fn utf8(bytes: &[u8]) -> Node<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Node::Text(Cow::Borrowed(text)),
        Err(_) => Node::BadText,
    }
}

/// A string in quotes, as Python 2's `repr` writes it.
pub(crate) fn quoted(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (first, last) = (line.first()?, line.last()?);
    if line.len() < 2 || first != last || !matches!(first, b'\'' | b'"') {
        return None;
    }
    let inner = &line[1..line.len() - 1];
    if !inner.contains(&b'\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        text.push(match bytes.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let high = char::from(*bytes.next()?).to_digit(16)?;
                let low = char::from(*bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            &other @ (b'\\' | b'\'' | b'"') => other,
            _ => return None,
        });
    }
    Some(Cow::Owned(text))
}

/// Text in "raw-unicode-escape": `\uXXXX`, `\UXXXXXXXX`, every other byte its code point.
pub(crate) fn raw_unicode(line: &[u8]) -> Option<Node<'_>> {
    if line.is_ascii() && !line.contains(&b'\\') {
        return Some(utf8(line));
    }
    let mut units = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        rest = after;
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                units.push(u16::from(*byte));
                continue;
            }
        };
        let hex = std::str::from_utf8(after.get(1..=digits)?).ok()?;
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let code = u32::from_str_radix(hex, 16).ok()?;
        match char::from_u32(code) {
            Some(char) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            // Half a pair: Python 2 writes both halves where its characters have 16 bits.
            None => units.push(u16::try_from(code).ok()?),
        }
        rest = &after[1 + digits..];
    }
    Some(match String::from_utf16(&units) {
        Ok(text) => Node::Text(Cow::Owned(text)),
        Err(_) => Node::BadText,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: Node<'_>) -> String {
        match node {
            Node::Int(int) => int.to_string(),
            Node::Digits(digits) => format!("digits {digits}"),
            Node::HugeInt => "huge".to_owned(),
            Node::Text(text) => format!("text {text}"),
            Node::BadText => "bad text".to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn binary_integers_of_any_length_are_read() {
        assert_eq!(shown(binary(&[])), "0");
        assert_eq!(shown(binary(&[0xff])), "-1");
        assert_eq!(shown(binary(&[0xff, 0])), "255");
        assert_eq!(shown(binary(&i64::MIN.to_le_bytes())), i64::MIN.to_string());
        for int in [
            i128::from(u64::MAX),
            i128::MAX,
            i128::MIN,
            i128::MIN + 1,
            -(1 << 64),
            1 << 64,
            -(1 << 63) - 1,
            1_000_000_000_000_000_000_000,
        ] {
            assert_eq!(shown(binary(&int.to_le_bytes())), format!("digits {int}"));
        }
        let mut lowest = [0; 12];
        lowest[11] = 0x80;
        assert_eq!(
            shown(binary(&lowest)),
            format!("digits {}", -(1_i128 << 95))
        );
        // Twelve bytes that need only eight.
        let mut small = [0xff; 12];
        small[0] = 0xfe;
        assert_eq!(shown(binary(&small)), "-2");
        assert_eq!(shown(binary(&[1; INT_BYTES_MAX + 1])), "huge");
        let longest = shown(binary(&[0xff; INT_BYTES_MAX - 1].map(|byte| byte >> 1)));
        assert!(
            longest.len() <= "digits ".len() + INT_DIGITS_MAX,
            "{longest}"
        );
    }

    #[test]
    fn decimal_integers_are_read_and_nothing_else_is() {
        for (line, read) in [
            ("0", "0"),
            ("-7L", "-7"),
            ("0018446744073709551616L", "digits 18446744073709551616"),
            ("-18446744073709551616", "digits -18446744073709551616"),
        ] {
            assert_eq!(decimal(line.as_bytes()).map(shown).as_deref(), Some(read));
        }
        let long = "9".repeat(INT_DIGITS_MAX + 1);
        assert_eq!(decimal(long.as_bytes()).map(shown).as_deref(), Some("huge"));
        for bad in [
            "", "-", "L", "--1", "+1", "0x10", "1 ", "1e3", "1_0", "\u{663}",
        ] {
            assert!(decimal(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn strings_of_python_2_lose_their_quotes_and_escapes() {
        let read = |line: &str| quoted(line.as_bytes()).map(|text| text.into_owned());
        assert_eq!(read("'a'"), Some(b"a".to_vec()));
        assert_eq!(read(r#""it's""#), Some(b"it's".to_vec()));
        assert_eq!(read(r"'\n\\\x41\''"), Some(b"\n\\A'".to_vec()));
        for bad in ["", "'", "a", "'a\"", r"'\'", r"'\x4'", r"'\q'"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn raw_unicode_escapes_and_pairs_of_surrogates_are_joined() {
        let read = |line: &[u8]| raw_unicode(line).map(shown);
        assert_eq!(read(b"abc").as_deref(), Some("text abc"));
        assert_eq!(
            read(b"Zo\xeb \\u20ac").as_deref(),
            Some("text Zo\u{eb} \u{20ac}")
        );
        assert_eq!(read(b"\\U0001f600").as_deref(), Some("text \u{1f600}"));
        assert_eq!(read(b"\\ud83d\\ude00").as_deref(), Some("text \u{1f600}"));
        assert_eq!(read(b"\\ud83d").as_deref(), Some("bad text"));
        for bad in [&b"\\u12"[..], b"\\u+123", b"\\U00110000", b"\\u"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
