//! A1 and A2: the client's address.

use std::net::IpAddr;

use super::HttpHarness;
use super::browser::Browser;
use super::script::Step;
use super::world::{NONE, World, get, insert, login, owner, wait};
use crate::config::{OnExpired, SessionConfigBuilder};
use crate::conformance::Counts;
use crate::http::IpPrefix;
use serde_json::Value;

fn bound(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config.ignore_change_ip(false)
}

fn from(browser: &Browser, peer: &str) -> Browser {
    let mut moved = browser.clone();
    moved.peer = Some(peer.parse().unwrap());
    moved
}

pub(super) async fn a1_by_default_a_session_works_from_everywhere(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    let mut moved = from(&visitor, "203.0.113.9");
    assert_eq!(moved.get([get("seen")]).await.outcome(0), 1);
}

pub(super) async fn a1_another_address_gets_what_an_expired_session_gets(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, bound).await;
    let mut visitor = world.visitor().await;
    let before = world.records().await;
    world.advance(3_600);
    let mut thief = from(&visitor, "203.0.113.9");
    let response = thief.get([Step::Keys]).await;
    assert_eq!((&*response.body, response.set_cookie()), ("[[]]", None));
    world.assert_calls(Counts { loads: 1, ..NONE });
    thief.clone().post([Step::Logout]).await;
    let mut nowhere = visitor.clone();
    nowhere.peer = None;
    assert_eq!(nowhere.get([Step::Keys]).await.body, "[[]]");
    assert_eq!(world.records().await, before, "the true one is untouched");
    thief.post([insert("own", 1)]).await;
    assert_eq!(visitor.get([Step::Keys]).await.body, r#"[["seen"]]"#);

    let strict = |config| bound(config).on_expired(OnExpired::Unauthorized);
    let strict = world.node(strict).await;
    let mut thief = from(&visitor.at(strict.app.clone()), "203.0.113.9");
    assert_eq!(thief.get([]).await.status, 401);
}

pub(super) async fn a1_a_prefix_may_stay_the_same(harness: &dyn HttpHarness) {
    let prefix = IpPrefix::new(24, 64).unwrap();
    let world = World::with(harness, |config| bound(config).ip_prefix(prefix)).await;
    for (home, near, far) in [
        ("198.51.100.7", "198.51.100.250", "198.51.101.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1:ffff::1", "2001:db8:0:2::7"),
        ("198.51.100.7", "::ffff:198.51.100.9", "::ffff:198.51.99.9"),
    ] {
        let mut browser = from(&world.stranger(), home);
        browser.post([insert("a", 1)]).await;
        let at = |peer| from(&browser, peer);
        assert_eq!(at(near).get([get("a")]).await.outcome(0), 1, "{near}");
        assert_eq!(at(far).get([get("a")]).await.outcome(0), Value::Null);
    }
}

pub(super) async fn a1_a_login_binds_to_the_address_it_comes_from(harness: &dyn HttpHarness) {
    let world = World::with(harness, bound).await;
    let mut visitor = world.visitor().await;
    let slow = visitor.start_post([insert("late", 1), wait("go")]);
    world.reached("go").await;
    visitor.post([login("ada")]).await;
    world.release("go", 1).await;
    assert_eq!(slow.answer().await.status, 409);
    let info = world.manager().sessions_of(&owner("ada")).await.unwrap();
    assert_eq!(info[0].address, visitor.peer);
}

/// The address that the application takes for the client's.
async fn seen_as(world: &World<'_>, peer: &str, headers: &[(&str, &str)]) -> IpAddr {
    let mut browser = from(&world.stranger(), peer);
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    browser.headers = headers.iter().map(owned).collect();
    let response = browser
        .post([login("ada"), insert("seen", 1), Step::Save, Step::Id])
        .await;
    let id = response.outcome(3);
    let infos = world.manager().sessions_of(&owner("ada")).await.unwrap();
    let own = infos.iter().find(|info| id == info.id.to_string());
    own.and_then(|info| info.address)
        .expect("the session's address is known")
}

