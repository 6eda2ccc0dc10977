use proptest::prelude::*;

use super::*;
use crate::config::SessionConfig;
use crate::http::CookieAttributes;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Every option by name and as it is shown. That none is left out is for the compiler to see: an
/// option that is code is named as `_`, any other is listed.
fn options(builder: &SessionConfigBuilder) -> Vec<(&'static str, String)> {
    macro_rules! listed {
        ($type:ident { $($field:ident $($name:literal)?,)* } $($code:ident: _,)* = $from:expr) => {{
            let $type { $($field,)* $($code: _,)* } = $from;
            vec![$((listed!(@name $field $($name)?), format!("{:?}", $field)),)*]
        }};
        (@name $field:ident $name:literal) => { $name };
        (@name $field:ident) => { stringify!($field) };
    }
    let cookie = listed!(CookieAttributes {
        name "cookie_name",
        domain "cookie_domain",
        path "cookie_path",
        secure,
        http_only,
        same_site,
        partitioned,
        lifetime,
    } = &builder.cookie);
    let others = listed!(SessionConfigBuilder {
        transport,
        timeout,
        absolute_timeout,
        remembered_absolute_timeout,
        touch_interval,
        renew_every,
        grace,
        clock_skew,
        ignore_expiry,
        ignore_change_ip,
        ip_prefix,
        trusted_proxies,
        trust_unix_socket,
        secret_key,
        on_expired,
        expired_message,
        max_size,
        store_timeout,
        on_load_outage,
        on_touch_outage,
        on_corrupt,
        on_gone,
        save_on_server_error,
        clear_site_data,
        creation_cap,
        owner_sessions "owner_sessions_max",
    } cookie: _, initializer: _, clock: _, on_event: _, = builder);
    [cookie, others].concat()
}

/// A value other than the default for each option, and how it is shown once it is set.
const OTHERS: &[(&str, &str, &str)] = &[
    ("cookie_name", "sid", "\"sid\""),
    ("cookie_domain", "example.org", "Some(\"example.org\")"),
    ("cookie_path", "/app", "\"/app\""),
    ("secure", "off", "false"),
    ("http_only", "No", "false"),
    ("same_site", "Strict", "Strict"),
    ("partitioned", "1", "true"),
    ("lifetime", "30d", "Persistent(2592000s)"),
    ("transport", "Header: X-Session", "Header(\"X-Session\")"),
    ("timeout", "30m", "1800s"),
    ("absolute_timeout", "7d", "Some(604800s)"),
    ("remembered_absolute_timeout", "7d", "Some(604800s)"),
    ("touch_interval", "250ms", "Some(250ms)"),
    ("renew_every", "1h", "Some(3600s)"),
    ("grace", "5", "5s"),
    ("clock_skew", "0", "0ns"),
    ("ignore_expiry", "on", "true"),
    ("ignore_change_ip", "FALSE", "false"),
    ("ip_prefix", "24, 56", "IpPrefix { v4: 24, v6: 56 }"),
    (
        "trusted_proxies",
        "10.0.0.0/8, ::1",
        "TrustedProxies([IpNet { address: 10.0.0.0, prefix: 8 }, IpNet { address: ::1, prefix: 128 }])",
    ),
    ("trust_unix_socket", "yes", "true"),
    ("secret_key", KEY, "Some(KeyRing(1 key))"),
    ("on_expired", "unauthorized", "Unauthorized"),
    ("expired_message", "sign in, please", "\"sign in, please\""),
    ("max_size", "64 KiB", "65536"),
    ("store_timeout", "500ms", "500ms"),
    ("on_load_outage", "continue", "Continue"),
    ("on_touch_outage", "continue", "Continue"),
    ("on_corrupt", "fail", "Fail"),
    ("on_gone", "ignore", "Ignore"),
    ("save_on_server_error", "yes", "true"),
    ("clear_site_data", "true", "true"),
    ("creation_cap", "20 / 1m", "Some((20, 60s))"),
    (
        "owner_sessions_max",
        "5: End-Oldest",
        "Some(Limit { most: 5, then: EndOldest })",
    ),
];

fn set(
    builder: SessionConfigBuilder,
    key: &str,
    value: &str,
) -> Result<SessionConfigBuilder, Error> {
    builder.settings("", [(key, value)])
}

