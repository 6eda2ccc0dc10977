//! H5: tokens that travel in headers.

use super::HttpHarness;
use super::browser::Browser;
use super::message::Response;
use super::script::Step;
use super::world::{COOKIE, NONE, World, get, insert, login};
use crate::config::{OnExpired, SessionConfigBuilder};
use crate::conformance::Counts;
use crate::http::{RequestHead, TokenTransport, Transport};
use crate::id::Token;
use crate::keys::KeyRing;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

fn sending(browser: &Browser, name: &str, value: &str) -> Browser {
    let mut client = browser.clone();
    client.headers = vec![(name.to_owned(), value.to_owned())];
    client
}

#[track_caller]
fn assert_no_cookies(response: &Response) {
    assert_eq!(response.all("set-cookie"), [""; 0]);
}

pub(super) async fn h5_a_header_carries_the_token_both_ways(harness: &dyn HttpHarness) {
    let transport = Transport::Header("X-Session-Id".into());
    let world = World::with(harness, |config| config.transport(transport)).await;
    let mut client = world.stranger();
    let response = client.post([insert("a", 1)]).await;
    assert_no_cookies(&response);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(items(&response), "x-session-id");
    let token = response.header("x-session-id").unwrap().to_owned();

    let mut client = sending(&client, "x-session-id", &token);
    let response = client.get([get("a")]).await;
    assert_eq!(response.outcome(0), 1);
    assert_eq!(response.header("x-session-id"), None, "nothing to learn");
    assert_eq!(items(&response), "x-session-id");

    let response = client.post([login("ada")]).await;
    let renewed = response.header("x-session-id").unwrap().to_owned();
    assert_ne!(renewed, token);
    let mut client = sending(&client, "x-session-id", &renewed);
    let response = client.post([Step::Logout]).await;
    assert_eq!(response.header("x-session-id"), Some(""), "a removal is empty");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_no_cookies(&response);
    assert!(world.records().await.is_empty());
}

fn items(response: &Response) -> String {
    response.all("vary").join(", ").to_ascii_lowercase()
}

pub(super) async fn h5_a_bearer_token_comes_in_authorization(harness: &dyn HttpHarness) {
    let transport = Transport::Bearer("x-session".into());
    let world = World::with(harness, |config| config.transport(transport)).await;
    let client = world.stranger();
    let response = client.clone().post([insert("a", 1)]).await;
    assert_no_cookies(&response);
    let token = response.header("x-session").unwrap().to_owned();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let line = format!("{scheme} {token}");
        let response = sending(&client, "authorization", &line)
            .get([get("a")])
            .await;
        assert_eq!(response.outcome(0), 1, "{scheme}");
        assert_eq!(items(&response), "authorization");
    }
    let line = format!("Bearer   {token}");
    let response = sending(&client, "authorization", &line).get([get("a")]).await;
    assert_eq!(response.outcome(0), 1, "one space or more");
    for line in [
        format!("Basic {token}"),
        format!("Digest {token}"),
        token.clone(),
        format!("Bearer{token}"),
        "Bearer ".to_owned(),
        "Be".to_owned(),
    ] {
        world.spy.reset();
        let mut client = sending(&client, "authorization", &line);
        assert_eq!(client.get([get("a")]).await.outcome(0), Value::Null);
        world.assert_calls(NONE);
    }
}

pub(super) async fn h5_one_transport_reads_no_other(harness: &dyn HttpHarness) {
    let by_cookie = World::new(harness).await;
    let visitor = by_cookie.visitor().await;
    let transport = Transport::Header("x-session-id".into());
    let by_header = by_cookie.node(|config| config.transport(transport)).await;
    let mut wrong = visitor.at(by_header.app.clone());
    assert_eq!(wrong.get([get("seen")]).await.outcome(0), Value::Null);
    let bare = by_cookie.stranger();
    let mut wrong = sending(&bare, "x-session-id", &visitor.token());
    assert_eq!(wrong.get([get("seen")]).await.outcome(0), Value::Null);
    by_cookie.assert_calls(NONE);
    let mut right = sending(&by_header.stranger(), "x-session-id", &visitor.token());
    right.jar.insert(COOKIE.into(), "ignored".into());
    assert_eq!(right.get([get("seen")]).await.outcome(0), 1);
    by_cookie.assert_calls(Counts { loads: 1, ..NONE });
}

