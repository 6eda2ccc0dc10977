//! Sessions opened and ended from outside of a request, over this store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};

use super::devices::{manager, used_ago};
use super::history::request::{Request, cookie};
use super::samples;
use super::steps::{create, expect_absent, load, owned_by, scan, stored};
use super::{Harness, Planted};
use crate::error::ErrorKind;
use crate::id::Token;
use crate::record::Record;
use crate::session::Session;

async fn add(session: &Session) {
    let added = session.transact(|draft| {
        let n = draft.get::<u64>("n")?.unwrap_or(0) + 1;
        draft.insert("n", n)
    });
    added.await.expect("the session lives on");
}

/// An administrator's handle and the client's requests lose nothing to each other, and what the
/// administrator does is no access.
pub async fn an_opened_session_is_changed_beside_its_client(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let token = Token::random().expect("the operating system has random bytes");
    let record = Record {
        secret: token.digest(),
        accessed_at: samples::now().before(Duration::from_secs(1_800)),
        ..samples::owned_record("ada")
    };
    let id = token.id();
    create(&*store, &id, &record).await;
    let [admin, node] = [(); 2].map(|()| manager(store.clone(), |config| config));
    let session = admin.open(&id).await.expect("open failed");
    let session = session.expect("the session lives");
    assert_eq!(session.owner(), record.owner);
    add(&session).await;
    let accessed = load(&*store, &id).await.map(|record| record.accessed_at);
    assert_eq!(accessed, Some(record.accessed_at), "no access");
    let mut adding = JoinSet::new();
    for turn in 0..20 {
        let (session, node) = (session.clone(), node.clone());
        let cookie = cookie(&token.expose(None));
        adding.spawn(async move {
            if turn % 2 == 0 {
                return add(&session).await;
            }
            let request = Request::begin(&node, &cookie).await.expect("it is let in");
            add(&request.session).await;
            request.finish().await.expect("it is answered");
        });
    }
    adding.join_all().await;
    let stored = load(&*store, &id).await.expect("nobody ends it");
    assert_eq!(stored.data.raw("n"), Some("21"));
    assert!(
        stored.accessed_at > record.accessed_at,
        "the client's access"
    );
    let ended = admin.revoke(&id).await;
    assert!(ended.expect("revoke failed"));
    let refused = session.transact(|draft| draft.insert("late", 1)).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Gone));
    let opened = admin.open(&id).await.expect("open failed");
    assert!(opened.is_none(), "it has ended");
    expect_absent(&*store, &id, "after it was revoked").await;
}

/// Every session is ended: of every owner and of none, expired or never to expire.
pub async fn every_session_is_ended(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config);
    let mut ids = Vec::new();
    for minutes in 0..10 {
        ids.push(stored(&*store, &used_ago("ada", minutes)).await);
        ids.push(stored(&*store, &samples::plain_record()).await);
        ids.push(stored(&*store, &samples::never_expiring()).await);
    }
    let second_ago = samples::now().before(Duration::from_secs(1));
    ids.push(stored(&*store, &samples::expiring_at(second_ago)).await);
    for id in samples::odd_ids() {
        create(&*store, &id, &samples::owned_record("bob")).await;
        ids.push(id);
    }
    let ended = manager.revoke_all().await;
    assert_eq!(ended.expect("revoke_all failed"), ids.len() as u64);
    for id in &ids {
        expect_absent(&*store, id, "after all were revoked").await;
    }
    for name in ["ada", "bob"] {
        assert!(owned_by(&*store, name).await.is_empty(), "{name}");
    }
    assert!(scan(&*store, 100).await.is_empty());
    let again = manager.revoke_all().await;
    assert_eq!(again.expect("revoke_all failed"), 0);
}

/// Records that cannot be read are ended with the others.
pub async fn every_unreadable_session_is_ended(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config);
    let mut ids = Vec::new();
    for planted in Planted::ALL {
        let id = samples::id();
        harness.plant(&id, planted).await;
        ids.push(id);
        ids.push(stored(&*store, &samples::record()).await);
    }
    let ended = manager.revoke_all().await;
    assert_eq!(ended.expect("revoke_all failed"), 4);
    for id in &ids {
        expect_absent(&*store, id, "after all were revoked").await;
    }
    assert!(scan(&*store, 100).await.is_empty());
}

/// While sessions begin, those from before are ended, and the call comes to an end.
pub async fn ending_every_session_beside_logins_comes_to_an_end(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config);
    let mut before = Vec::new();
    for _ in 0..60 {
        before.push(stored(&*store, &samples::owned_record("ada")).await);
    }
    // A set, because it ends what it spawned when this property fails.
    let mut beginning = JoinSet::new();
    for _ in 0..3 {
        let store = Arc::clone(&store);
        beginning.spawn(async move {
            for _ in 0..50 {
                stored(&*store, &samples::owned_record("ada")).await;
                yield_now().await;
            }
        });
    }
    let ended = manager.revoke_all().await;
    assert!(ended.expect("revoke_all failed") >= 60);
    for id in &before {
        expect_absent(&*store, id, "it was there before").await;
    }
    beginning.join_all().await;
}

/// A store that cannot be asked has ended nothing, and says so.
pub async fn an_outage_never_ends_every_session(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let manager = manager(store.clone(), |config| config);
    let record = samples::record();
    let id = stored(&*store, &record).await;
    harness.break_backend().await;
    let ended = manager.revoke_all().await.map_err(|error| error.kind());
    let opened = manager.open(&id).await.map_err(|error| error.kind());
    harness.mend_backend().await;
    assert_eq!(ended, Err(ErrorKind::Unavailable));
    assert!(matches!(opened, Err(ErrorKind::Unavailable)), "{opened:?}");
    let session = manager.open(&id).await.expect("it is back");
    assert!(session.is_some(), "nothing was ended");
}
