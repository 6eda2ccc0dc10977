//! What is told of tokens that open nothing, and why a session is new.

use std::net::IpAddr;

use serde_json::Value;

use super::HttpHarness;
use super::browser::Browser;
use super::events::Told;
use super::script::Step;
use super::world::{COOKIE, World, insert, login, owner};
use crate::config::OnOutage;
use crate::conformance::{Fault, Operation};
use crate::error::StoreErrorKind;
use crate::event::Event;
use crate::id::SessionId;
use crate::keys::KeyRing;

/// Why the session is new for a request that reads; the browser stays as it was.
async fn why(browser: &Browser) -> Value {
    let response = browser.clone().get([Step::WhyNew]).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.outcome(0)
}

/// The only event: its name, reason, session, and whether it is ada's.
#[track_caller]
fn assert_told(told: &Told, name: &str, why: &str, session: Option<SessionId>, adas: bool) {
    let events = told.take();
    let [event]: &[Event; 1] = events.as_slice().try_into().unwrap_or_else(|_| {
        panic!("one event is told: {events:?}");
    });
    assert_eq!((event.kind.name(), event.kind.why()), (name, why));
    assert_eq!(event.session, session, "{event:?}");
    assert_eq!(event.owner, adas.then(|| owner("ada")), "{event:?}");
    assert_eq!(event.address, Some(IpAddr::from([192, 0, 2, 1])));
}

/// Someone signed in as ada, and her session's id.
async fn ada(told: &Told, world: &World<'_>) -> (Browser, SessionId) {
    let member = world.member("ada").await;
    let id = member.id().await;
    told.take();
    (member, id)
}

pub(super) async fn t1_who_sends_no_token_is_new(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let mut browser = world.stranger();
    assert_eq!(why(&browser).await, "no_token");
    assert!(told.take().is_empty());
    let steps = [insert("a", 1), Step::WhyNew, Step::Save, Step::WhyNew];
    let response = browser.post(steps).await;
    assert_eq!(response.outcome(1), "no_token");
    assert_eq!(response.outcome(3), Value::Null, "it is live now");
    assert_eq!(why(&browser).await, Value::Null);
}

pub(super) async fn i3_a_foreign_token_is_told_once_and_names_no_session(
    harness: &dyn HttpHarness,
) {
    let (told, world) = Told::of(harness, |config| config).await;
    let mut browser = world.stranger();
    let line = vec![format!("{COOKIE}=not-ours"); 20].join("; ");
    browser.headers = vec![("cookie".into(), line)];
    for path in ["/eager", "/lazy", "/twice"] {
        let response = browser.clone().call("GET", path, [Step::WhyNew]).await;
        assert_eq!(response.outcome(0), "foreign", "{path}");
        assert_told(&told, "rejected", "foreign", None, false);
    }
    browser.call("GET", "/untouched", []).await;
    assert!(told.take().is_empty(), "nobody has looked at it");
}

pub(super) async fn i3_a_bad_mac_is_foreign(harness: &dyn HttpHarness) {
    let keys = KeyRing::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let (told, world) = Told::of(harness, |config| config.secret_key(keys)).await;
    let (browser, _) = ada(&told, &world).await;
    let token = browser.token();
    let at = token.len() - 5;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
    assert_eq!(why(&browser.holding(COOKIE, &forged)).await, "foreign");
    assert_told(&told, "rejected", "foreign", None, false);
}

pub(super) async fn i2_an_unknown_token_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (browser, id) = ada(&told, &world).await;
    world.manager().revoke(&id).await.unwrap();
    told.take();
    assert_eq!(why(&browser).await, "unknown");
    assert_told(&told, "rejected", "unknown", Some(id), false);
}

/// A cookie with the id of the one and the secret of the other.
fn crossed(one: &Browser, other: &Browser) -> String {
    let (one, other) = (one.token(), other.token());
    let (id, secret) = (one.split('.').next(), other.split('.').nth(1));
    format!("{}.{}", id.unwrap(), secret.unwrap())
}

pub(super) async fn i4_a_wrong_secret_is_told_with_the_session_it_did_not_open(
    harness: &dyn HttpHarness,
) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (browser, id) = ada(&told, &world).await;
    let thief = world.visitor().await;
    told.take();
    let thief = thief.holding(COOKIE, &crossed(&browser, &thief));
    assert_eq!(why(&thief).await, "wrong_secret");
    assert_told(&told, "rejected", "wrong_secret", Some(id), true);
}