pub(super) async fn h5_a_401_takes_the_header_token_away(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config
            .transport(Transport::Header("x-session-id".into()))
            .on_expired(OnExpired::Unauthorized)
            .timeout(Duration::from_secs(600))
    })
    .await;
    let dead = Token::random().unwrap().expose(None);
    let mut client = sending(&world.stranger(), "x-session-id", &dead);
    let response = client.get([]).await;
    assert_eq!(response.status, 401);
    assert_eq!(response.header("x-session-id"), Some(""));
    assert_eq!(response.header("www-authenticate"), None);
    assert_no_cookies(&response);
    let by_bearer = |config: SessionConfigBuilder| {
        let transport = Transport::Bearer("x-session".into());
        config.transport(transport).on_expired(OnExpired::Unauthorized)
    };
    let node = world.node(by_bearer).await;
    let line = format!("Bearer {dead}");
    let response = sending(&node.stranger(), "authorization", &line).get([]).await;
    assert_eq!(response.status, 401);
    let challenge = response.header("www-authenticate");
    assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#));
}

/// A token in a field of its own, with the application's word in front of it.
#[derive(Debug)]
struct Ticket;

impl TokenTransport for Ticket {
    fn read<'a>(&self, head: &'a dyn RequestHead, found: &mut dyn FnMut(&'a [u8])) {
        head.each_header("x-ticket", &mut |line| {
            if let Some(token) = line.strip_prefix(b"ticket ") {
                found(token);
            }
        });
    }

    fn write(&self, token: &str, life: Option<Duration>) -> Option<(String, String)> {
        let lasts = life.map_or_else(String::new, |life| format!("; {} s", life.as_secs()));
        Some(("x-ticket".to_owned(), format!("ticket {token}{lasts}")))
    }

    fn remove(&self) -> Option<(String, String)> {
        Some(("x-ticket".to_owned(), "void".to_owned()))
    }

    fn vary(&self) -> Option<String> {
        Some("X-Ticket".to_owned())
    }
}

pub(super) async fn h5_a_transport_of_the_applications_own_carries_the_token(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, |config| {
        config.transport(Transport::Custom(Arc::new(Ticket)))
    })
    .await;
    let client = world.stranger();
    let response = client.clone().post([insert("a", 1)]).await;
    assert_no_cookies(&response);
    let ticket = response.header("x-ticket").unwrap().to_owned();
    assert!(ticket.starts_with("ticket "), "{ticket}");
    assert_eq!(items(&response), "x-ticket");

    let mut holder = sending(&client, "x-ticket", &ticket);
    assert_eq!(holder.get([get("a")]).await.outcome(0), 1);
    let bare = ticket.trim_start_matches("ticket ");
    let mut other = sending(&client, "x-ticket", bare);
    assert_eq!(other.get([get("a")]).await.outcome(0), Value::Null);

    let response = holder.post([Step::Remember(60)]).await;
    let lasting = response.header("x-ticket").unwrap();
    assert!(lasting.ends_with("; 60 s"), "{lasting}");
    let response = holder.post([Step::Logout]).await;
    assert_eq!(response.header("x-ticket"), Some("void"));
    assert!(world.records().await.is_empty());
}

/// `?ticket=TOKEN`, which a handler hands out.
#[derive(Debug)]
struct Query;

impl TokenTransport for Query {
    fn read<'a>(&self, head: &'a dyn RequestHead, found: &mut dyn FnMut(&'a [u8])) {
        let (_, query) = head.target().split_once('?').unwrap_or_default();
        let values = query.split('&').filter_map(|pair| pair.strip_prefix("ticket="));
        values.for_each(|token| found(token.as_bytes()));
    }