pub(super) async fn a2_a_proxy_at_a_unix_socket_is_believed_if_that_is_asked_for(
    harness: &dyn HttpHarness,
) {
    let forwarded = ("x-forwarded-for".to_owned(), "6.6.6.6, 203.0.113.7".to_owned());
    for (trusts, status) in [(true, 200), (false, 500)] {
        let world = World::with(harness, |config| bound(config).trust_unix_socket(trusts)).await;
        let mut browser = world.stranger();
        (browser.peer, browser.headers) = (None, vec![forwarded.clone()]);
        let response = browser.post([insert("a", 1)]).await;
        assert_eq!(response.status, status, "{trusts}");
    }
    let world = World::with(harness, |config| bound(config).trust_unix_socket(true)).await;
    let mut browser = world.stranger();
    (browser.peer, browser.headers) = (None, vec![forwarded]);
    browser.post([insert("a", 1)]).await;
    assert_eq!(browser.get([get("a")]).await.outcome(0), 1);
    let record = world.record().await.1;
    assert_eq!(record.address, Some("203.0.113.7".parse().unwrap()), "the last entry");
    // Who has an address is no such proxy.
    let mut direct = from(&browser, "198.51.100.1");
    assert_eq!(direct.get([get("a")]).await.outcome(0), Value::Null);
    browser.headers.clear();
    assert_eq!(browser.get([get("a")]).await.outcome(0), Value::Null);
}

pub(super) async fn a2_headers_count_only_from_a_trusted_proxy(harness: &dyn HttpHarness) {
    let nets = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let world = World::with(harness, |config| config.trusted_proxies(nets)).await;
    let ada = "203.0.113.7";
    let spoofed = "1.2.3.4, 203.0.113.7";
    for (peer, headers, client) in [
        (ada, vec![("x-forwarded-for", "1.2.3.4")], ada),
        ("10.0.0.1", vec![], "10.0.0.1"),
        ("10.0.0.1", vec![("x-forwarded-for", ada)], ada),
        ("10.0.0.1", vec![("x-forwarded-for", spoofed)], ada),
        (
            "fd00::1",
            vec![("x-forwarded-for", "1.2.3.4, 203.0.113.7, 10.9.9.9")],
            ada,
        ),
        (
            "10.0.0.1",
            vec![("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", ada)],
            ada,
        ),
        ("10.0.0.1", vec![("forwarded", "for=203.0.113.7;proto=https")], ada),
        (
            "10.0.0.1",
            vec![("forwarded", "for=1.2.3.4"), ("x-forwarded-for", ada)],
            "10.0.0.1",
        ),
        (
            "::ffff:10.0.0.1",
            vec![("x-forwarded-for", "::ffff:203.0.113.7")],
            ada,
        ),
    ] {
        let seen = seen_as(&world, peer, &headers).await;
        assert_eq!(seen.to_string(), client, "{peer} {headers:?}");
    }
}

pub(super) async fn a2_a_session_behind_a_proxy_is_bound_to_the_client(harness: &dyn HttpHarness) {
    let nets = ["10.0.0.0/8".parse().unwrap()];
    let world = World::with(harness, |config| bound(config).trusted_proxies(nets)).await;
    let mut browser = from(&world.stranger(), "10.0.0.1");
    browser.headers = vec![("x-forwarded-for".into(), "203.0.113.7".into())];
    browser.post([insert("a", 1)]).await;
    browser.peer = Some("10.0.0.2".parse().unwrap());
    assert_eq!(browser.get([get("a")]).await.outcome(0), 1, "another proxy");
    browser.headers = vec![("x-forwarded-for".into(), "203.0.113.8".into())];
    assert_eq!(browser.get([get("a")]).await.outcome(0), Value::Null);
}

pub(super) async fn a1_what_cannot_be_bound_does_not_begin(harness: &dyn HttpHarness) {
    let world = World::with(harness, bound).await;
    let mut nowhere = world.stranger();
    nowhere.peer = None;
    for steps in [
        vec![insert("a", 1)],
        vec![insert("a", 1), Step::Save],
        vec![login("ada")],
        vec![Step::CsrfToken],
    ] {
        let response = nowhere.post(steps.clone()).await;
        assert_eq!(response.status, 500, "{steps:?}: {response:?}");
        assert_eq!(response.set_cookie(), None);
        assert!(world.records().await.is_empty(), "{steps:?}");
    }
    assert_eq!(nowhere.get([Step::Keys]).await.body, "[[]]");
}
