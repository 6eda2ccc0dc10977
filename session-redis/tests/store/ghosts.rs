//! Entries of the owner index whose record is gone.

use std::time::{Duration, Instant};

use session_core::conformance::samples;
use session_core::{Expiry, Only, Record, Store};

use crate::{PATIENCE, Place, redis};

/// The entry's time is over.
fn let_pass(place: &Place, owner: &str, id: &str) {
    redis(&["ZADD", &place.index(owner), "1", id]);
}

fn score(place: &Place, owner: &str, id: &session_core::SessionId) -> String {
    redis(&["ZSCORE", &place.index(owner), &id.to_string()])
}

fn dropped_at(key: &str) -> i64 {
    redis(&["PEXPIRETIME", key]).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_time_is_over_goes_with_its_record_and_not_before() {
    let place = Place::new().await;
    let live = place.stored(&samples::owned_record("ada")).await;
    let changed = place.stored(&samples::owned_record("bob")).await;
    let gone = samples::id();
    let unreadable = samples::id();
    redis(&["SET", &place.key(&unreadable), "{\"format\":1,\"vers"]);
    let odd = samples::id();
    redis(&["LPUSH", &place.key(&odd), "x"]);
    for id in [live, changed, gone, unreadable, odd] {
        let_pass(&place, "ada", &id.to_string());
    }
    let mut listed = place.owned_by("ada").await;
    let mut expected = vec![live, unreadable, odd];
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    for id in [unreadable, odd] {
        assert_eq!(score(&place, "ada", &id), "1");
    }
    let until = score(&place, "ada", &live).parse::<i64>().unwrap();
    assert!(
        until > dropped_at(&place.key(&live)),
        "the entry of a live record"
    );
    for id in [changed, gone] {
        assert_eq!(score(&place, "ada", &id), "", "a ghost is still there");
    }
    assert_eq!(place.owned_by("bob").await, [changed]);
}

/// An index keeps what is left in it, however old.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_old_entries_is_not_dropped_when_one_of_them_is_removed() {
    let place = Place::new().await;
    let unreadable = samples::id();
    redis(&["SET", &place.key(&unreadable), "{\"format\":1,\"vers"]);
    for id in [unreadable, samples::id()] {
        let_pass(&place, "ada", &id.to_string());
    }
    for _ in 0..2 {
        assert_eq!(place.owned_by("ada").await, [unreadable]);
    }
    assert!(dropped_at(&place.index("ada")) > samples::now().as_unix_ms() + 3_000_000);
}

/// Before its time is over an entry may be that of a writer who has not written the record yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_time_is_not_over_is_not_removed() {
    let place = Place::new().await;
    let soon = samples::now().as_unix_ms() - crate::SKEW_MS + 20_000;
    let id = samples::id();
    let index = place.index("ada");
    redis(&["ZADD", &index, &soon.to_string(), &id.to_string()]);
    assert!(place.owned_by("ada").await.is_empty());
    assert_eq!(score(&place, "ada", &id), soon.to_string());
}

/// One owner's name may begin as another's does.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_owner_is_not_listed() {
    let place = Place::new().await;
    let own = place.stored(&samples::owned_record("ada")).await;
    let later = samples::now().as_unix_ms() + 3_600_000;
    for other in [samples::owned_record("adam"), samples::plain_record()] {
        let id = place.stored(&other).await.to_string();
        redis(&["ZADD", &place.index("ada"), &later.to_string(), &id]);
    }
    assert_eq!(place.owned_by("ada").await, [own]);
}

/// What cannot be read may be the owner's.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_listed() {
    let place = Place::new().await;
    let whole = samples::owned_record("ada").encode();
    let mut listed = Vec::new();
    for damaged in [&whole[..40], &whole[..whole.len() - 1], ""] {
        let id = place.stored(&samples::owned_record("ada")).await;
        redis(&["SET", &place.key(&id), damaged]);
        listed.push(id);
    }
    let odd = place.stored(&samples::owned_record("ada")).await;
    redis(&["DEL", &place.key(&odd)]);
    redis(&["LPUSH", &place.key(&odd), "x"]);
    listed.push(odd);
    listed.sort();
    assert_eq!(place.owned_by("ada").await, listed);
}

/// Those who log in remove what those who never log out leave behind, so an index that nobody
/// lists does not grow.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_nobody_lists_does_not_grow_for_ever() {
    let place = Place::new().await;
    let index = place.index("ada");
    for _ in 0..100 {
        // Its record expired.
        let_pass(&place, "ada", &samples::id().to_string());
    }
    for _ in 0..10 {
        place.stored(&samples::owned_record("ada")).await;
    }
    assert_eq!(redis(&["ZCARD", &index]), "10");
}

/// Whoever lists while a session with an old entry comes to life loses no entry.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_beside_the_removal_of_its_old_entry_is_listed() {
    let place = Place::new().await;
    for round in 0..150 {
        let id = samples::id();
        let_pass(&place, "ada", &id.to_string());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let store = place.store.clone();
            tasks.spawn(async move {
                store.owned_by(&samples::owner("ada")).await.unwrap();
            });
        }
        let store = place.store.clone();
        tasks.spawn(async move {
            let _ = store
                .create(&id, &samples::owned_record("ada"))
                .await
                .unwrap();
        });
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        assert_eq!(place.owned_by("ada").await, [id], "round {round}");
        let _ = place.store.delete(&id, Only::Any).await.unwrap();
    }
}

/// The real thing: a record that the server drops leaves an entry, and that goes too.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_server_dropped_leaves_the_list() {
    let config = session_redis::RedisConfig::new(crate::SERVER.url())
        .prefix("expiring:")
        .clock_skew(Duration::ZERO);
    let store = session_redis::RedisStore::with_config(config)
        .await
        .unwrap();
    let ada = samples::owner("ada");
    let short = Record {
        expiry: Expiry::new(None, Some(samples::now().after(Duration::from_millis(700)))),
        ..samples::owned_record("ada")
    };
    let (id, lasting) = (samples::id(), samples::id());
    let _ = store.create(&id, &short).await.unwrap();
    let _ = store
        .create(&lasting, &samples::owned_record("ada"))
        .await
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while store.load(&id).await.unwrap().is_some() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // An entry's time is up to 35 minutes longer, by the moment of its claim.
    let index = format!("expiring:owner:{}", blake3::hash(b"ada").to_hex());
    redis(&["ZINCRBY", &index, "-2097152", &id.to_string()]);
    while store.owned_by(&ada).await.unwrap() != [lasting] {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
