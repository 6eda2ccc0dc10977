//! The `Cookie` reader against a table, a slow reference, and the `Set-Cookie` writer's texts.

use super::*;
use proptest::prelude::*;

fn found<'h>(header: &'h [u8], name: &'h [u8]) -> Vec<&'h [u8]> {
    values(header, name).collect()
}

#[test]
fn h1_values_are_read_byte_for_byte() {
    let none: &[&[u8]] = &[];
    let table: &[(&[u8], &[&[u8]])] = &[
        (b"", none),
        (b"sid=a", &[b"a"]),
        (b"sid=a; sid=b;sid=c", &[b"a", b"b", b"c"]),
        (b"x=1; sid=a; y=2", &[b"a"]),
        // `;` alone separates, the first `=` alone ends the name.
        (b"sid=a,sid=b", &[b"a,sid=b"]),
        (b"sid=a&sid=b", &[b"a&sid=b"]),
        (b"sid,x=a; sid:y=b", none),
        (b"sid=a=b==", &[b"a=b=="]),
        (b"x=sid=a", none),
        (b"=sid=a", none),
        (b"sid=", &[b""]),
        (b"sid=;sid= \t", &[b"", b""]),
        (b";;; ;sid=a;;", &[b"a"]),
        // A pair without `=` is skipped, also when it looks like our name.
        (b"sid", none),
        (b"sid; sid=a", &[b"a"]),
        (b"x sid=a", none),
        // White space is SP and HTAB.
        (b" \t sid \t = \t a b \t ;x=y", &[b"a b"]),
        (b"\x0bsid=a", none),
        (b"\x0csid=a", none),
        (b"\rsid=a", none),
        (b"\nsid=a", none),
        (b"\x85sid=a", none),
        (b"\xa0sid=a", none),
        (b"\xc2\xa0sid=a", none),
        (b"sid\0=a", none),
        (b"sid=\x0ba\xa0", &[b"\x0ba\xa0"]),
        (b"sid=\x0ca\r\n", &[b"\x0ca\r\n"]),
        // Names are what they are.
        (b"SID=a; Sid=b; s%69d=c; %73id=d; \"sid\"=e", none),
        (b"sids=a; xsid=b; si=c; $sid=d", none),
        // No byte of a neighbour hides ours.
        (b"a=\xff\xfe\x00\x01\"; sid=a", &[b"a"]),
        (b"\x00\x7f\x80; sid=a", &[b"a"]),
        (b"a=\"unclosed; sid=a", &[b"a"]),
        (b"a=b\r\nx: y; sid=a", &[b"a"]),
        (b"a={\"k\":[1]}; sid=a", &[b"a"]),
        // Values are raw: quotes and escapes stay.
        (b"sid=\"a\"", &[b"\"a\""]),
        (b"sid=%61", &[b"%61"]),
        (b"sid=\xff", &[b"\xff"]),
    ];
    for (header, expected) in table {
        assert_eq!(
            found(header, b"sid"),
            *expected,
            "{}",
            header.escape_ascii()
        );
    }
}

#[test]
fn h1_a_name_that_no_cookie_can_have_matches_nothing() {
    for name in [b"a=b".as_slice(), b"a;b", b" a", b"a\t"] {
        let all = found(b"a=b=c; a;b=c; a=d; a\t=e", name);
        assert!(all.is_empty(), "{}: {all:?}", name.escape_ascii());
    }
}

#[test]
fn the_debug_output_shows_no_cookie() {
    let text = format!("{:?}", values(b"sid=s3cret; other=private", b"sid"));
    assert!(
        !text.contains("s3cret") && !text.contains("private"),
        "{text}"
    );
}

#[test]
fn h2_set_cookie_texts() {
    let table = [
        (Keep::BrowserSession, "sid=v; Path=/"),
        (Keep::Seconds(0), "sid=v; Max-Age=0; Path=/"),
        (Keep::Seconds(7), "sid=v; Max-Age=7; Path=/"),
        (Keep::Seconds(3600), "sid=v; Max-Age=3600; Path=/"),
        (Keep::Seconds(u32::MAX), "sid=v; Max-Age=4294967295; Path=/"),
        (
            Keep::Remove,
            "sid=v; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
        ),
    ];
    for (keep, expected) in table {
        let cookie = SetCookie {
            name: "sid",
            value: "v",
            keep,
            attributes: "; Path=/",
        };
        let text = cookie.write();
        assert_eq!(text, expected);
        assert_eq!(text.capacity(), cookie.bytes_max(), "allocated twice");
    }
}

/// The rule said plainly: split, split, trim, compare.
fn reference(header: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let trimmed = |bytes: &[u8]| -> Vec<u8> {
        let mut kept: Vec<u8> = bytes.iter().copied().skip_while(|b| blank(b)).collect();
        while kept.last().is_some_and(blank) {
            kept.pop();
        }
        kept
    };
    let mut out = Vec::new();
    for pair in header.split(|b| *b == b';') {
        let parts: Vec<&[u8]> = pair.splitn(2, |b| *b == b'=').collect();
        if parts.len() == 2 && trimmed(parts[0]) == name {
            out.push(trimmed(parts[1]));
        }
    }
    out
}

proptest! {
    #[test]
    fn h1_any_bytes_read_as_the_reference_reads_them(
        header in proptest::collection::vec(any::<u8>(), 0..300),
        name in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        prop_assert_eq!(found(&header, &name), reference(&header, &name));
    }

    #[test]
    fn h1_likely_bytes_read_as_the_reference_reads_them(
        header in proptest::collection::vec(
            proptest::sample::select(b"ab=; \t\"%\xa0\x0b".as_slice()), 0..60),
        name in proptest::sample::select(vec![b"a".as_slice(), b"ab", b"", b"a=", b"\xa0a"]),
    ) {
        prop_assert_eq!(found(&header, name), reference(&header, name));
    }

    #[test]
    fn h1_no_neighbour_hides_our_cookie(
        before in proptest::collection::vec(any::<u8>(), 0..80),
        after in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let header = [before.as_slice(), b"; __Host-sid=token;", &after].concat();
        prop_assert!(found(&header, b"__Host-sid").contains(&b"token".as_slice()));
    }
}
