//! Options that make no sense together are refused when they are built.

use std::time::Duration;

use session_core::http::{Lifetime, SameSite, Transport};
use session_core::{ErrorKind, SessionConfig, SessionConfigBuilder};

type Choose = fn(SessionConfigBuilder) -> SessionConfigBuilder;

#[test]
fn options_that_contradict_each_other_are_refused() {
    const SECOND: Duration = Duration::from_secs(1);
    let table: [(&str, Choose); 12] = [
        ("timeout is zero", |c| c.timeout(Duration::ZERO)),
        ("store_timeout is zero", |c| c.store_timeout(Duration::ZERO)),
        ("absolute_timeout is shorter", |c| {
            c.timeout(2 * SECOND).absolute_timeout(SECOND)
        }),
        ("touch_interval is not below", |c| {
            c.timeout(SECOND).touch_interval(SECOND)
        }),
        ("the cookie's lifetime", |c| {
            c.lifetime(Lifetime::Persistent(SECOND))
                .touch_interval(SECOND)
        }),
        ("renew_every is below grace", |c| {
            c.grace(2 * SECOND).renew_every(SECOND)
        }),
        ("remembered_absolute_timeout is shorter", |c| {
            c.remembered_absolute_timeout(Duration::from_secs(60))
        }),
        ("ignore_expiry turns off", |c| {
            c.ignore_expiry(true).absolute_timeout(100_000 * SECOND)
        }),
        ("__Host-", |c| c.secure(false)),
        ("__Host-", |c| c.cookie_domain("example.org")),
        ("must be secure", |c| {
            c.cookie_name("sid").secure(false).same_site(SameSite::None)
        }),
        ("header", |c| {
            c.transport(Transport::Header("set-cookie".into()))
        }),
    ];
    for (says, choose) in table {
        let error = choose(SessionConfig::builder()).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{says}");
        let text = error.to_string();
        assert!(text.contains(says), "{says}: {text}");
    }
    let allowed: [Choose; 4] = [
        |c| c.timeout(SECOND).absolute_timeout(SECOND),
        |c| c.timeout(2 * SECOND).touch_interval(SECOND),
        |c| {
            c.lifetime(Lifetime::Persistent(2 * SECOND))
                .touch_interval(SECOND)
        },
        |c| c.grace(SECOND).renew_every(SECOND),
    ];
    for choose in allowed {
        choose(SessionConfig::builder()).build().unwrap();
    }
}