#[test]
fn every_option_has_one_row_and_every_row_is_an_option() {
    let mut rows: Vec<_> = SessionConfigBuilder::SETTINGS
        .iter()
        .map(Setting::name)
        .collect();
    let mut options: Vec<_> = options(&SessionConfig::builder())
        .iter()
        .map(|one| one.0)
        .collect();
    let mut others: Vec<_> = OTHERS.iter().map(|one| one.0).collect();
    rows.sort_unstable();
    options.sort_unstable();
    others.sort_unstable();
    assert_eq!(rows, options);
    assert_eq!(rows, others, "each is tested below");
}

#[test]
fn the_documented_table_is_the_table() {
    let rows = include_str!("settings.rs").lines().filter_map(|line| {
        let row = line.trim().strip_prefix("/// | `")?.strip_suffix(" |")?;
        Some(row.replace('`', ""))
    });
    let rows: Vec<String> = rows.collect();
    for (row, setting) in rows.iter().zip(SessionConfigBuilder::SETTINGS) {
        let Setting {
            name,
            expected,
            default,
            help,
            ..
        } = setting;
        let row_of_it = format!("{name} | {expected} | {default} | {help}");
        assert_eq!(*row, row_of_it.replace('`', ""));
    }
    assert_eq!(rows.len(), SessionConfigBuilder::SETTINGS.len());
}

#[test]
fn every_default_text_is_the_default() {
    let changed = OTHERS.iter().map(|(name, value, _)| (name, value));
    let defaults = SessionConfigBuilder::SETTINGS.iter();
    let defaults = defaults.map(|setting| (setting.name(), setting.default_text()));
    let builder = SessionConfig::builder().settings("", changed).unwrap();
    let builder = builder.settings("", defaults).unwrap();
    assert_eq!(options(&builder), options(&SessionConfig::builder()));
}

#[test]
fn every_row_sets_its_own_option_and_no_other() {
    for (name, value, shown) in OTHERS {
        let before = options(&SessionConfig::builder());
        let after = options(&set(SessionConfig::builder(), name, value).unwrap());
        for ((option, before), (_, after)) in before.into_iter().zip(after) {
            if option == *name {
                assert_ne!(before, after, "{name}");
                assert_eq!(after, *shown, "{name}");
            } else {
                assert_eq!(before, after, "{name} sets {option}");
            }
        }
    }
}

#[test]
fn a_value_is_read_in_each_of_its_spellings() {
    for (name, texts, shown) in [
        ("timeout", &["90", "90s", " 90 S ", "90000ms"][..], "90s"),
        ("timeout", &["86400", "1440m", "24h", "1d", "1D"], "86400s"),
        (
            "max_size",
            &["1048576", "1048576B", "1024KiB", "1mib"],
            "1048576",
        ),
        ("secure", &["true", "TRUE", "yes", "on", "1"], "true"),
        ("secure", &["false", "no", "Off", "0"], "false"),
        (
            "on_gone",
            &["conflict-if-unsafe", "Conflict_If_Unsafe"],
            "ConflictIfUnsafe",
        ),
        (
            "transport",
            &["bearer:x-token", "BEARER: x-token "],
            "Bearer(\"x-token\")",
        ),
        ("lifetime", &["browser", "Browser"], "BrowserSession"),
        ("cookie_domain", &["none", "NONE"], "None"),
        ("trusted_proxies", &["none"], "TrustedProxies([])"),
        ("secret_key", &["none"], "None"),
    ] {
        for text in texts {
            let builder = set(SessionConfig::builder(), name, text).unwrap();
            let (_, value) = options(&builder)
                .into_iter()
                .find(|one| one.0 == name)
                .unwrap();
            assert_eq!(value, shown, "{name} = {text}");
        }
    }
    let two = format!("{KEY} , {}", KEY.replace('M', "N").trim_end_matches('='));
    let builder = set(SessionConfig::builder(), "secret_key", &two).unwrap();
    assert_eq!(format!("{:?}", builder.secret_key), "Some(KeyRing(2 keys))");
}

