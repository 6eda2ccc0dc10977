//! "Your devices": the sessions of one owner, shown and ended by way of a manager.

use std::time::Duration;

use super::Harness;
use super::samples::{self, owner};
use super::steps::{expect_absent, expect_kept, load, owned_by, stored, touch};
use crate::clock::{Clock, ManualClock};
use crate::config::{SessionConfig, SessionConfigBuilder};
use crate::id::SessionId;
use crate::manager::{SessionInfo, SessionManager};
use crate::record::Record;
use crate::store::{IntoStore, Written};

/// A manager whose clock stands still at [`samples::now`] and that waits for slow machines.
pub(super) fn manager(
    store: impl IntoStore,
    choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
) -> SessionManager {
    let hands = ManualClock::at_unix_ms(samples::now().as_unix_ms());
    let config = SessionConfig::builder()
        .clock(Clock::manual(&hands))
        .store_timeout(Duration::from_secs(600));
    let config = choose(config).build().expect("the options are allowed");
    SessionManager::new(store, config)
}

/// A record of `name`, last used so many minutes ago.
pub(super) fn used_ago(name: &str, minutes: u64) -> Record {
    Record {
        owner: Some(owner(name)),
        accessed_at: samples::now().before(Duration::from_secs(60 * minutes)),
        ..samples::record()
    }
}

/// A record of `name` that has expired a second ago, so that it is still there.
pub(super) fn expired(name: &str) -> Record {
    let end = samples::now().before(Duration::from_secs(1));
    Record {
        owner: Some(owner(name)),
        ..samples::expiring_at(end)
    }
}

/// The list of an owner's live sessions has the id, the times, the address and the user agent of
/// each, the latest used first.
pub async fn a_device_list_says_all_about_each_session(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config);
    let old = Record {
        address: Some([192, 0, 2, 7].into()),
        agent: Some("curl/8".into()),
        ..used_ago("ada", 20)
    };
    let new = used_ago("ada", 3);
    let bare = Record {
        address: None,
        agent: None,
        created_at: samples::now().before(Duration::from_secs(86_399)),
        ..used_ago("ada", 10)
    };
    let mut expected = Vec::new();
    for record in [&old, &new, &bare] {
        let id = stored(&*store, record).await;
        expected.push(shown(id, record));
    }
    stored(&*store, &used_ago("bob", 1)).await;
    stored(&*store, &samples::plain_record()).await;
    // Expired, and still there for a while.
    stored(&*store, &expired("ada")).await;
    let list = async || manager.sessions_of(&owner("ada")).await.expect("a list");
    let [oldest, newest, middle] = &expected[..] else {
        panic!("three are listed");
    };
    assert_eq!(
        list().await,
        [newest.clone(), middle.clone(), oldest.clone()]
    );
    for info in &expected {
        let found = manager.find(&info.id).await.expect("find failed");
        assert_eq!(found.as_ref(), Some(info));
    }
    let now = samples::now();
    let touched = touch(&*store, &oldest.id, old.generation, now).await;
    assert_eq!(touched, Written::Done);
    let used = SessionInfo {
        accessed_at: now,
        expires_at: old.expiry.timeout().map(|timeout| now.after(timeout)),
        ..oldest.clone()
    };
    assert_eq!(list().await, [used, newest.clone(), middle.clone()]);
}

fn shown(id: SessionId, record: &Record) -> SessionInfo {
    SessionInfo {
        id,
        owner: record.owner.clone(),
        created_at: record.created_at,
        accessed_at: record.accessed_at,
        expires_at: record.expires_at(),
        address: record.address,
        agent: record.agent.clone(),
    }
}

/// Of an owner's sessions one, all but one, or all are ended, and nobody else's.
pub async fn one_all_others_and_all_sessions_of_an_owner_are_ended(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config);
    let ada = owner("ada");
    let strangers = [used_ago("bob", 1), samples::plain_record()];
    let mut others = Vec::new();
    for record in strangers {
        others.push((stored(&*store, &record).await, record));
    }
    let mut ids = Vec::new();
    for minutes in 0..5 {
        ids.push(stored(&*store, &used_ago("ada", minutes)).await);
    }
    let (here, bob) = (&ids[3], owner("bob"));
    let theirs = manager.revoke_of(&bob, &ids[0]).await;
    assert!(!theirs.expect("revoke_of failed"), "it is ada's");
    let one = manager.revoke_of(&ada, &ids[0]).await;
    assert!(one.expect("revoke_of failed"));
    let again = manager.revoke(&ids[0]).await;
    assert!(!again.expect("revoke failed"), "it has ended");
    expect_absent(&*store, &ids[0], "revoked").await;
    assert!(load(&*store, &ids[1]).await.is_some(), "not asked for");
    let rest = manager.revoke_owner(&ada, Some(here)).await;
    assert_eq!(rest.expect("revoke_owner failed"), 3);
    let left = owned_by(&*store, "ada").await;
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [*here]);
    assert!(load(&*store, here).await.is_some(), "it was spared");
    let last = manager.revoke_owner(&ada, None).await;
    assert_eq!(last.expect("revoke_owner failed"), 1);
    expect_absent(&*store, here, "signed out everywhere").await;
    assert!(owned_by(&*store, "ada").await.is_empty());
    for (id, record) in &others {
        expect_kept(&*store, id, record, "it is not ada's").await;
    }
}
