//! Sessions of several kinds in one request, told apart by type.

use super::HttpHarness;
use super::browser::Browser;
use super::message::Response;
use super::script::Step;
use super::world::{COOKIE, NONE, OTHER_COOKIE, World, get, insert};
use crate::conformance::{Counts, Fault, Operation, SpyStore};
use crate::error::StoreErrorKind;

/// The layers of the two kinds in either order.
const BOTH: [&str; 2] = ["/both", "/both/reversed"];
const REVERSED: &str = BOTH[1];

async fn call(browser: &mut Browser, path: &str, scripts: [Vec<Step>; 2]) -> Response {
    let body = serde_json::to_string(&scripts).expect("steps are JSON");
    browser.send("POST", path, &body).await
}

/// The names of the cookies that a response sets, in order of the alphabet.
fn set(response: &Response) -> Vec<&str> {
    let lines = response.all("set-cookie").into_iter();
    let mut names: Vec<_> = lines
        .map(|line| line.split('=').next().expect("a cookie has a name"))
        .collect();
    names.sort_unstable();
    names
}

async fn sessions(store: &SpyStore) -> usize {
    let page = store.inner().scan(Default::default(), 99).await;
    page.expect("the store scans").ids.len()
}

pub(super) async fn h3_each_kind_of_session_sets_its_own_cookie(harness: &dyn HttpHarness) {
    for path in BOTH {
        let world = World::new(harness).await;
        let mut browser = world.stranger();
        let nothing = call(&mut browser, path, [vec![], vec![]]).await;
        assert_eq!(nothing.all("set-cookie"), [""; 0]);
        let response = call(&mut browser, path, [vec![], vec![insert("a", 2)]]).await;
        assert_eq!(set(&response), [OTHER_COOKIE], "{path}");
        let response = call(&mut browser, path, [vec![insert("a", 1)], vec![]]).await;
        assert_eq!(set(&response), [COOKIE], "{path}");
        let mut another = world.stranger();
        let scripts = [vec![insert("a", 3)], vec![insert("a", 4)]];
        let response = call(&mut another, path, scripts).await;
        assert_eq!(set(&response), [OTHER_COOKIE, COOKIE], "{path}");
        for (browser, held) in [(&mut browser, "[[1],[2]]"), (&mut another, "[[3],[4]]")] {
            let response = call(browser, path, [vec![get("a")], vec![get("a")]]).await;
            assert_eq!((response.status, &*response.body), (200, held), "{path}");
            assert_eq!(response.all("set-cookie"), [""; 0]);
        }
        let scripts = [vec![Step::Logout], vec![get("a")]];
        let response = call(&mut browser, path, scripts).await;
        assert_eq!(set(&response), [COOKIE], "{path}");
        assert_eq!((sessions(&world.spy).await, sessions(&world.other).await), (1, 2));
        let response = call(&mut browser, path, [vec![get("a")], vec![get("a")]]).await;
        assert_eq!(response.body, "[[null],[2]]", "a logout ends one of them");
    }
}

