//! Rule A2 as tables, and against a walk that does what the rule says, from the right.

use super::*;
use crate::http::IpNet;
use proptest::prelude::*;

const PEER: &str = "10.0.0.1";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// 10.0.0.0/8 and 2001:db8:ffff::/48.
fn trusted() -> TrustedProxies {
    let nets = ["10.0.0.0/8", "2001:db8:ffff::/48"];
    nets.iter()
        .map(|net| net.parse::<IpNet>().expect("a network"))
        .collect()
}

fn address<T: AsRef<[u8]>>(peer: &str, list: &[T], elements: &[T]) -> IpAddr {
    client_address(
        Some(ip(peer)),
        &trusted(),
        list.iter().map(AsRef::as_ref),
        elements.iter().map(AsRef::as_ref),
    )
    .expect("the peer has an address")
}

#[test]
fn only_a_trusted_peer_is_believed() {
    let table = [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("2001:db8::9", "2001:db8::9"),
        (PEER, "6.6.6.6"),
        ("::ffff:10.0.0.1", "6.6.6.6"),
        ("2001:db8:ffff::1", "6.6.6.6"),
    ];
    for (peer, expected) in table {
        assert_eq!(address(peer, &["6.6.6.6"], &[]), ip(expected), "{peer}");
        assert_eq!(address(peer, &[], &["for=6.6.6.6"]), ip(expected), "{peer}");
    }
    let nobody = TrustedProxies::default();
    let lines = || [b"6.6.6.6".as_slice()].into_iter();
    let none = || std::iter::empty();
    let peer = Some(ip(PEER));
    assert_eq!(client_address(peer, &nobody, lines(), none()), peer);
    assert_eq!(client_address(None, &trusted(), lines(), none()), None);
}

#[test]
fn an_untrusted_peer_costs_no_reading() {
    let unread = || std::iter::from_fn(|| -> Option<&[u8]> { panic!("a line was read") });
    let peer = Some(ip("192.0.2.9"));
    assert_eq!(client_address(peer, &trusted(), unread(), unread()), peer);
}

