//! I1 to I6: who a token lets in.

use super::HttpHarness;
use super::script::Step;
use super::world::{COOKIE, NONE, World, add, attempt, get, insert, login, wait};
use crate::conformance::{Counts, Fault, Operation};
use crate::error::StoreErrorKind;
use crate::id::Token;
use crate::keys::KeyRing;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) async fn i1_a_secret_stays_with_the_client(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let steps = [login("ada"), attempt(login("")), attempt(get("a"))];
    let response = browser.post(steps).await;
    let token = browser.token();
    let (_, secret) = token.split_once('.').unwrap();
    let (_, record) = world.record().await;
    assert_ne!(record.secret.to_string(), format!("b3.{secret}"));
    let shown = format!("{record:?} {:?} {:?}", world.spy, world.manager());
    for text in [&shown, &response.body, &record.encode()] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(shown.contains("Digest(..)"), "no digest is shown either");
}

pub(super) async fn i2_an_unknown_token_is_never_adopted(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let invented = Token::random().unwrap();
    let mut thief = world.stranger().holding(COOKIE, &invented.expose(None));
    let response = thief.post([insert("a", 1)]).await;
    assert_eq!(response.status, 200);
    world.assert_calls(Counts {
        loads: 1,
        creates: 1,
        ..NONE
    });
    let (id, _) = world.record().await;
    assert_ne!(id, invented.id());
    assert!(thief.token().starts_with(&id.to_string()));
}

pub(super) async fn i2_nothing_found_in_a_store_works_as_a_cookie(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.member("ada").await;
    let (id, record) = world.record().await;
    let digest = record.secret.to_string();
    let digest = digest.trim_start_matches("b3.");
    for found in [
        id.to_string(),
        digest.to_owned(),
        format!("{id}.{digest}"),
        format!("{id}."),
        format!("{id}.{}", record.version),
        format!("{id}.{}", "A".repeat(43)),
        "ada".to_owned(),
    ] {
        let mut thief = visitor.holding(COOKIE, &found);
        let response = thief.get([Step::Keys, Step::Owner, Step::Id]).await;
        assert_eq!(response.body, "[[],null,null]", "{found} opens a session");
        assert_eq!(response.set_cookie(), None);
    }
    assert_eq!(world.spy.counts().updates + world.spy.counts().touches, 0);
}

fn keyed(name: &'static str) -> KeyRing {
    KeyRing::new(format!("{name:-<40}").as_bytes()).unwrap()
}

pub(super) async fn i3_a_bad_mac_costs_no_store_access(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| config.secret_key(keyed("first"))).await;
    let mut visitor = world.visitor().await;
    let token = visitor.token();
    let plain = &token[..Token::TEXT_LEN];
    let last = if token.ends_with('A') { 'Q' } else { 'A' };
    let bent = format!("{}{last}", &token[..token.len() - 1]);
    let foreign = Token::random().unwrap();
    let foreign = format!("{}{}", foreign.expose(None), &token[Token::TEXT_LEN..]);
    for bad in [plain, &bent, &foreign, "", "x", &"A".repeat(9_000)] {
        let mut thief = visitor.holding(COOKIE, bad);
        let response = thief.get([Step::Keys]).await;
        assert_eq!((response.status, &*response.body), (200, "[[]]"), "{bad}");
        assert_eq!(response.set_cookie(), None, "{bad}");
        world.assert_calls(NONE);
    }
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
}

pub(super) async fn i3_a_token_under_an_older_key_is_sent_again(harness: &dyn HttpHarness) {
    let old = World::with(harness, |config| config.secret_key(keyed("old"))).await;
    let mut visitor = old.visitor().await;
    let before = visitor.token();
    let ring = keyed("new").and_older(keyed("old").expose_first()).unwrap();
    let both = old.node(|config| config.secret_key(ring)).await;
    let new = old.node(|config| config.secret_key(keyed("new"))).await;

    let mut visitor_at_both = visitor.at(both.app.clone());
    let response = visitor_at_both.get([get("seen")]).await;
    assert_eq!(response.outcome(0), 1);
    // A look shows that the token is still the one in force.
    old.assert_calls(Counts {
        loads: 2,
        touches: 1,
        ..NONE
    });
    let after = visitor_at_both.token();
    assert_ne!(after, before, "it is signed anew");
    assert_eq!(after[..Token::TEXT_LEN], before[..Token::TEXT_LEN]);
    let again = visitor_at_both.get([get("seen")]).await;
    assert_eq!(again.set_cookie(), None, "there is nothing new to learn");

    visitor = visitor_at_both.at(new.app.clone());
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    let stale = visitor.holding(COOKIE, &before).get([get("seen")]).await;
    assert_eq!(stale.outcome(0), Value::Null, "the old key is gone");
}