pub(super) async fn h4_what_two_kinds_say_of_caches_is_said_once(harness: &dyn HttpHarness) {
    for path in BOTH {
        let world = World::new(harness).await;
        let scripts = || [vec![insert("a", 1)], vec![insert("a", 1)]];
        let response = call(&mut world.stranger(), path, scripts()).await;
        assert_eq!(response.header("vary"), Some("Cookie"), "{path}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
        let world = World::with_other(harness, |config| {
            config.transport(crate::http::Transport::Header("x-other".into()))
        })
        .await;
        let response = call(&mut world.stranger(), path, scripts()).await;
        let mut vary = response.all("vary");
        vary.sort_unstable();
        assert_eq!(vary, ["Cookie", "x-other"], "{path}");
        assert!(response.header("x-other").is_some(), "{path}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
    }
}

pub(super) async fn t3_each_kind_costs_its_own_store_alone(harness: &dyn HttpHarness) {
    let loaded = Counts { loads: 1, ..NONE };
    for path in BOTH {
        let world = World::new(harness).await;
        let mut browser = world.visitor().await;
        call(&mut browser, path, [vec![], vec![get("a")]]).await;
        assert_eq!((world.spy.counts(), world.other.counts()), (loaded, NONE));
        world.spy.reset();
        call(&mut browser, path, [vec![], vec![insert("a", 1)]]).await;
        let created = Counts { creates: 1, ..NONE };
        assert_eq!((world.spy.counts(), world.other.counts()), (loaded, created));
    }
}

pub(super) async fn i2_a_token_of_one_kind_opens_no_session_of_another(harness: &dyn HttpHarness) {
    for path in BOTH {
        let world = World::new(harness).await;
        let mut browser = world.stranger();
        let scripts = [vec![insert("a", 1)], vec![insert("a", 2)]];
        call(&mut browser, path, scripts).await;
        let swapped = [(COOKIE, OTHER_COOKIE), (OTHER_COOKIE, COOKIE)];
        let jar = swapped.map(|(to, from)| (to.to_owned(), browser.jar[from].clone()));
        browser.jar = jar.into();
        let response = call(&mut browser, path, [vec![get("a")], vec![get("a")]]).await;
        assert_eq!(response.body, "[[null],[null]]", "{path}");
    }
}

fn down() -> Fault {
    Fault::Refuse(StoreErrorKind::Unavailable)
}

pub(super) async fn f1_an_error_of_either_kind_is_the_answer(harness: &dyn HttpHarness) {
    for path in BOTH {
        for other_fails in [false, true] {
            let world = World::new(harness).await;
            let (failing, fine) = match other_fails {
                false => (&world.spy, &world.other),
                true => (&world.other, &world.spy),
            };
            let mut browser = world.stranger();
            let scripts = || [vec![insert("a", 1)], vec![insert("a", 2)]];
            call(&mut browser, path, scripts()).await;
            for operation in [Operation::Load, Operation::Update] {
                failing.always(operation, down());
                let scripts = [vec![insert("a", 3)], vec![insert("a", 4)]];
                let response = call(&mut browser, path, scripts).await;
                assert_eq!(response.status, 503, "{path} {operation:?}");
                assert_eq!(response.header("retry-after"), Some("1"));
                let told = "sessions are unavailable at the moment, please try again";
                assert_eq!(response.body, told);
                assert_eq!(response.header("vary"), Some("Cookie"));
                failing.heal();
            }
            // Inside, it was stored before the other failed; outside, the failure discarded it.
            let inside = other_fails == (path == REVERSED);
            let response = call(&mut browser, path, [vec![get("a")], vec![get("a")]]).await;
            let held = match (other_fails, inside) {
                (false, false) => "[[1],[2]]",
                (false, true) => "[[1],[4]]",
                (true, false) => "[[1],[2]]",
                (true, true) => "[[3],[2]]",
            };
            assert_eq!(response.body, held, "{path} {other_fails}");
            assert_eq!(sessions(fine).await, 1);
        }
    }
}

pub(super) async fn t6_what_one_kind_stored_survives_the_others_error(harness: &dyn HttpHarness) {
    for path in BOTH {
        for other_fails in [false, true] {
            for saves in [false, true] {
                let world = World::new(harness).await;
                let (failing, fine) = match other_fails {
                    false => (&world.spy, &world.other),
                    true => (&world.other, &world.spy),
                };
                failing.always(Operation::Create, down());
                let mut stored = vec![insert("a", 1)];
                stored.extend(saves.then_some(Step::Save));
                let mut scripts = [vec![insert("a", 1)], vec![insert("a", 1)]];
                scripts[usize::from(!other_fails)] = stored;
                let mut browser = world.stranger();
                let response = call(&mut browser, path, scripts).await;
                assert_eq!(response.status, 503, "{response:?}");
                assert_eq!(response.header("vary"), Some("Cookie"));
                failing.heal();
                // What lies inside is stored by its layer before the other fails.
                let inside = other_fails == (path == REVERSED);
                let cookie = if other_fails { COOKIE } else { OTHER_COOKIE };
                if saves || inside {
                    assert_eq!(set(&response), [cookie], "{path} {other_fails} {saves}");
                    assert_eq!(response.header("cache-control"), Some("no-store"));
                    assert_eq!(sessions(fine).await, 1);
                    let response = call(&mut browser, path, [vec![get("a")], vec![get("a")]]).await;
                    assert!(response.body.contains("[1]"), "the cookie opens it: {response:?}");
                } else {
                    assert_eq!(response.all("set-cookie"), [""; 0]);
                    assert_eq!(sessions(fine).await, 0);
                }
                assert_eq!(sessions(failing).await, 0);
            }
        }
    }
}

pub(super) async fn t5_a_server_error_discards_the_changes_of_both_kinds(
    harness: &dyn HttpHarness,
) {
    for path in BOTH {
        let world = World::new(harness).await;
        let mut browser = world.stranger();
        let scripts = [vec![insert("a", 1)], vec![insert("a", 1), Step::Status(500)]];
        let response = call(&mut browser, path, scripts).await;
        assert_eq!((response.status, &*response.body), (500, "[[null],[null,null]]"));
        assert_eq!(response.all("set-cookie"), [""; 0]);
        assert_eq!((world.spy.counts(), world.other.counts()), (NONE, NONE));
    }
}

pub(super) async fn h4_clearing_site_data_spares_the_other_kinds_new_cookie(
    harness: &dyn HttpHarness,
) {
    for path in BOTH {
        let world = World::with_other(harness, |config| config.clear_site_data(true)).await;
        for (other, told) in [
            (vec![], r#""cookies", "storage""#),
            (vec![insert("a", 1)], r#""storage""#),
        ] {
            let mut browser = world.stranger();
            call(&mut browser, path, [vec![], vec![insert("a", 1)]]).await;
            let response = call(&mut browser, path, [other, vec![Step::Logout]]).await;
            assert_eq!(response.header("clear-site-data"), Some(told), "{path}");
        }
    }
}
