//! `owner_sessions_max`: how many sessions an owner may have at once, over this store.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::Harness;
use super::devices::{expired, manager, used_ago};
use super::history::request::Request;
use super::samples::{self, owner};
use super::steps::{delete, expect_kept, owned_by, stored};
use crate::OnTooMany::{self, EndOldest, Refuse};
use crate::error::ErrorKind;
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::store::{Only, Store, Written};

/// Signs `name` in with a browser that has no session; 409 is an error.
async fn sign_in(manager: &SessionManager, name: &str) -> Result<(), ErrorKind> {
    let request = Request::begin(manager, "").await;
    let request = request.expect("a request without a cookie begins");
    request.session.login(owner(name));
    request.finish().await.map(|_| ())
}

async fn sessions(manager: &SessionManager, name: &str) -> Vec<SessionId> {
    let list = manager.sessions_of(&owner(name)).await;
    list.expect("a list").iter().map(|info| info.id).collect()
}

/// A login beyond the limit ends the owner's sessions that were used longest ago; nobody else's.
pub async fn of_too_many_sessions_those_used_longest_ago_end(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| {
        config.owner_sessions_max(3, EndOldest)
    });
    let mut ids = Vec::new();
    for minutes in [7, 1, 9, 2, 5] {
        ids.push(stored(&*store, &used_ago("ada", minutes)).await);
    }
    let bob = used_ago("bob", 50);
    let other = stored(&*store, &bob).await;
    sign_in(&manager, "ada").await.expect("the login is let in");
    let left = sessions(&manager, "ada").await;
    assert_eq!(left[1..], [ids[1], ids[3]], "and the new one");
    assert!(!ids.contains(&left[0]));
    assert_eq!(owned_by(&*store, "ada").await.len(), 3);
    expect_kept(&*store, &other, &bob, "it is bob's").await;
}

/// A login beyond the limit is refused where that is asked for, and leaves nothing behind.
pub async fn a_login_too_many_is_refused_and_changes_nothing(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config.owner_sessions_max(2, Refuse));
    let (one, two) = (used_ago("ada", 1), used_ago("ada", 2));
    let ids = [stored(&*store, &one).await, stored(&*store, &two).await];
    // Expired, and still there for a while: it does not count.
    let expired = stored(&*store, &expired("ada")).await;
    assert_eq!(sign_in(&manager, "ada").await, Err(ErrorKind::Gone));
    sign_in(&manager, "bob").await.expect("bob has none");
    expect_kept(&*store, &ids[0], &one, "after a refused login").await;
    expect_kept(&*store, &ids[1], &two, "after a refused login").await;
    let mut listed = owned_by(&*store, "ada").await;
    listed.remove(&expired);
    assert_eq!(listed, BTreeSet::from(ids));
    assert_eq!(delete(&*store, &ids[0], Only::Any).await, Written::Done);
    sign_in(&manager, "ada").await.expect("there is room again");
    assert_eq!(sessions(&manager, "ada").await.len(), 2);
}

/// Once all of the logins that raced are answered, at most so many sessions are left as the limit
/// allows.
pub async fn logins_at_once_leave_at_most_the_limit(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    race(&[store]).await;
}

/// The same on two nodes.
pub async fn logins_at_once_through_two_openings_leave_at_most_the_limit(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    race(&[store, harness.reopen().await]).await;
}

async fn race(openings: &[Arc<dyn Store>]) {
    for then in [EndOldest, Refuse] {
        let limited = |store: &Arc<dyn Store>| {
            manager(store.clone(), |config| config.owner_sessions_max(2, then))
        };
        let nodes: Vec<_> = openings.iter().map(limited).collect();
        for round in 0..5 {
            race_once(&nodes, then, &format!("ada-{round}")).await;
        }
    }
}

async fn race_once(nodes: &[SessionManager], then: OnTooMany, name: &str) {
    let mut logins = JoinSet::new();
    for node in nodes.iter().cycle().take(8) {
        let (node, name) = (node.clone(), name.to_owned());
        logins.spawn(async move { sign_in(&node, &name).await });
    }
    let answers = logins.join_all().await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    let mut left = BTreeSet::new();
    for node in nodes {
        left.extend(sessions(node, name).await);
    }
    let left = left.len();
    assert!(left <= 2, "{left} of 8 sessions are left: {then:?}");
    match then {
        EndOldest => assert_eq!(refused, 0, "logins that were refused"),
        Refuse => assert_eq!(left, 8 - refused, "whoever was let in is in"),
    }
    let ended = nodes[0].revoke_owner(&samples::owner(name), None).await;
    assert_eq!(ended.expect("revoke_owner failed"), left as u64);
}