pub(super) async fn i3_a_token_of_another_cookie_is_refused(harness: &dyn HttpHarness) {
    let one = World::with(harness, |config| config.secret_key(keyed("shared"))).await;
    let other = |config: crate::SessionConfigBuilder| {
        config
            .secret_key(keyed("shared"))
            .cookie_name("__Host-other")
    };
    let other = one.node(other).await;
    let visitor = one.visitor().await.at(other.app.clone());
    let mut moved = visitor.holding("__Host-other", &visitor.token());
    assert_eq!(moved.get([Step::Keys]).await.body, "[[]]");
    one.assert_calls(NONE);
}

pub(super) async fn i4_renew_replaces_the_secret_in_one_write(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let (id, before) = world.record().await;
    let mut stale = visitor.clone();
    let response = visitor.post([Step::Renew]).await;
    assert_eq!(response.status, 200);
    world.assert_calls(Counts {
        loads: 1,
        updates: 1,
        ..NONE
    });
    let (same, after) = world.record().await;
    assert_eq!(same, id, "the record keeps its id");
    assert_eq!(after.generation, before.generation.next());
    assert_ne!(visitor.token(), stale.token());
    assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    assert_eq!(stale.get([get("seen")]).await.outcome(0), Value::Null);
}

pub(super) async fn i4_login_always_renews_and_keeps_the_visitors_data(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    for _ in 0..2 {
        let mut stale = visitor.clone();
        let response = visitor.post([login("ada"), Step::Owner]).await;
        assert_eq!(response.outcome(1), "ada");
        world.assert_calls(Counts {
            loads: 1,
            updates: 1,
            ..NONE
        });
        assert_ne!(visitor.token(), stale.token());
        assert_eq!(stale.get([get("seen")]).await.outcome(0), Value::Null);
        let response = visitor.get([get("seen"), Step::Owner]).await;
        assert_eq!(response.body, r#"[1,"ada"]"#);
        world.spy.reset();
    }
    assert_eq!(world.record().await.1.generation.0, 3);
}

pub(super) async fn i4_login_over_another_owner_clears_the_session(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.member("ada").await;
    browser.post([Step::Flash("for ada".into())]).await;
    browser.post([insert("late", 2), login("bob")]).await;
    let response = browser
        .post([Step::Keys, Step::Owner, Step::TakeFlashes])
        .await;
    assert_eq!(response.body, r#"[[],"bob",[]]"#);
    assert!(world.record().await.1.own.is_empty());
}

pub(super) async fn i4_login_over_another_owner_ends_what_it_was_given(harness: &dyn HttpHarness) {
    let (remembered, timed) = (Step::Remember(86_400), Step::SetTimeout(86_400));
    let change = login("bob");
    for (given, steps, timeout, persistent) in [
        (&remembered, vec![change.clone()], None, false),
        (&timed, vec![change.clone()], None, false),
        (&remembered, vec![Step::Remember(60), change.clone()], Some(60), true),
        (&remembered, vec![change.clone(), Step::Remember(60)], Some(60), true),
        // A time-out of one's own is no wish to be remembered.
        (&remembered, vec![Step::SetTimeout(60), change.clone()], Some(60), false),
        (&remembered, vec![change.clone(), Step::SetTimeout(60)], Some(60), false),
    ] {
        let world = World::new(harness).await;
        let mut browser = world.member("ada").await;
        browser.post([given.clone()]).await;
        // The same owner, or nobody yet: it was asked for by the one who signs in.
        let response = browser.post([login("ada")]).await;
        let kept = response.set_cookie().unwrap().contains("Max-Age=86400");
        let (_, record) = world.record().await;
        assert_eq!(kept, record.persistent);
        assert_eq!(record.own_timeout, Some(Duration::from_secs(86_400)));
        let response = browser.post(&*steps).await;
        let cookie = response.set_cookie().unwrap();
        let (_, record) = world.record().await;
        assert_eq!(record.own_timeout, timeout.map(Duration::from_secs), "{steps:?}");
        assert_eq!(record.persistent, persistent, "{steps:?}");
        assert_eq!(cookie.contains("Max-Age"), persistent, "{cookie}");
    }
}

pub(super) async fn i4_what_ran_under_the_old_secret_writes_nothing(harness: &dyn HttpHarness) {
    for change in [
        vec![insert("late", 1)],
        vec![Step::Clear],
        vec![Step::Logout],
        vec![Step::Renew],
        vec![login("mallory")],
        vec![Step::SetTimeout(5)],
    ] {
        for by in [Step::Renew, login("ada")] {
            let world = World::new(harness).await;
            let mut visitor = world.visitor().await;
            let steps = [vec![wait("go")], change.clone()].concat();
            let (post, get) = (visitor.start_post(&*steps), visitor.start_get(&*steps));
            let gate = world.probe.gate("go");
            gate.reached_by(2).await;
            visitor.post([by.clone()]).await;
            let before = world.records().await;
            gate.open();
            let (post, get) = (post.answer().await, get.answer().await);
            // A login or logout that did not happen is never answered as one that did.
            let claims = matches!(change[0], Step::Logout | Step::Login(_));
            let safe = if claims { 409 } else { 200 };
            assert_eq!((post.status, get.status), (409, safe), "{change:?}");
            assert_eq!((post.set_cookie(), get.set_cookie()), (None, None));
            let told = "the session has ended meanwhile, nothing was changed";
            assert_eq!(post.body, told);
            assert!(!claims || get.body == told);
            assert_eq!(world.records().await, before, "{change:?} after {by:?}");
        }
    }
}

pub(super) async fn i4_what_ran_under_the_old_secret_does_not_touch(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let slow = visitor.start_get([get("seen"), wait("go")]);
    world.reached("go").await;
    visitor.post([Step::Renew]).await;
    let before = world.records().await;
    world.advance(3_600);
    world.release("go", 1).await;
    let response = slow.answer().await;
    assert_eq!((response.status, response.outcome(0)), (200, json!(1)));
    assert_eq!(world.records().await, before);
}

pub(super) async fn i5_the_first_live_session_of_several_cookies_wins(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (mut one, two) = (world.visitor().await, world.visitor().await);
    one.post([insert("who", "one")]).await;
    world.spy.reset();
    let dead = Token::random().unwrap().expose(None);
    let pair = |token: &str| format!("{COOKIE}={token}");
    let mut many = world.stranger();
    let (planted, own) = (pair(&one.token()), pair(&two.token()));
    let line = format!("a=b; {}; {planted}; {own}", pair(&dead));
    many.headers = vec![("cookie".into(), line)];
    assert_eq!(many.get([get("who")]).await.outcome(0), "one");
    world.assert_loads(3);

    many.headers = vec![("cookie".into(), own.clone()), ("cookie".into(), planted)];
    let response = many.get([get("who"), get("seen")]).await;
    assert_eq!(response.body, "[null,1]", "the order is that of the lines");
    many.headers = vec![("cookie".into(), format!("{own}; {own}; {own}"))];
    world.spy.reset();
    many.get([get("seen")]).await;
    world.assert_loads(1);
}

pub(super) async fn i5_at_most_eight_tokens_are_loaded(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    for (before, found) in [(7, json!(1)), (8, Value::Null), (40, Value::Null)] {
        let mut line = String::new();
        for _ in 0..before {
            let dead = Token::random().unwrap().expose(None);
            line.push_str(&format!("{COOKIE}={dead}; {COOKIE}=malformed; "));
        }
        line.push_str(&format!("{COOKIE}={}", visitor.token()));
        let mut many = world.stranger();
        many.headers = vec![("cookie".into(), line)];
        assert_eq!(many.get([get("seen")]).await.outcome(0), found, "{before}");
        world.assert_calls(Counts { loads: 8, ..NONE });
    }
}

pub(super) async fn i6_a_superseded_token_reads_as_empty_and_is_told(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let stale = visitor.clone();
    visitor.post([Step::Renew]).await;
    let before = world.records().await;
    world.advance(9);

    let read = stale.clone().get([Step::Keys]).await;
    assert_eq!((read.status, &*read.body), (200, "[[]]"));
    assert_eq!(read.set_cookie(), None);
    for change in [
        insert("a", 1),
        login("mallory"),
        Step::Logout,
        Step::Destroy,
        Step::SetTimeout(60),
        Step::Remember(60),
    ] {
        let response = stale.clone().post([change]).await;
        assert_eq!((response.status, response.set_cookie()), (409, None));
    }
    let response = stale
        .clone()
        .get([insert("a", 1), attempt(Step::Save), attempt(add("n"))])
        .await;
    assert_eq!(response.outcome(1)["error"], "Gone");
    assert_eq!(response.outcome(2)["error"], "Gone");
    assert_eq!(response.set_cookie(), None);
    assert_eq!(world.records().await, before);
}

pub(super) async fn i6_after_the_grace_nothing_is_removed_either(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let mut stale = visitor.clone();
    visitor.post([Step::Renew]).await;
    world.advance(10);
    let response = stale.get([Step::Keys]).await;
    assert_eq!((&*response.body, response.set_cookie()), ("[[]]", None));
    let response = stale.post([insert("own", 1)]).await;
    assert_eq!(response.status, 200, "a dead token begins anew");
    assert_ne!(stale.token(), visitor.token());
    assert_eq!(visitor.get([Step::Keys]).await.body, r#"[["seen"]]"#);
    assert_eq!(world.records().await.len(), 2);
}

pub(super) async fn i6_a_dead_token_causes_no_removal(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let dead = Token::random().unwrap().expose(None);
    for value in [&*dead, "malformed", ""] {
        let mut browser = world.stranger().holding(COOKIE, value);
        for path in ["/eager", "/lazy", "/optional"] {
            let response = browser.call("GET", path, [Step::Keys]).await;
            assert_eq!((response.status, response.set_cookie()), (200, None));
        }
    }
    let mut browser = world.stranger().holding(COOKIE, &dead);
    let response = browser.post([Step::Logout]).await;
    let removal = response.set_cookie().expect("a logout asks for it");
    assert!(removal.contains("Max-Age=0"), "{removal}");
    assert!(browser.jar.is_empty());
}

pub(super) async fn i3_a_replaced_secret_is_not_signed_anew(harness: &dyn HttpHarness) {
    let hour = Duration::from_secs(3_600);
    for (timed, steps) in [
        (false, vec![]),
        (true, vec![]),
        (true, vec![insert("late", 1)]),
        (true, vec![Step::TransactAdd("n".into())]),
    ] {
        let old = World::with(harness, |config| config.secret_key(keyed("old"))).await;
        let visitor = old.visitor().await;
        let ring = keyed("new").and_older(keyed("old").expose_first()).unwrap();
        let both = old
            .node(|config| config.secret_key(ring).renew_every(hour))
            .await;
        let mut visitor = visitor.at(both.app.clone());
        let slow = visitor.start_get([vec![wait("go")], steps.clone()].concat());
        both.reached("go").await;
        let change = if timed {
            old.advance(3_600);
            vec![]
        } else {
            vec![Step::Renew]
        };
        visitor.post(change).await;
        visitor.post([]).await;
        old.advance(60);
        both.release("go", 1).await;
        let slow = slow.answer().await;
        assert_eq!((slow.status, slow.set_cookie()), (200, None), "{timed} {steps:?}");
        visitor.keep(&slow);
        assert_eq!(visitor.get([get("seen")]).await.outcome(0), 1);
    }
}

pub(super) async fn i5_a_later_token_that_cannot_be_read_fails_nothing(harness: &dyn HttpHarness) {
    for fault in [StoreErrorKind::Unavailable, StoreErrorKind::NewerFormat] {
        let world = World::new(harness).await;
        let (one, two) = (world.visitor().await, world.visitor().await);
        let mut many = world.stranger();
        let line = format!("{COOKIE}={}; {COOKIE}={}", one.token(), two.token());
        many.headers = vec![("cookie".into(), line)];
        let held = world.spy.hold(Operation::Load);
        let running = many.start_get([get("seen"), insert("a", 1)]);
        held.reached_by(1).await;
        world.spy.once(Operation::Load, Fault::Refuse(fault));
        held.open();
        let response = running.answer().await;
        assert_eq!((response.status, response.outcome(0)), (200, json!(1)));
        assert_eq!(world.spy.counts().loads, 2, "both were looked up");
    }
}

pub(super) async fn i3_signing_anew_can_decline_to_extend_life(harness: &dyn HttpHarness) {
    let old = World::with(harness, |config| config.secret_key(keyed("old"))).await;
    let visitor = old.visitor().await;
    let ring = keyed("new").and_older(keyed("old").expose_first()).unwrap();
    let both = old.node(|config| config.secret_key(ring)).await;
    let before = old.records().await;
    old.advance(3_600);
    let mut visitor = visitor.at(both.app.clone());
    let response = visitor.get([Step::KeepExpiry]).await;
    assert!(response.set_cookie().is_some());
    assert_eq!(old.records().await, before);
}
