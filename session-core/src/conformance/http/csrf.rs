//! X1: tokens against cross-site requests.

use std::collections::BTreeSet;
use std::time::Duration;

use super::HttpHarness;
use super::browser::Browser;
use super::script::Step;
use super::world::{NONE, World, insert, login, wait};
use crate::conformance::Counts;

async fn ask(browser: &mut Browser) -> String {
    let response = browser.post([Step::CsrfToken]).await;
    response.outcome(0).as_str().expect("a token").to_owned()
}

async fn accepts(browser: &mut Browser, token: &str) -> bool {
    let response = browser.post([Step::VerifyCsrf(token.to_owned())]).await;
    match response.status {
        200 => true,
        403 => {
            let told = "the request was refused: its CSRF token is missing or wrong";
            assert_eq!((&*response.body, response.set_cookie()), (told, None));
            false
        }
        other => panic!("{other}: {response:?}"),
    }
}

pub(super) async fn x1_each_response_shows_another_token_and_all_are_good(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let mut tokens = BTreeSet::new();
    for _ in 0..20 {
        tokens.insert(ask(&mut visitor).await);
    }
    assert_eq!(tokens.len(), 20);
    let heads: BTreeSet<_> = tokens.iter().map(|token| &token[..43]).collect();
    let tails: BTreeSet<_> = tokens.iter().map(|token| &token[43..]).collect();
    assert_eq!((heads.len(), tails.len()), (20, 20), "both halves are masked");
    for token in &tokens {
        assert!(accepts(&mut visitor, token).await);
    }
}

pub(super) async fn x1_asking_counts_as_storing_and_checking_does_not(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let token = ask(&mut browser).await;
    world.assert_calls(Counts { creates: 1, ..NONE });
    ask(&mut browser).await;
    world.assert_calls(Counts { loads: 1, ..NONE });
    assert!(accepts(&mut browser, &token).await);
    world.assert_calls(Counts { loads: 1, ..NONE });
    assert!(!accepts(&mut world.stranger(), &token).await);
    world.assert_calls(NONE);
}

pub(super) async fn x1_a_wrong_token_is_403(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let (mut visitor, mut other) = (world.visitor().await, world.visitor().await);
    assert!(!accepts(&mut visitor, &"A".repeat(86)).await, "no seed yet");
    let good = ask(&mut visitor).await;
    let foreign = ask(&mut other).await;
    let last = if good.ends_with('A') { 'E' } else { 'A' };
    let bent = format!("{}{last}", &good[..85]);
    let swapped = format!("{}{}", &good[43..], &good[..43]);
    for wrong in [
        "",
        "x",
        &good[..85],
        &format!("{good}A"),
        &"A".repeat(86),
        &"=".repeat(86),
        &foreign,
        &bent,
        &swapped[..60],
    ] {
        assert!(!accepts(&mut visitor, wrong).await, "{wrong}");
    }
    let refused = visitor
        .post([insert("a", 1), Step::VerifyCsrf(foreign)])
        .await;
    assert_eq!(refused.status, 403);
    assert!(accepts(&mut visitor, &good).await);
}

pub(super) async fn x1_two_first_askers_at_once_are_both_good(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let node = world.node(|config| config).await;
    let mut visitor = world.visitor().await;
    let steps = [Step::CsrfToken, wait("go")];
    let asking = [
        visitor.start_get(steps.clone()),
        visitor.start_get(steps.clone()),
        visitor.at(node.app.clone()).start_get(steps),
    ];
    world.probe.gate("go").reached_by(2).await;
    node.release("go", 1).await;
    world.release("go", 2).await;
    for running in asking {
        let response = running.answer().await;
        assert_eq!(response.status, 200);
        let token = response.outcome(0);
        assert!(accepts(&mut visitor, token.as_str().unwrap()).await);
    }
}

pub(super) async fn x1_login_replaces_the_seed(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let before = ask(&mut visitor).await;
    visitor.post([login("ada")]).await;
    assert!(!accepts(&mut visitor, &before).await);
    let of_ada = ask(&mut visitor).await;
    visitor.post([login("ada")]).await;
    assert!(!accepts(&mut visitor, &of_ada).await, "and at each login");
}

pub(super) async fn x1_a_token_asked_for_with_a_new_secret_is_of_the_new_seed(
    harness: &dyn HttpHarness,
) {
    for change in [login("ada"), Step::Renew] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        // Whoever planted this session knows its secret, and a token of it.
        let planted = ask(&mut visitor).await;
        let response = visitor.post([change.clone(), Step::CsrfToken]).await;
        let token = response.outcome(1).as_str().unwrap().to_owned();
        assert!(!accepts(&mut visitor, &planted).await, "{change:?}");
        assert!(accepts(&mut visitor, &token).await, "{change:?}");
    }
}

pub(super) async fn x1_who_has_the_old_secret_learns_nothing_of_the_new_seed(
    harness: &dyn HttpHarness,
) {
    for change in [login("ada"), Step::Renew] {
        for asked in [false, true] {
            let world = World::new(harness).await;
            let mut visitor = world.visitor().await;
            let mut planted = visitor.clone();
            let show = if asked { Step::CsrfToken } else { Step::Keys };
            let steps = [change.clone(), show, insert("a", 1), Step::Save, wait("go")];
            let running = visitor.start_post(steps);
            world.reached("go").await;
            // What is stored before the end of the request is to be seen under the old secret.
            let seen = ask(&mut planted).await;
            world.release("go", 1).await;
            let response = running.answer().await;
            assert_eq!(response.status, 200);
            visitor.keep(&response);
            assert!(!accepts(&mut visitor, &seen).await, "{change:?}, {asked}");
            if asked {
                let shown = response.outcome(1).as_str().unwrap().to_owned();
                assert!(accepts(&mut visitor, &shown).await, "{change:?}");
            }
        }
    }
}

pub(super) async fn x1_a_renewal_of_nothing_keeps_the_seed(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for change in [Step::Renew, login("ada")] {
        let mut stranger = world.stranger();
        let response = stranger.post([Step::CsrfToken, change.clone()]).await;
        let token = response.outcome(0).as_str().unwrap().to_owned();
        assert!(accepts(&mut stranger, &token).await, "{change:?}");
    }
}

pub(super) async fn x1_timed_renewal_keeps_the_seed(harness: &dyn HttpHarness) {
    let world = World::with(harness, |config| {
        config.renew_every(Duration::from_secs(3_600))
    })
    .await;
    let mut visitor = world.visitor().await;
    let token = ask(&mut visitor).await;
    let old = visitor.token();
    world.advance(3_600);
    assert!(accepts(&mut visitor, &token).await);
    assert_ne!(visitor.token(), old);
    assert!(accepts(&mut visitor, &token).await);
}

pub(super) async fn x1_a_logout_ends_the_seed(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let token = ask(&mut visitor).await;
    let response = visitor.post([Step::Logout, Step::CsrfToken]).await;
    let anew = response.outcome(1).as_str().unwrap().to_owned();
    assert!(!accepts(&mut visitor, &token).await);
    assert!(accepts(&mut visitor, &anew).await);
}
