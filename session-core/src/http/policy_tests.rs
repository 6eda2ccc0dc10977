//! Every rule of a cookie policy as a table, and the texts it writes.

use super::*;
use crate::http::{PolicyError as E, SameSite};

fn changed(change: impl FnOnce(&mut CookieAttributes)) -> CookieAttributes {
    let mut attributes = CookieAttributes::default();
    change(&mut attributes);
    attributes
}

/// A cookie without a prefix, so that one attribute at a time can be looked at.
fn plain(change: impl FnOnce(&mut CookieAttributes)) -> CookieAttributes {
    changed(|a| {
        a.name = "sid".to_owned();
        change(a);
    })
}

fn error(attributes: CookieAttributes) -> Option<E> {
    CookiePolicy::new(attributes).err()
}

fn policy(attributes: CookieAttributes) -> CookiePolicy {
    CookiePolicy::new(attributes).expect("the attributes are legal")
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_name_is_a_token() {
    let table = [
        ("sid", None),
        ("__Host-sid", None),
        ("a!#$%&'*+-.^_`|~9Z", None),
        ("", Some(E::NameEmpty)),
        ("a b", Some(E::NameNotToken)),
        ("a=b", Some(E::NameNotToken)),
        ("a;b", Some(E::NameNotToken)),
        ("a,b", Some(E::NameNotToken)),
        ("a\"b", Some(E::NameNotToken)),
        ("a\tb", Some(E::NameNotToken)),
        ("a\r\nb", Some(E::NameNotToken)),
        ("a\x7fb", Some(E::NameNotToken)),
        ("säd", Some(E::NameNotToken)),
    ];
    for (name, expected) in table {
        let attributes = changed(|a| a.name = name.to_owned());
        assert_eq!(error(attributes), expected, "{name:?}");
    }
}

#[test]
fn a_prefix_is_held_to_its_rules_in_any_case() {
    let table = [
        ("__Host-", Some(E::HostPrefixWithoutSecure), None),
        ("__Secure-", Some(E::SecurePrefixWithoutSecure), None),
        (
            "__Http-",
            Some(E::HttpPrefixWithoutSecure),
            Some(E::HttpPrefixWithoutHttpOnly),
        ),
        (
            "__Host-Http-",
            Some(E::HostPrefixWithoutSecure),
            Some(E::HttpPrefixWithoutHttpOnly),
        ),
        ("__Host", None, None),
        ("_Host-", None, None),
        ("x__Host-", None, None),
    ];
    for (prefix, without_secure, without_http_only) in table {
        let host = prefix.starts_with("__Host-");
        let lower = prefix.to_ascii_lowercase();
        let upper = prefix.to_ascii_uppercase();
        for spelling in [prefix, &lower, &upper] {
            let with = |change: fn(&mut CookieAttributes)| {
                error(changed(|a| {
                    a.name = format!("{spelling}s");
                    change(a);
                }))
            };
            assert_eq!(with(|_| ()), None, "{spelling}");
            assert_eq!(with(|a| a.secure = false), without_secure, "{spelling}");
            assert_eq!(
                with(|a| a.http_only = false),
                without_http_only,
                "{spelling}"
            );
            assert_eq!(
                with(|a| a.path = "/a".to_owned()),
                host.then_some(E::HostPrefixWithPath),
                "{spelling}"
            );
            assert_eq!(
                with(|a| a.domain = Some("example.com".to_owned())),
                host.then_some(E::HostPrefixWithDomain),
                "{spelling}"
            );
        }
    }
}

#[test]
fn cross_site_and_partitioned_cookies_are_secure() {
    let table = [
        (SameSite::None, false, true, None),
        (SameSite::None, true, true, None),
        (SameSite::Lax, true, true, None),
        (SameSite::Strict, false, false, None),
        (SameSite::Lax, false, false, None),
        (
            SameSite::None,
            false,
            false,
            Some(E::SameSiteNoneWithoutSecure),
        ),
        (
            SameSite::Lax,
            true,
            false,
            Some(E::PartitionedWithoutSecure),
        ),
    ];
    for (same_site, partitioned, secure, expected) in table {
        let attributes = plain(|a| {
            a.same_site = same_site;
            a.partitioned = partitioned;
            a.secure = secure;
        });
        assert_eq!(error(attributes), expected, "{same_site:?} {partitioned}");
    }
}

#[test]
fn a_path_is_absolute_visible_and_not_too_long() {
    let longest = format!("/{}", "a".repeat(1023));
    let longer = format!("{longest}a");
    let table = [
        ("/", None),
        ("/a/b%20c,=", None),
        (longest.as_str(), None),
        (longer.as_str(), Some(E::PathTooLong)),
        ("", Some(E::PathNotAbsolute)),
        ("a/", Some(E::PathNotAbsolute)),
        (" /", Some(E::PathNotAbsolute)),
        ("/;Domain=evil.example", Some(E::PathCharacter)),
        ("/\r\nX: y", Some(E::PathCharacter)),
        ("/\0", Some(E::PathCharacter)),
        ("/\x7f", Some(E::PathCharacter)),
        ("/a b", Some(E::PathCharacter)),
        ("/ä", Some(E::PathCharacter)),
    ];
    for (path, expected) in table {
        let attributes = plain(|a| a.path = path.to_owned());
        assert_eq!(error(attributes), expected, "{path:?}");
    }
}

#[test]
fn a_domain_is_a_host_name_with_a_dot() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    let (longer, long_label) = (format!("{longest}a"), format!("{label}a.com"));
    let table: &[(&str, Result<&str, E>)] = &[
        ("example.com", Ok("example.com")),
        (".example.com", Ok("example.com")),
        ("Shop.EXAMPLE.com", Ok("shop.example.com")),
        ("a-b.x1.co", Ok("a-b.x1.co")),
        ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
        ("1.2.3.4.example", Ok("1.2.3.4.example")),
        ("localhost", Ok("localhost")),
        (&longest, Ok(&longest)),
        (&longer, Err(E::DomainNotHostName)),
        (&long_label, Err(E::DomainNotHostName)),
        ("", Err(E::DomainNotHostName)),
        (".", Err(E::DomainNotHostName)),
        ("..example.com", Err(E::DomainNotHostName)),
        ("example.com.", Err(E::DomainNotHostName)),
        ("a..b", Err(E::DomainNotHostName)),
        ("-a.com", Err(E::DomainNotHostName)),
        ("a-.com", Err(E::DomainNotHostName)),
        ("a_b.com", Err(E::DomainNotHostName)),
        ("a b.com", Err(E::DomainNotHostName)),
        ("example.com:80", Err(E::DomainNotHostName)),
        ("*.example.com", Err(E::DomainNotHostName)),
        ("example.com; Path=/", Err(E::DomainNotHostName)),
        ("bücher.example", Err(E::DomainNotHostName)),
        ("com", Err(E::DomainIsOneLabel)),
        (".intranet", Err(E::DomainIsOneLabel)),
        ("127.0.0.1", Err(E::DomainIsAddress)),
        (".127.0.0.1", Err(E::DomainIsAddress)),
        ("127.1", Err(E::DomainIsAddress)),
        ("0x7f.0X1", Err(E::DomainIsAddress)),
        ("2130706433", Err(E::DomainIsAddress)),
        ("::1", Err(E::DomainIsAddress)),
        ("[::1]", Err(E::DomainIsAddress)),
    ];
    for (domain, expected) in table {
        let result = CookiePolicy::new(plain(|a| a.domain = Some((*domain).to_owned())));
        let kept = result.map(|p| p.attributes.domain.expect("a domain was given"));
        assert_eq!(kept.as_deref().map_err(|e| *e), *expected, "{domain:?}");
    }
}

