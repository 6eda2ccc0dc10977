//! H2 to H4: what the response carries, to the byte.

use std::time::Duration;

use super::HttpHarness;
use super::message::Response;
use super::script::Step;
use super::world::{NONE, World, add, get, insert, login, wait};
use crate::config::SessionConfigBuilder;
use crate::conformance::Counts;
use crate::http::{Lifetime, SameSite};

const REMOVAL: &str = "__Host-sid=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; \
                       Path=/; Secure; HttpOnly; SameSite=Lax";

pub(super) async fn h2_the_default_cookie_is_this_text(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut browser = world.stranger();
    let response = browser.post([insert("a", 1)]).await;
    let token = browser.token();
    assert_eq!(token.len(), 66);
    let text = format!("__Host-sid={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(response.set_cookie(), Some(&*text));
    let response = browser.post([Step::Logout]).await;
    assert_eq!(response.set_cookie(), Some(REMOVAL));
}

pub(super) async fn h2_a_configured_cookie_is_this_text(harness: &dyn HttpHarness) {
    fn policy(config: SessionConfigBuilder) -> SessionConfigBuilder {
        config
            .cookie_name("__Secure-app")
            .cookie_domain("Example.org")
            .cookie_path("/shop")
            .same_site(SameSite::None)
            .partitioned(true)
            .http_only(false)
            .lifetime(Lifetime::Persistent(Duration::from_secs(3_600)))
    }
    let world = World::with(harness, policy).await;
    let mut browser = world.stranger();
    let response = browser.post([insert("a", 1)]).await;
    let tail = "; Domain=example.org; Path=/shop; Secure; SameSite=None; Partitioned";
    let token = browser.token();
    let text = format!("__Secure-app={token}; Max-Age=3600{tail}");
    assert_eq!(response.set_cookie(), Some(&*text));
    let response = browser.post([Step::Destroy]).await;
    let gone = "__Secure-app=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(response.set_cookie(), Some(&*format!("{gone}{tail}")));
}

pub(super) async fn h2_remember_is_at_most_400_days(harness: &dyn HttpHarness) {
    const DAY: u64 = 24 * 60 * 60;
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let response = visitor.post([Step::Remember(400 * DAY)]).await;
    let text = response.set_cookie().unwrap();
    assert!(text.contains("; Max-Age=34560000; Path=/;"), "{text}");
    let response = visitor.post([Step::Remember(401 * DAY)]).await;
    assert_eq!((response.status, response.set_cookie()), (500, None));
}

pub(super) async fn h3_no_cookie_when_there_is_nothing_to_learn(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    for steps in [
        vec![],
        vec![get("seen")],
        vec![insert("a", 1)],
        vec![add("n"), Step::Save],
        vec![Step::Flash("one".into()), Step::TakeFlashes],
        vec![Step::CsrfToken],
        vec![Step::Clear],
        vec![Step::Renew, Step::Revert],
    ] {
        world.advance(120);
        let response = visitor.post(steps.clone()).await;
        assert_eq!((response.status, response.set_cookie()), (200, None));
        assert_eq!(response.header("cache-control"), None, "{steps:?}");
    }
}

pub(super) async fn h3_a_persistent_cookie_slides_with_the_session(harness: &dyn HttpHarness) {
    fn hour(config: SessionConfigBuilder) -> SessionConfigBuilder {
        config.lifetime(Lifetime::Persistent(Duration::from_secs(3_600)))
    }
    let configured = World::with(harness, hour).await;
    let remembered = World::new(harness).await;
    for (world, steps) in [
        (configured, vec![]),
        (remembered, vec![Step::Remember(3_600)]),
    ] {
        let mut visitor = world.visitor().await;
        visitor.post(steps).await;
        let token = visitor.token();
        assert_eq!(visitor.get([]).await.set_cookie(), None, "not yet");
        for steps in [vec![], vec![insert("a", 1)]] {
            world.advance(60);
            let response = visitor.get(steps).await;
            let text = response.set_cookie().unwrap();
            assert!(text.contains("; Max-Age=3600;"), "{text}");
            assert_eq!(visitor.token(), token, "the same secret");
        }
    }
}

pub(super) async fn h3_who_is_remembered_no_more_has_the_configured_cookie(
    harness: &dyn HttpHarness,
) {
    for login in [vec![], vec![login("ada")]] {
        let world = World::new(harness).await;
        let mut member = world.member("ada").await;
        member.post([Step::Remember(3_600)]).await;
        let response = member.post([login.clone(), vec![Step::Forget]].concat()).await;
        let text = response.set_cookie().expect("the browser must be told");
        assert!(!text.contains("Max-Age"), "{login:?}: {text}");
        world.advance(2 * 3_600);
        assert_eq!(member.get([Step::Owner]).await.outcome(0), "ada");
    }
}

pub(super) async fn h3_never_two_cookies_of_one_name(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    for steps in [
        vec![insert("a", 1), Step::Save, Step::Renew],
        vec![add("n"), login("ada"), Step::Remember(60)],
        vec![Step::Renew, login("ada"), Step::Renew],
        vec![Step::Logout, insert("b", 1)],
        vec![login("ada"), Step::Logout, login("bob")],
        vec![insert("a", 1), Step::Save, Step::Logout, insert("b", 1), Step::Save],
        vec![Step::Destroy, Step::Save, add("n"), Step::Renew],
    ] {
        for mut browser in [world.stranger(), world.visitor().await] {
            let response = browser.post(steps.clone()).await;
            assert_eq!(response.status, 200, "{steps:?}: {response:?}");
            // `set_cookie` fails where there are two.
            if response.set_cookie().is_some() {
                let known = browser.get([Step::Id]).await.outcome(0);
                let id = known.as_str().expect("the cookie opens the session");
                assert!(browser.token().starts_with(id), "{steps:?}");
            }
        }
    }
}

pub(super) async fn h3_a_session_that_ends_where_it_began_takes_no_cookie_away(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let steps = [insert("a", 1), Step::Save, Step::Logout];
    let response = world.stranger().post(steps.clone()).await;
    assert_eq!(response.set_cookie(), None, "another request may have brought one");
    assert!(world.records().await.is_empty());
    let mut member = world.member("ada").await;
    let mut with_dead_token = member.clone();
    let again = [vec![Step::Logout], steps.to_vec()].concat();
    let response = member.post(again.clone()).await;
    assert_eq!(response.set_cookie(), Some(REMOVAL), "the last word counts");
    let response = with_dead_token.post(steps).await;
    assert_eq!(response.set_cookie(), Some(REMOVAL), "it opens nothing");
    assert!(world.records().await.is_empty());
}

fn vary(value: &str) -> Step {
    Step::Header("vary".into(), value.into())
}

/// All items of the field, wherever they stand.
fn items(response: &Response, name: &str) -> String {
    response.all(name).join(", ")
}

pub(super) async fn h4_a_response_that_consulted_the_session_varies(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    for (steps, expected) in [
        (vec![], "Cookie"),
        (vec![vary("Accept")], "Accept, Cookie"),
        (vec![vary("Accept"), vary("Origin")], "Accept, Origin, Cookie"),
        (vec![vary("accept, cookie")], "accept, cookie"),
        (vec![vary("COOKIE")], "COOKIE"),
        (vec![vary("x-cookie")], "x-cookie, Cookie"),
        (vec![vary("*")], "*"),
    ] {
        let response = visitor.get(steps.clone()).await;
        assert_eq!(items(&response, "vary"), expected, "{steps:?}");
        let response = visitor.post([steps, vec![add("n")]].concat()).await;
        assert_eq!(items(&response, "vary"), expected);
    }
    let untouched = visitor.call("GET", "/untouched", [vary("Accept")]).await;
    assert_eq!(untouched.all("vary"), ["Accept"]);
    let mut stranger = world.stranger();
    assert_eq!(stranger.get([]).await.header("vary"), Some("Cookie"));
}

pub(super) async fn h4_a_response_with_the_cookie_is_never_stored(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let own = |value: &str| Step::Header("cache-control".into(), value.into());
    for (steps, expected) in [
        (vec![], "no-store"),
        (vec![own("public, max-age=60")], "no-store"),
        (vec![own("no-cache"), own("public")], "no-store"),
        (vec![own("x-no-store")], "no-store"),
        (vec![own("private, No-Store")], "private, No-Store"),
    ] {
        for change in [Step::Renew, Step::Logout] {
            let mut visitor = world.visitor().await;
            let response = visitor.post([steps.clone(), vec![change]].concat()).await;
            assert!(response.set_cookie().is_some());
            let told = response.header("cache-control");
            assert_eq!(told, Some(expected), "{steps:?}");
        }
    }
    let mut visitor = world.visitor().await;
    let of_cdn = |value: &str| Step::Header("cdn-cache-control".into(), value.into());
    let both = [own("public, max-age=60"), of_cdn("max-age=600")];
    let response = visitor.get([&both[..], &[get("seen")]].concat()).await;
    let told = ["cache-control", "cdn-cache-control"].map(|name| response.header(name));
    let stays = [Some("public, max-age=60"), Some("max-age=600")];
    assert_eq!(told, stays, "without a cookie");
    let response = visitor.post([&both[..], &[Step::Renew]].concat()).await;
    let told = ["cache-control", "cdn-cache-control"].map(|name| response.header(name));
    assert_eq!(told, [Some("no-store"); 2]);
    let response = visitor.post([Step::Renew]).await;
    assert_eq!(response.header("cdn-cache-control"), None);
}

pub(super) async fn h4_a_logout_can_clear_site_data(harness: &dyn HttpHarness) {
    let quiet = World::new(harness).await;
    let mut member = quiet.member("ada").await;
    let response = member.post([Step::Logout]).await;
    assert_eq!(response.header("clear-site-data"), None);

    let world = World::with(harness, |config| config.clear_site_data(true)).await;
    for (end, told) in [
        (vec![Step::Logout], Some(r#""cookies", "storage""#)),
        (vec![Step::Destroy], None),
        (vec![Step::Logout, Step::Revert], None),
        (vec![Step::Logout, Step::Status(500)], None),
        (vec![], None),
    ] {
        let mut member = world.member("ada").await;
        let response = member.post(end.clone()).await;
        assert_eq!(response.header("clear-site-data"), told, "{end:?}");
    }
}

pub(super) async fn h4_the_handlers_own_cookies_stay(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    let own = Step::Header("set-cookie".into(), "theme=dark; Path=/".into());
    let response = visitor.post([own, Step::Renew]).await;
    let cookies = response.all("set-cookie");
    assert_eq!(cookies[0], "theme=dark; Path=/");
    assert!(cookies[1].starts_with("__Host-sid="), "{cookies:?}");
    assert_eq!(cookies.len(), 2);
}

pub(super) async fn h1_a_neighbours_bad_bytes_hide_nothing(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let visitor = world.visitor().await;
    let token = visitor.token();
    for line in [
        format!("a=\"x; y\"; __Host-sid={token}"),
        format!("=; ;;; a; __Host-sid={token}; %zz"),
        format!("b=\u{e4}\u{1f36a}; \t__Host-sid={token}\t"),
        format!("__host-sid=x; __Host-sidx=y; x__Host-sid=z; __Host-sid={token}"),
        format!("__Host-sid; __Host-sid={token}"),
    ] {
        let mut browser = world.stranger();
        browser.headers = vec![("cookie".into(), line.clone())];
        assert_eq!(browser.get([get("seen")]).await.outcome(0), 1, "{line}");
    }
    for line in [
        format!("__Host%2Dsid={token}"),
        format!("__host-sid={token}"),
        format!("__Host-sid={token}x"),
    ] {
        let mut browser = world.stranger();
        browser.headers = vec![("cookie".into(), line.clone())];
        assert_eq!(browser.get([Step::Keys]).await.body, "[[]]", "{line}");
    }
}

pub(super) async fn h3_a_persistent_cookie_slides_though_each_request_commits(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::Remember(3_600)]).await;
    for steps in [
        vec![add("n")],
        vec![insert("a", 1), Step::Save],
        vec![add("n"), Step::Save, add("n")],
        vec![add("n"), insert("b", 1)],
    ] {
        world.advance(60);
        let response = visitor.post(steps.clone()).await;
        let text = response.set_cookie().expect("the cookie slides");
        assert!(text.contains("; Max-Age=3600;"), "{steps:?}: {text}");
        let response = visitor.post(steps).await;
        assert_eq!(response.set_cookie(), None, "once per interval");
    }
}

pub(super) async fn h3_a_persistent_cookie_slides_under_steady_writes(harness: &dyn HttpHarness) {
    for step in [Step::UpdateAdd("n".into()), add("n")] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        visitor.post([Step::Remember(3_600)]).await;
        let mut sent = Vec::new();
        for _ in 0..6 {
            world.advance(30);
            let response = visitor.post([step.clone()]).await;
            sent.push(response.set_cookie().is_some());
        }
        assert_eq!(sent, [false, true, false, true, false, true], "{step:?}");
    }
}