    fn write(&self, _: &str, _: Option<Duration>) -> Option<(String, String)> {
        None
    }

    fn remove(&self) -> Option<(String, String)> {
        None
    }

    fn vary(&self) -> Option<String> {
        None
    }
}

fn by_query(config: SessionConfigBuilder) -> SessionConfigBuilder {
    config.transport(Transport::Custom(Arc::new(Query)))
}

pub(super) async fn h5_a_token_that_a_handler_hands_out_comes_back_in_the_query(
    harness: &dyn HttpHarness,
) {
    let world = World::with(harness, by_query).await;
    let mut client = world.stranger();
    let steps = [insert("a", 1), Step::ExposeToken, Step::Save, Step::ExposeToken];
    let response = client.post(steps).await;
    assert_eq!(response.outcome(1), Value::Null, "nothing is stored yet");
    let token = response.outcome(3).as_str().expect("a token").to_owned();
    assert_no_cookies(&response);
    assert_eq!(response.header("cache-control"), Some("no-store"));

    let target = format!("/eager?before=1&ticket={token}&after=%20");
    let response = client.call("GET", &target, [get("a")]).await;
    assert_eq!(response.outcome(0), 1);
    assert_eq!(response.header("cache-control"), None, "it was not asked for");
    let response = client.call("GET", &target, [Step::ExposeToken]).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let again = response.outcome(0).as_str().expect("a token").to_owned();
    let again = format!("/eager?ticket={again}");
    assert_eq!(client.call("GET", &again, [get("a")]).await.outcome(0), 1);
    for target in ["/eager", "/eager?", "/eager?ticket=", "/eager?ticket"] {
        assert_eq!(client.call("GET", target, [get("a")]).await.outcome(0), Value::Null);
    }
    let misnamed = format!("/eager?Ticket={token}");
    assert_eq!(client.call("GET", &misnamed, [get("a")]).await.outcome(0), Value::Null);
}

pub(super) async fn h5_a_client_that_can_be_told_no_new_token_costs_no_write_under_an_older_key(
    harness: &dyn HttpHarness,
) {
    let key = |name: &str| KeyRing::new(format!("{name:-<40}").as_bytes()).unwrap();
    let world = World::with(harness, |config| by_query(config).secret_key(key("old"))).await;
    let steps = [insert("a", 1), Step::Save, Step::ExposeToken];
    let response = world.stranger().post(steps).await;
    let token = response.outcome(2).as_str().expect("a token").to_owned();
    let ring = key("new").and_older(key("old").expose_first()).unwrap();
    let both = world.node(|config| by_query(config).secret_key(ring)).await;
    world.spy.reset();
    let target = format!("/eager?ticket={token}");
    let response = both.stranger().call("GET", &target, [get("a")]).await;
    assert_eq!(response.outcome(0), 1);
    world.assert_calls(Counts { loads: 1, ..NONE });
}

pub(super) async fn h5_a_token_that_opens_nothing_is_not_handed_out(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let shown = visitor.get([Step::ExposeToken]).await.outcome(0);
    assert_eq!(shown, visitor.token());
    for end in [Step::Renew, login("ada"), Step::Logout, Step::Destroy] {
        let steps = [end.clone(), Step::ExposeToken, Step::Revert, Step::Status(500)];
        let response = visitor.post(steps).await;
        assert_eq!(response.outcome(1), Value::Null, "{end:?}");
    }
    let old = visitor.clone();
    visitor.post([Step::Renew]).await;
    assert_eq!(old.clone().get([Step::ExposeToken]).await.outcome(0), Value::Null);
    let opened = world.manager().open(&world.record().await.0).await.unwrap();
    let opened = opened.expect("it is live");
    assert_eq!(opened.expose_token().unwrap(), None, "nobody presented it");
    assert_eq!(world.stranger().get([Step::ExposeToken]).await.outcome(0), Value::Null);
}