#[test]
fn a_value_that_cannot_be_read_is_refused_by_name_with_what_is_expected() {
    for (name, texts, part) in [
        (
            "timeout",
            &[
                "",
                "h",
                "1.5h",
                "-1",
                "+1",
                "1h30m",
                "90 parsecs",
                "none",
                "1e3",
                "0x10",
            ][..],
            "is not a duration such as",
        ),
        (
            "timeout",
            &["18446744073709551616", "18446744073709551615d"],
            "too large",
        ),
        ("absolute_timeout", &["never"], "or none"),
        (
            "max_size",
            &["", "64KB", "1.5MiB", "-1", "64k"],
            "is not a size in bytes",
        ),
        ("max_size", &["18446744073709551615KiB"], "too large"),
        ("secure", &["", "maybe", "2"], "is not true or false"),
        ("same_site", &["", "loose"], "is not strict, lax or none"),
        (
            "lifetime",
            &["", "session"],
            "is not browser, or a duration",
        ),
        ("on_expired", &["401"], "is not fresh or unauthorized"),
        (
            "transport",
            &["", "header", "cookie:sid", "query:sid"],
            "is not cookie, header:NAME",
        ),
        (
            "trusted_proxies",
            &["", "10.0.0.0/8,", "proxy"],
            "is no address and no block",
        ),
        (
            "trusted_proxies",
            &["10.0.0.1/8"],
            "10.0.0.0/8 for the whole block",
        ),
        (
            "ip_prefix",
            &["", "24", "24,56,8", "24,-1"],
            "is not the bits of",
        ),
        ("ip_prefix", &["33,128"], "at most 32 bits"),
        ("ip_prefix", &["24,256"], "too large"),
    ] {
        for text in texts {
            let error = set(SessionConfig::builder(), name, text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let told = error.to_string();
            let start = format!("reading the setting {name:?} failed: ");
            assert!(told.starts_with(&start) && told.contains(part), "{told}");
        }
    }
}

#[test]
fn i1_no_message_shows_a_secret() {
    for value in [
        "c2hvcnQtc2VjcmV0",
        "correct horse battery staple",
        &format!("{KEY};{KEY}"),
        "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    ] {
        let error = set(SessionConfig::builder(), "secret_key", value).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("\"secret_key\""), "{told}");
        assert!(
            !told.contains(value) && !told.contains(&value[..8]),
            "{told}"
        );
    }
}

#[test]
fn a_key_is_the_prefix_and_a_name_however_they_are_spelled() {
    for prefix in ["session", "SESSION_", "Session.", "session-"] {
        for key in [
            "SESSION_MAX_SIZE",
            "session.max-size",
            "Session-Max.Size",
            "session__max_size",
        ] {
            let builder = SessionConfig::builder()
                .settings(prefix, [(key, "7")])
                .unwrap();
            assert_eq!(builder.max_size, 7, "{prefix} {key}");
        }
        let others = [
            "SESSIONS_MAX_SIZE",
            "MY_SESSION_MAX_SIZE",
            "MAX_SIZE",
            "SESSION",
            "",
        ];
        let builder = SessionConfig::builder().settings(prefix, others.map(|key| (key, "7")));
        assert_eq!(builder.unwrap().max_size, 1024 * 1024, "{prefix}");
    }
    let builder =
        SessionConfig::builder().settings("my-app.session", [("MY_APP_SESSION_GRACE", "7")]);
    assert_eq!(builder.unwrap().grace.as_secs(), 7);
}

#[test]
fn a_key_that_names_no_option_is_refused() {
    for (prefix, key) in [
        ("session", "SESSION_TIMOUT"),
        ("", "initializer"),
        ("", "HOME"),
        ("", ""),
    ] {
        let error = SessionConfig::builder().settings(prefix, [(key, "secret")]);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let told = error.to_string();
        assert!(told.contains(&format!("{key:?}")), "{told}");
        assert!(
            told.contains("no such option, only cookie_name, "),
            "{told}"
        );
        assert!(
            told.contains(", timeout, ") && !told.contains("secret\""),
            "{told}"
        );
    }
}

#[test]
fn two_keys_for_one_option_are_refused_and_of_two_calls_the_later_counts() {
    let pairs = [("session.grace", "1"), ("SESSION_GRACE", "1")];
    let error = SessionConfig::builder()
        .settings("session", pairs)
        .unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    let builder = set(SessionConfig::builder(), "grace", "1").unwrap();
    let builder = set(builder, "grace", "2").unwrap();
    assert_eq!(builder.grace.as_secs(), 2);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(key in any::<String>(), value in any::<String>(), near in "[0-9none,/:kmidhsKB. +-]{0,24}") {
        for value in [&value, &near] {
            for setting in SessionConfigBuilder::SETTINGS {
                if let Ok(builder) = set(SessionConfig::builder(), setting.name(), value) {
                    let _ = builder.build();
                }
            }
            let _ = SessionConfig::builder().settings(&key, [(&key, value)]);
        }
    }
}