pub(super) async fn h3_a_socket_leaves_a_persistent_cookie_to_a_request(harness: &dyn HttpHarness) {
    let world = World::new(harness).await;
    let mut visitor = world.visitor().await;
    visitor.post([Step::Remember(3_600)]).await;
    visitor.get([Step::After("writes".into(), vec![add("n")])]).await;
    world.advance(60);
    world.release("writes", 1).await;
    assert_eq!(world.probe.outcome("writes").await, "[1]");
    assert!(visitor.get([]).await.set_cookie().is_some());
    let socket = vec![Step::Touch, wait("later"), Step::Touch];
    visitor.get([Step::After("socket".into(), socket)]).await;
    world.spy.reset();
    world.advance(60);
    world.release("socket", 1).await;
    world.reached("later").await;
    world.assert_calls(NONE);
    assert!(visitor.get([]).await.set_cookie().is_some());
    world.spy.reset();
    // No request came for two intervals.
    world.advance(120);
    world.release("later", 1).await;
    assert_eq!(world.probe.outcome("socket").await, "[null,null,null]");
    world.assert_calls(Counts { loads: 1, touches: 1, ..NONE });
}

pub(super) async fn h3_a_cookie_that_slides_undoes_no_other_life_of_it(harness: &dyn HttpHarness) {
    for change in [Step::Forget, Step::Remember(60), Step::SetTimeout(7_200)] {
        for seconds in [0, 2] {
            let world = World::new(harness).await;
            let mut visitor = world.visitor().await;
            visitor.post([Step::Remember(3_600)]).await;
            world.advance(60);
            let slow = visitor.start_get([get("seen"), wait("go")]);
            world.reached("go").await;
            assert!(visitor.post([change.clone()]).await.set_cookie().is_some());
            world.advance(seconds);
            world.release("go", 1).await;
            let slow = slow.answer().await;
            assert_eq!((slow.status, slow.set_cookie()), (200, None), "{change:?}");
        }
    }
}

pub(super) async fn h3_a_persistent_cookie_slides_where_its_use_fell_due_meanwhile(
    harness: &dyn HttpHarness,
) {
    for steps in [
        vec![],
        vec![Step::UpdateAdd("n".into())],
        vec![add("n")],
        vec![insert("a", 1), Step::Save],
        vec![Step::Touch],
    ] {
        let world = World::new(harness).await;
        let mut visitor = world.visitor().await;
        visitor.post([Step::Remember(3_600)]).await;
        world.advance(30);
        let slow = visitor.start_post([vec![get("seen"), wait("go")], steps.clone()].concat());
        world.reached("go").await;
        world.advance(30);
        world.release("go", 1).await;
        let slow = slow.answer().await;
        assert!(slow.set_cookie().is_some(), "{steps:?}");
    }
}
