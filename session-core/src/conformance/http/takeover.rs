//! I4: a login over another owner's session, which never mixes the two.

use super::HttpHarness;
use super::script::Step;
use super::world::{World, add, get, insert, login, owner, wait};

pub(super) async fn i4_the_former_owners_data_are_out_of_sight(harness: &dyn HttpHarness) {
    for commit in [None, Some(Step::Save), Some(add("n")), Some(Step::Reload)] {
        let world = World::new(harness).await;
        let mut browser = world.member("ada").await;
        let mut steps = vec![insert("hers", 1), login("bob"), get("seen"), Step::Keys];
        steps.extend(commit.clone());
        steps.extend([get("seen"), get("hers"), insert("his", 1)]);
        let response = browser.post(steps).await;
        assert_eq!(response.status, 200, "{commit:?}");
        assert!(response.body.starts_with("[null,null,null,[],"), "{response:?}");
        assert!(response.body.ends_with(",null,null,null]"), "{response:?}");
        let (_, record) = world.record().await;
        assert_eq!(record.owner, Some(owner("bob")));
        let n = if commit == Some(add("n")) { r#""n":1,"# } else { "" };
        assert_eq!(record.data.as_str(), format!(r#"{{{n}"his":1}}"#));
        assert_eq!(browser.get([get("his"), Step::Owner]).await.body, r#"[1,"bob"]"#);
    }
}

pub(super) async fn i4_what_the_former_owner_stores_meanwhile_is_not_taken_over(
    harness: &dyn HttpHarness,
) {
    for empty in [true, false] {
        for own in [vec![], vec![insert("his", 1)], vec![Step::Reload, insert("his", 1)]] {
            let world = World::new(harness).await;
            let mut browser = world.member("ada").await;
            if empty {
                browser.post([Step::Clear]).await;
            }
            let steps = [vec![login("bob"), wait("go")], own.clone(), vec![get("hers")]];
            let slow = browser.start_post(steps.concat());
            world.reached("go").await;
            browser.post([insert("hers", 1), Step::Flash("to ada".into())]).await;
            world.release("go", 1).await;
            let slow = slow.answer().await;
            assert_eq!(slow.status, 200, "{own:?}");
            assert!(slow.body.ends_with(",null]"), "{slow:?}");
            browser.keep(&slow);
            let shown = browser.get([Step::Owner, Step::Keys, Step::TakeFlashes]).await;
            let keys = if own.is_empty() { "" } else { r#""his""# };
            assert_eq!(shown.body, format!(r#"["bob",[{keys}],[]]"#));
        }
    }
}

pub(super) async fn i4_a_save_commits_the_login_over_another_owner(harness: &dyn HttpHarness) {
    for commit in [Step::Save, add("n")] {
        let world = World::new(harness).await;
        let mut browser = world.member("ada").await;
        let steps = [login("bob"), insert("his", 1), commit.clone(), wait("go")];
        let running = browser.start_post([&steps[..], &[Step::Status(500)]].concat());
        world.reached("go").await;
        let (_, record) = world.record().await;
        assert_eq!(record.owner, Some(owner("bob")), "{commit:?}");
        assert_eq!(record.data.raw("seen"), None);
        assert_eq!(record.data.raw("his"), Some("1"));
        world.release("go", 1).await;
        let response = running.answer().await;
        assert_eq!(response.status, 500);
        browser.keep(&response);
        assert_eq!(browser.get([Step::Owner]).await.outcome(0), "bob");
    }
}

pub(super) async fn i4_a_login_taken_back_leaves_nothing_with_the_former_owner(
    harness: &dyn HttpHarness,
) {
    let world = World::new(harness).await;
    let mut browser = world.member("ada").await;
    let before = world.records().await;
    for steps in [
        vec![login("bob"), insert("his", 1), Step::Status(500)],
        vec![insert("hers", 1), login("bob"), insert("his", 1), Step::Status(500)],
        vec![login("bob"), insert("his", 1), Step::Revert],
        vec![login("bob"), insert("his", 1), Step::Revert, Step::Save],
    ] {
        let response = browser.post(steps.clone()).await;
        assert_eq!(response.set_cookie(), None);
        assert_eq!(world.records().await, before, "{steps:?}");
    }
    let steps = [login("bob"), insert("his", 1), Step::Revert];
    let shown = [get("his"), get("seen"), Step::Owner];
    let response = browser.post([&steps[..], &shown[..]].concat()).await;
    assert_eq!(response.body, r#"[null,null,null,null,1,"ada"]"#);
}
