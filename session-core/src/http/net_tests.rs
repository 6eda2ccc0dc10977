//! Networks and prefixes as tables, and bit by bit.

use super::*;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}

#[test]
fn networks_are_parsed_or_refused_with_a_reason() {
    use IpNetError as E;
    let block = |text| E::HostBits { block: net(text) };
    let table = [
        ("10.0.0.0/8", Ok("10.0.0.0/8")),
        ("192.0.2.1", Ok("192.0.2.1/32")),
        ("192.0.2.1/32", Ok("192.0.2.1/32")),
        ("0.0.0.0/0", Ok("0.0.0.0/0")),
        ("::1", Ok("::1/128")),
        ("::/0", Ok("::/0")),
        ("2001:db8::/32", Ok("2001:db8::/32")),
        ("::ffff:10.0.0.0/104", Ok("10.0.0.0/8")),
        ("::ffff:0.0.0.0/96", Ok("0.0.0.0/0")),
        ("::ffff:192.0.2.1", Ok("192.0.2.1/32")),
        ("", Err(E::NotAnAddress)),
        ("/8", Err(E::NotAnAddress)),
        ("10", Err(E::NotAnAddress)),
        ("10.0.0/8", Err(E::NotAnAddress)),
        ("010.0.0.0/8", Err(E::NotAnAddress)),
        (" 10.0.0.0/8", Err(E::NotAnAddress)),
        ("localhost", Err(E::NotAnAddress)),
        ("[::1]", Err(E::NotAnAddress)),
        ("10.0.0.0/", Err(E::NotAPrefix)),
        ("10.0.0.0/+8", Err(E::NotAPrefix)),
        ("10.0.0.0/8/8", Err(E::NotAPrefix)),
        ("10.0.0.0/255.0.0.0", Err(E::NotAPrefix)),
        ("10.0.0.0/33", Err(E::PrefixTooLong { max: 32 })),
        ("10.0.0.0/999", Err(E::PrefixTooLong { max: 32 })),
        ("::/129", Err(E::PrefixTooLong { max: 128 })),
        ("10.0.0.1/8", Err(block("10.0.0.0/8"))),
        ("0.0.0.1/0", Err(block("0.0.0.0/0"))),
        ("2001:db8::1/127", Err(block("2001:db8::/127"))),
        ("::ffff:10.0.0.0/8", Err(block("::/8"))),
    ];
    for (text, expected) in table {
        let parsed = text.parse::<IpNet>().map(|net| net.to_string());
        assert_eq!(parsed, expected.map(str::to_owned), "{text:?}");
    }
}

#[test]
fn messages_say_what_to_write() {
    let block = net("10.0.0.0/8");
    let table = [
        (IpNetError::NotAnAddress, "10.0.0.0/8"),
        (IpNetError::NotAPrefix, "/8"),
        (IpNetError::PrefixTooLong { max: 32 }, "at most 32"),
        (IpNetError::HostBits { block }, "10.0.0.0/8"),
    ];
    for (error, part) in table {
        let text = error.to_string();
        assert!(text.contains(part) && !text.ends_with('.'), "{text}");
    }
}

#[test]
fn a_network_contains_its_own_family_up_to_its_ends() {
    let table = [
        ("10.0.0.0/8", "10.0.0.0", true),
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "9.255.255.255", false),
        ("10.0.0.0/8", "::10.0.0.1", false),
        ("192.0.2.6/31", "192.0.2.7", true),
        ("192.0.2.6/31", "192.0.2.8", false),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "192.0.2.1", false),
        ("::/0", "::ffff:192.0.2.1", false),
        (
            "2001:db8::/32",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            true,
        ),
        ("2001:db8::/32", "2001:db9::", false),
        ("::1", "::1", true),
        ("::1", "::2", false),
    ];
    for (text, address, expected) in table {
        assert_eq!(
            net(text).contains(ip(address)),
            expected,
            "{text} {address}"
        );
    }
}

#[test]
fn a_prefix_is_at_most_the_address() {
    let too_long = |max| Err(IpNetError::PrefixTooLong { max });
    assert_eq!(IpPrefix::new(33, 0), too_long(32));
    assert_eq!(IpPrefix::new(0, 129), too_long(128));
    let whole = IpPrefix::default();
    assert_eq!(IpPrefix::new(32, 128), Ok(whole));
    assert!(whole.same(ip("192.0.2.1"), ip("::ffff:192.0.2.1")));
    assert!(!whole.same(ip("192.0.2.1"), ip("192.0.2.0")));
    assert!(!whole.same(ip("2001:db8::1"), ip("2001:db8::")));
    let any = IpPrefix::new(0, 0).expect("lengths in range");
    assert!(any.same(ip("192.0.2.1"), ip("198.51.100.1")));
    assert!(!any.same(ip("192.0.2.1"), ip("::1")), "families differ");
}

proptest! {
    #[test]
    fn a_prefix_compares_bit_by_bit(
        a: u128, flipped in 0_u32..128, v4 in 0_u8..=32, v6 in 0_u8..=128,
    ) {
        let prefix = IpPrefix::new(v4, v6).expect("lengths in range");
        let v6_of = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
        let (one, other) = (v6_of(a | 1 << 127), v6_of((a | 1 << 127) ^ (1 << 127 >> flipped)));
        prop_assert_eq!(prefix.same(one, other), flipped >= u32::from(v6));
        let (a, flipped) = (a as u32, flipped % 32);
        let v4_of = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
        let (one, other) = (v4_of(a), v4_of(a ^ (1 << 31 >> flipped)));
        prop_assert_eq!(prefix.same(one, other), flipped >= u32::from(v4));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[0-9a-f:./+]{0,24}") {
        if let Ok(net) = text.parse::<IpNet>() {
            prop_assert_eq!(net.to_string().parse(), Ok(net));
        }
    }
}