pub(super) async fn i4_a_wrong_secret_learns_nothing_of_an_expired_session(
    harness: &dyn HttpHarness,
) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (browser, id) = ada(&told, &world).await;
    let thief = world.visitor().await;
    told.take();
    world.advance(24 * 3_600);
    let thief = thief.holding(COOKIE, &crossed(&browser, &thief));
    assert_eq!(why(&thief).await, "wrong_secret");
    assert_told(&told, "rejected", "wrong_secret", Some(id), true);
}

pub(super) async fn i5_a_second_live_session_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (browser, id) = ada(&told, &world).await;
    let planted = world.visitor().await;
    told.take();
    let mut both = world.stranger();
    let pair = |browser: &Browser| format!("{COOKIE}={}", browser.token());
    let line = format!("{}; {}", pair(&planted), pair(&browser));
    both.headers = vec![("cookie".into(), line)];
    assert_eq!(why(&both).await, Value::Null, "the first one is live");
    assert_told(&told, "rejected", "second_live", Some(id), true);
    let line = format!("{0}; {0}", pair(&browser));
    both.headers = vec![("cookie".into(), line)];
    assert_eq!(why(&both).await, Value::Null);
    assert!(told.take().is_empty(), "it is one session");
}

pub(super) async fn i6_a_superseded_token_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (mut browser, id) = ada(&told, &world).await;
    let before = browser.clone();
    browser.post([Step::Renew]).await;
    told.take();
    world.advance(9);
    assert_eq!(why(&before).await, "superseded");
    assert_told(&told, "rejected", "superseded", Some(id), true);
    world.advance(1);
    assert_eq!(why(&before).await, "wrong_secret");
    assert_told(&told, "rejected", "wrong_secret", Some(id), true);
}

pub(super) async fn e2_an_expired_session_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (browser, id) = ada(&told, &world).await;
    world.advance(24 * 3_600);
    assert_eq!(why(&browser).await, "expired");
    assert_told(&told, "expired", "", Some(id), true);
    world.advance(31);
    assert_eq!(world.manager().sweep().await.unwrap(), 1);
    assert!(told.take().is_empty(), "a sweep is a number and no event");
    assert_eq!(why(&browser).await, "unknown");
    assert_told(&told, "rejected", "unknown", Some(id), false);
}

pub(super) async fn a1_a_wrong_address_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config.ignore_change_ip(false)).await;
    let mut owners = world.stranger();
    owners.peer = Some("203.0.113.9".parse().unwrap());
    owners.post([login("ada")]).await;
    let id = owners.id().await;
    told.take();
    let mut thief = owners.clone();
    thief.peer = world.stranger().peer;
    assert_eq!(why(&thief).await, "wrong_address");
    assert_told(&told, "rejected", "wrong_address", Some(id), true);
}

pub(super) async fn f1_an_outage_read_as_empty_says_so(harness: &dyn HttpHarness) {
    let choose = |config: crate::SessionConfigBuilder| config.on_load_outage(OnOutage::Continue);
    let (told, world) = Told::of(harness, choose).await;
    let (browser, _) = ada(&told, &world).await;
    let down = Fault::Refuse(StoreErrorKind::Unavailable);
    world.spy.always(Operation::Load, down);
    assert_eq!(why(&browser).await, "outage");
    assert!(told.take().is_empty(), "nothing was refused");
}

pub(super) async fn f2_a_corrupt_record_is_told(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (browser, id) = ada(&told, &world).await;
    let corrupt = Fault::Refuse(StoreErrorKind::Corrupt);
    world.spy.always(Operation::Load, corrupt);
    assert_eq!(why(&browser).await, "corrupt");
    assert_told(&told, "rejected", "corrupt", Some(id), false);

    let strict = |config| told.to(config).on_corrupt(crate::OnCorrupt::Fail);
    let strict = world.node(strict).await;
    let response = browser.at(strict.app.clone()).get([Step::WhyNew]).await;
    assert_eq!(response.status, 500);
    assert_told(&told, "rejected", "corrupt", Some(id), false);
}

pub(super) async fn t6_who_was_signed_out_by_this_request_is_new(harness: &dyn HttpHarness) {
    let (told, world) = Told::of(harness, |config| config).await;
    let (mut browser, _) = ada(&told, &world).await;
    let steps = [
        Step::Logout,
        Step::WhyNew,
        Step::Revert,
        Step::WhyNew,
        Step::Destroy,
    ];
    let response = browser.post(steps).await;
    assert_eq!(response.outcome(1), "ended");
    assert_eq!(response.outcome(3), Value::Null, "it was taken back");
    assert_eq!(told.names(), ["destroyed"]);
}
