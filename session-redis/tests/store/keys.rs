//! Prefixes.

use std::collections::BTreeSet;

use session_core::conformance::samples;
use session_core::{Created, Cursor, SessionId, Store};
use session_redis::RedisStore;

use crate::{SERVER, open, redis};

async fn all(store: &RedisStore) -> BTreeSet<SessionId> {
    let (mut ids, mut cursor) = (BTreeSet::new(), Cursor::start());
    loop {
        let page = store.scan(cursor, 100).await.unwrap();
        ids.extend(page.ids);
        match page.next {
            Some(next) => cursor = next,
            None => return ids,
        }
    }
}

/// Glob characters, braces and quotes in a prefix mean themselves, and one prefix that begins
/// with another hides nothing and shows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn stores_with_different_prefixes_do_not_see_each_other() {
    let prefixes = [
        "p:", "p:owner:", "p:probe:", "p*", "p?", "p[a-z]", "p[^a]:", "p\\", "{p}", "p{", "p{}",
        "p}{:", "p\u{e9}:", "", "p\"'\n",
    ];
    let mut stores = Vec::new();
    for prefix in prefixes {
        let store = open(&SERVER.url(), prefix).await;
        let (id, record) = (samples::id(), samples::owned_record("ada"));
        let created = store.create(&id, &record).await.unwrap();
        assert_eq!(created, Created::Done);
        assert_eq!(redis(&["EXISTS", &format!("{prefix}{id}")]), "1");
        stores.push((store, id, record, prefix));
    }
    for (store, id, record, prefix) in &stores {
        // Others' keys under no prefix are sessions of their own tests.
        if !prefix.is_empty() {
            assert_eq!(all(store).await, BTreeSet::from([*id]), "{prefix:?}");
        }
        assert!(all(store).await.contains(id), "{prefix:?}");
        let owned = store.owned_by(&samples::owner("ada")).await.unwrap();
        assert_eq!(owned, [*id], "{prefix:?}");
        assert_eq!(store.load(id).await.unwrap().as_ref(), Some(record));
        for (other, ..) in stores.iter().filter(|(_, other, ..)| other != id) {
            assert_eq!(other.load(id).await.unwrap(), None, "{prefix:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_store_is_an_error() {
    let store = open(&SERVER.url(), "cursors:").await;
    for position in ["", "x", "5a0c9d6e", "-1", "99999999999999999999999"] {
        let scanned = store.scan(Cursor::at(position), 10).await;
        assert!(scanned.is_err(), "{position:?} was taken");
    }
}