#[test]
fn a_persistent_lifetime_is_a_second_to_400_days() {
    let day = 24 * 60 * 60;
    let table = [
        (secs(1), None),
        (secs(14 * day), None),
        (secs(400 * day), None),
        (Duration::ZERO, Some(E::LifetimeTooShort)),
        (Duration::from_millis(999), Some(E::LifetimeTooShort)),
        (
            secs(400 * day) + Duration::from_nanos(1),
            Some(E::LifetimeTooLong),
        ),
        (Duration::MAX, Some(E::LifetimeTooLong)),
    ];
    for (lifetime, expected) in table {
        let attributes = changed(|a| a.lifetime = Lifetime::Persistent(lifetime));
        assert_eq!(error(attributes), expected, "{lifetime:?}");
    }
}

#[test]
fn set_and_removal_texts() {
    let full = plain(|a| {
        a.domain = Some(".Example.com".to_owned());
        a.path = "/app".to_owned();
        a.same_site = SameSite::None;
        a.partitioned = true;
    });
    let bare = plain(|a| {
        a.secure = false;
        a.http_only = false;
        a.same_site = SameSite::Strict;
    });
    let table = [
        (
            CookieAttributes::default(),
            "__Host-sid",
            "; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            full,
            "sid",
            "; Domain=example.com; Path=/app; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
        (bare, "sid", "; Path=/; SameSite=Strict"),
    ];
    for (attributes, name, tail) in table {
        let policy = policy(attributes);
        assert_eq!(policy.name(), name);
        assert_eq!(policy.set("a-_.Z", None), format!("{name}=a-_.Z{tail}"));
        assert_eq!(
            policy.set("v", Some(secs(90))),
            format!("{name}=v; Max-Age=90{tail}")
        );
        assert_eq!(
            policy.removal(),
            format!("{name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{tail}")
        );
    }
}

#[test]
fn a_max_age_is_rounded_up_and_never_removes_the_cookie() {
    let table = [
        (Duration::ZERO, 1),
        (Duration::from_nanos(1), 1),
        (Duration::from_millis(999), 1),
        (secs(1), 1),
        (Duration::from_millis(1_001), 2),
        (Lifetime::MAX - Duration::from_nanos(1), 34_560_000),
        (Lifetime::MAX, 34_560_000),
        (Duration::MAX, 34_560_000),
    ];
    let policy = policy(CookieAttributes::default());
    for (max_age, seconds) in table {
        let expected = format!("__Host-sid=v; Max-Age={seconds}; Path=/");
        let text = policy.set("v", Some(max_age));
        assert!(text.starts_with(&expected), "{max_age:?}: {text}");
    }
}

#[test]
#[should_panic(expected = "a token holds only cookie octets")]
#[cfg(debug_assertions)]
fn a_value_that_could_add_an_attribute_is_a_bug() {
    let _ = policy(CookieAttributes::default()).set("v; Domain=com", None);
}

#[test]
fn what_is_weaker_than_the_defaults_is_warned_about() {
    let warned = |attributes| -> Vec<&str> {
        let tell = |text: &&str| text.split('`').nth(1).map(str::to_owned);
        let warnings = policy(attributes).warnings();
        let told: Vec<String> = warnings.iter().filter_map(tell).collect();
        let known = ["__Host-", "Secure", "HttpOnly"];
        assert_eq!(told.len(), warnings.len());
        known
            .into_iter()
            .filter(|k| told.iter().any(|t| t == k))
            .collect()
    };
    let named = |name: &str| changed(|a| a.name = name.to_owned());
    let none: [&str; 0] = [];
    assert_eq!(warned(CookieAttributes::default()), none);
    assert_eq!(warned(named("__Host-Http-sid")), none);
    // A browser that compares prefixes byte for byte does not protect this one.
    assert_eq!(warned(named("__host-sid")), ["__Host-"]);
    assert_eq!(warned(named("__Secure-sid")), ["__Host-"]);
    let open = plain(|a| {
        a.secure = false;
        a.http_only = false;
    });
    assert_eq!(warned(open), ["__Host-", "Secure", "HttpOnly"]);
}

#[test]
fn messages_are_lower_case_without_a_full_stop_and_say_what_to_change() {
    let all = [
        E::NameEmpty,
        E::NameNotToken,
        E::HostPrefixWithoutSecure,
        E::HostPrefixWithDomain,
        E::HostPrefixWithPath,
        E::SecurePrefixWithoutSecure,
        E::HttpPrefixWithoutSecure,
        E::HttpPrefixWithoutHttpOnly,
        E::SameSiteNoneWithoutSecure,
        E::PartitionedWithoutSecure,
        E::PathNotAbsolute,
        E::PathCharacter,
        E::PathTooLong,
        E::DomainIsAddress,
        E::DomainNotHostName,
        E::DomainIsOneLabel,
        E::LifetimeTooShort,
        E::LifetimeTooLong,
    ];
    for error in all {
        let text = error.to_string();
        assert!(text.starts_with(|c: char| c.is_ascii_lowercase()), "{text}");
        assert!(!text.ends_with('.') && !text.contains("  "), "{text}");
        assert!(text.contains(": "), "{text}");
    }
}