#[test]
fn the_right_most_untrusted_entry_is_the_client() {
    let table: &[(&[&str], &str)] = &[
        (&[], PEER),
        (&["192.0.2.7"], "192.0.2.7"),
        (&["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        (&["6.6.6.6,\t192.0.2.7 , 10.0.0.2,10.0.0.3"], "192.0.2.7"),
        (&["6.6.6.6", "192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        (&["192.0.2.7, 10.0.0.2", "6.6.6.6"], "6.6.6.6"),
        // Every entry is trusted: the left-most.
        (&["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        (&["10.0.0.9", "10.0.0.8"], "10.0.0.9"),
        // An unparsable entry stops the walk at the last address walked over.
        (&["192.0.2.7, unknown"], PEER),
        (&["192.0.2.7, unknown, 10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        (&["unknown, 192.0.2.7"], "192.0.2.7"),
        (&["192.0.2.7, "], PEER),
        (&["192.0.2.7", ""], PEER),
        (&["192.0.2.7,,10.0.0.2"], "10.0.0.2"),
        (&["192.0.2.7\u{a0}"], PEER),
        (&["192.0.2.7\u{b}"], PEER),
        // Ports, and IPv6 with and without.
        (&["192.0.2.7:80"], "192.0.2.7"),
        (&["192.0.2.7:65535"], "192.0.2.7"),
        (&["2001:db8::7"], "2001:db8::7"),
        (&["[2001:db8::7]"], "2001:db8::7"),
        (&["[2001:db8::7]:80"], "2001:db8::7"),
        (&["2001:db8::7:80"], "2001:db8::7:80"),
        (&["::ffff:192.0.2.7"], "192.0.2.7"),
        (&["[::ffff:192.0.2.7]:80"], "192.0.2.7"),
        (&["192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7"),
        (&["192.0.2.7:"], PEER),
        (&["192.0.2.7:65536"], PEER),
        (&["192.0.2.7:+80"], PEER),
        (&["192.0.2.7:_p"], PEER),
        (&["192.0.2.7:80:80"], PEER),
        (&["192.0.2.07"], PEER),
        (&["192.0.2"], PEER),
        (&["[192.0.2.7]"], PEER),
        (&["[2001:db8::7"], PEER),
        (&["[2001:db8::7]80"], PEER),
        (&["2001:db8::7]"], PEER),
        (&["fe80::1%eth0"], PEER),
        (&["\"192.0.2.7\""], PEER),
        (&["for=192.0.2.7"], PEER),
    ];
    for (lines, expected) in table {
        assert_eq!(address(PEER, lines, &[]), ip(expected), "{lines:?}");
    }
}

#[test]
fn forwarded_elements_are_read_to_the_letter() {
    let table: &[(&[&str], &str)] = &[
        (&["for=192.0.2.7"], "192.0.2.7"),
        (&["For=192.0.2.7;Proto=https;by=203.0.113.43"], "192.0.2.7"),
        (&["proto=https; FOR=192.0.2.7 ;by=_x"], "192.0.2.7"),
        (&["for=\"192.0.2.7\""], "192.0.2.7"),
        (&["for=\"192.0.2.7:4711\""], "192.0.2.7"),
        (&["for=\"192.0.2.7:_port\""], "192.0.2.7"),
        (&["for=\"[2001:db8::7]\""], "2001:db8::7"),
        (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
        (&["for=\"[::ffff:192.0.2.7]\""], "192.0.2.7"),
        (&[";for=192.0.2.7;;"], "192.0.2.7"),
        (&["for=6.6.6.6, for=192.0.2.7"], "192.0.2.7"),
        (&["for=6.6.6.6", "for=192.0.2.7,for=10.0.0.2"], "192.0.2.7"),
        (&["for=10.0.0.9, for=\"10.0.0.8:1\""], "10.0.0.9"),
        (
            &["for=192.0.2.7;host=\"a,for=6.6.6.6;\\\"b\\\\\""],
            "192.0.2.7",
        ),
        (
            &["for=192.0.2.7;host=\"\\\",for=6.6.6.6;x=\\\"\""],
            "192.0.2.7",
        ),
        // Not addresses.
        (&["for=192.0.2.7, for=unknown"], PEER),
        (&["for=192.0.2.7, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (&["for=\"_hidden:80\""], PEER),
        (&["for=192.0.2.7, proto=https"], PEER),
        (&["for=192.0.2.7, "], PEER),
        (&["for=192.0.2.7;for=6.6.6.6"], PEER),
        (&["for=_a;for=6.6.6.6"], PEER),
        (&["for=192.0.2.7:80"], PEER),
        (&["for=2001:db8::7"], PEER),
        (&["for=\"2001:db8::7\""], PEER),
        (&["for=[2001:db8::7]"], PEER),
        (&["for=\"192.0.2.7:_\""], PEER),
        (&["for=\"192.0.2.7:_a!\""], PEER),
        (&["for=\"\\192.0.2.7\""], PEER),
        (&["for =192.0.2.7"], PEER),
        (&["for= 192.0.2.7"], PEER),
        (&["for=\" 192.0.2.7\""], PEER),
        (&["for="], PEER),
        (&["for"], PEER),
        (&["=192.0.2.7"], PEER),
        (&["192.0.2.7"], PEER),
        (&["for=192.0.2.7;x"], PEER),
        (&["for=192.0.2.7;x y=z"], PEER),
        (&["for=192.0.2.7;x=\"a\"b\""], PEER),
        (&["for=192.0.2.7;x=\"\u{7f}\""], PEER),
        (&["for=\""], PEER),
        (&["for=\"192.0.2.7"], PEER),
        (&["for=\"192.0.2.7\\\""], PEER),
        (&["xfor=192.0.2.7"], PEER),
    ];
    for (lines, expected) in table {
        assert_eq!(address(PEER, &[], lines), ip(expected), "{lines:?}");
    }
}

#[test]
fn a_quote_left_open_by_the_client_gains_it_nothing() {
    let table: &[(&[&str], &str)] = &[
        // What the proxy appends after the client's part makes no element of the client's choice.
        (&["for=\"6.6.6.6, for=192.0.2.7"], PEER),
        (&["for=\"6.6.6.6, for=\"[2001:db8::7]:80\""], PEER),
        (&["x=\", for=192.0.2.7;host=\"h, for=6.6.6.6;y=z\""], PEER),
        (
            &["x=\", for=192.0.2.7;host=\"h, for=6.6.6.6;y=\\\"\""],
            PEER,
        ),
        (
            &["x=\", for=192.0.2.7;host=\"h, for=6.6.6.6;y=\\\", \\\"z\""],
            PEER,
        ),
        // On a line of its own it ends with the line.
        (&["for=\"6.6.6.6", "for=192.0.2.7"], "192.0.2.7"),
        (&["for=\"6.6.6.6\\", "for=\"192.0.2.7\""], "192.0.2.7"),
    ];
    for (lines, expected) in table {
        assert_eq!(address(PEER, &[], lines), ip(expected), "{lines:?}");
    }
}

#[test]
fn headers_that_disagree_are_not_believed() {
    let table: &[(&[&str], &[&str], &str)] = &[
        (&["192.0.2.7"], &["for=192.0.2.7"], "192.0.2.7"),
        (
            &["6.6.6.6, 192.0.2.7"],
            &["for=\"192.0.2.7:8\""],
            "192.0.2.7",
        ),
        (&["::ffff:192.0.2.7"], &["for=192.0.2.7"], "192.0.2.7"),
        (&["192.0.2.7"], &["for=6.6.6.6"], PEER),
        (&["6.6.6.6"], &["for=192.0.2.7"], PEER),
        (&["192.0.2.7"], &["for=unknown"], PEER),
        (&["unknown"], &["for=192.0.2.7"], PEER),
        (&["192.0.2.7"], &[""], PEER),
        (&[""], &["for=192.0.2.7"], PEER),
        (&["10.0.0.9"], &["for=10.0.0.8"], PEER),
    ];
    for (list, elements, expected) in table {
        let answer = address(PEER, list, elements);
        assert_eq!(answer, ip(expected), "{list:?} {elements:?}");
    }
}

#[test]
fn a_full_header_is_read_to_its_end() {
    let list = format!("6.6.6.6, 192.0.2.7{}", ", 10.0.0.2".repeat(800));
    assert_eq!(address(PEER, &[list], &[]), ip("192.0.2.7"));
    let elements = format!("for=192.0.2.7{}", ",for=\"10.0.0.2:1\"".repeat(500));
    assert_eq!(address(PEER, &[], &[elements]), ip("192.0.2.7"));
}

/// An entry, how both headers spell it, and what it says.
type Entry = (&'static str, &'static str, Option<&'static str>);

const ENTRIES: [Entry; 10] = [
    ("192.0.2.7", "for=192.0.2.7", Some("192.0.2.7")),
    ("192.0.2.8:80", "for=\"192.0.2.8:80\"", Some("192.0.2.8")),
    (
        "::ffff:192.0.2.9",
        "for=\"[::ffff:192.0.2.9]\"",
        Some("192.0.2.9"),
    ),
    (
        "[2001:db8::7]:1",
        "by=_x;for=\"[2001:db8::7]:1\"",
        Some("2001:db8::7"),
    ),
    ("10.0.0.2", "for=10.0.0.2;host=\"a,b\"", Some("10.0.0.2")),
    ("10.0.0.3", "FOR=10.0.0.3", Some("10.0.0.3")),
    (
        "::ffff:10.0.0.4",
        "for=\"[::ffff:10.0.0.4]\"",
        Some("10.0.0.4"),
    ),
    (
        "2001:db8:ffff::5",
        "for=\"[2001:db8:ffff::5]\"",
        Some("2001:db8:ffff::5"),
    ),
    ("unknown", "for=unknown", None),
    ("", "", None),
];

/// The rule as it is written: collect, reverse, walk.
fn walked(lines: &[Vec<Entry>]) -> IpAddr {
    let mut answer = ip(PEER);
    for (_, _, says) in lines.concat().into_iter().rev() {
        let Some(says) = says else { break };
        answer = ip(says);
        if !trusted().contains(answer) {
            break;
        }
    }
    answer
}

fn header(lines: &[Vec<Entry>], spell: fn(&Entry) -> &'static str) -> Vec<String> {
    let join = |line: &Vec<Entry>| line.iter().map(spell).collect::<Vec<_>>().join(", ");
    lines.iter().map(join).collect()
}

fn lines() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    let entry = proptest::sample::select(ENTRIES.as_slice());
    let line = proptest::collection::vec(entry, 1..5);
    proptest::collection::vec(line, 0..3)
}

proptest! {
    #[test]
    fn every_header_is_walked_as_the_reference_walks_it(list in lines(), elements in lines()) {
        let listed = header(&list, |entry| entry.0);
        let forwarded = header(&elements, |entry| entry.1);
        prop_assert_eq!(address(PEER, &listed, &[]), walked(&list));
        prop_assert_eq!(address(PEER, &[], &forwarded), walked(&elements));

        let (a, b) = (walked(&list), walked(&elements));
        let expected = match (list.is_empty(), elements.is_empty()) {
            (true, _) => b,
            (_, true) => a,
            _ if a == b => a,
            _ => ip(PEER),
        };
        prop_assert_eq!(address(PEER, &listed, &forwarded), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..99), 0..4),
        elements in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..99), 0..4),
    ) {
        address(PEER, &list, &elements);
    }

    #[test]
    fn no_likely_bytes_make_it_panic_or_change_what_the_proxy_wrote(
        client in proptest::collection::vec(
            proptest::sample::select(b"for=,;\"\\[]:1. _".as_slice()), 0..60),
    ) {
        let list = [client.as_slice(), b", 192.0.2.7, 10.0.0.2"].concat();
        prop_assert_eq!(address(PEER, &[list], &[]), ip("192.0.2.7"));
        // With a quote left open it is the peer, and never what the client wrote.
        let element = b", for=\"[2001:db8::7]:80\";host=\"a,for=1.1.1.1;\\\"\"".as_slice();
        let answer = address(PEER, &[], &[[client.as_slice(), element].concat()]);
        prop_assert!(answer == ip("2001:db8::7") || answer == ip(PEER), "{}", answer);
    }
}
