//! Servers that refuse, and values that are no records.

use std::time::{Duration, Instant};

use session_core::conformance::samples::{self, next_of};
use session_core::{Created, Only, Record, Store, StoreErrorKind, Touch, Written};
use session_test_servers::{Proxy, RedisServer};

use crate::{PATIENCE, Place, SERVER, open, redis};

fn touch_of(record: &Record) -> Touch {
    Touch {
        generation: record.generation,
        accessed_at: record.accessed_at.after(Duration::from_secs(1)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_writes_and_lets_sessions_end() {
    let server = RedisServer::start().unwrap();
    let store = open(&server.url(), "session:").await;
    let record = samples::owned_record("ada");
    let id = samples::id();
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
    store.ping().await.unwrap();
    let limit = |bytes: &str| {
        server
            .command(&["CONFIG", "SET", "maxmemory", bytes])
            .unwrap()
    };
    limit("1");

    let full = |error: session_core::StoreError| assert_eq!(error.kind(), StoreErrorKind::Full);
    let other = samples::id();
    for refused in [samples::plain_record(), samples::owned_record("bob")] {
        full(store.create(&other, &refused).await.unwrap_err());
        full(
            store
                .update(&id, &next_of(&record), record.version)
                .await
                .unwrap_err(),
        );
        let login = Record {
            owner: refused.owner,
            ..next_of(&record)
        };
        full(store.update(&id, &login, record.version).await.unwrap_err());
    }
    let error = store.ping().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");

    assert_eq!(store.load(&other).await.unwrap(), None);
    assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
    let owned = store.owned_by(&samples::owner("ada")).await.unwrap();
    assert_eq!(owned, [id]);
    let owned = store.owned_by(&samples::owner("bob")).await.unwrap();
    assert!(owned.is_empty(), "a refused claim stays");
    assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
    let owned = store.owned_by(&samples::owner("ada")).await.unwrap();
    assert!(owned.is_empty());

    limit("0");
    store.ping().await.unwrap();
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_takes_the_touches_of_those_who_read() {
    let server = RedisServer::start().unwrap();
    let store = open(&server.url(), "session:").await;
    let never = samples::never_expiring();
    let mut stored = Vec::new();
    for record in [
        samples::plain_record(),
        samples::owned_record("ada"),
        Record {
            owner: Some(samples::owner("eve")),
            ..never.clone()
        },
        never,
    ] {
        let id = samples::id();
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
        stored.push((id, record));
    }
    server
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .unwrap();
    let number = |command: &[&str]| -> i64 { server.command(command).unwrap().parse().unwrap() };

    for (id, mut record) in stored {
        let index = record.owner.as_ref().map(|owner| {
            let hash = blake3::hash(owner.as_str().as_bytes()).to_hex();
            format!("session:owner:{hash}")
        });
        // In the step of the one before, and in the next one, for which the index has to speak.
        for later in [1, 3_600, 3_601, 86_400] {
            let touch = Touch {
                generation: record.generation,
                accessed_at: record.accessed_at.after(Duration::from_secs(later)),
            };
            assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
            assert!(record.touch(&touch));
            assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
            let expires = record.expires_at().map(session_core::Timestamp::as_unix_ms);
            let dropped = number(&["PEXPIRETIME", &format!("session:{id}")]);
            assert_eq!(dropped, expires.map_or(-1, |end| end + crate::SKEW_MS));
            if let Some(index) = &index {
                let score = number(&["ZSCORE", index, &id.to_string()]);
                assert!(score >= dropped, "the index speaks for it");
                let index_dropped = number(&["PEXPIRETIME", index]);
                assert!(index_dropped == -1 || index_dropped > dropped);
            }
        }
    }
}

/// Where a touch takes memory, nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_touches_that_take_memory() {
    let server = RedisServer::start().unwrap();
    let store = open(&server.url(), "session:").await;
    let (shorter, unlisted) = (samples::plain_record(), samples::owned_record("ada"));
    let (short_id, unlisted_id) = (samples::id(), samples::id());
    let text = shorter.encode().replace(' ', "");
    let key = format!("session:{short_id}");
    server.command(&["SET", &key, &text]).unwrap();
    let created = store.create(&unlisted_id, &unlisted).await.unwrap();
    assert_eq!(created, Created::Done);
    let index = server.command(&["KEYS", "session:owner:*"]).unwrap();
    server.command(&["DEL", index.trim()]).unwrap();
    server
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .unwrap();

    for (id, record) in [(short_id, &shorter), (unlisted_id, &unlisted)] {
        let touch = Touch {
            generation: record.generation,
            accessed_at: record.accessed_at.after(Duration::from_secs(3_600)),
        };
        let error = store.touch(&id, &touch).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(server.command(&["GET", &key]).unwrap(), text);
    let indices = server.command(&["KEYS", "session:owner:*"]).unwrap();
    assert_eq!(indices.trim(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_fails_the_ping_and_every_write() {
    let server = RedisServer::start().unwrap();
    let replica = RedisServer::builder()
        .replica_of(server.port())
        .start()
        .unwrap();
    let store = open(&server.url(), "session:").await;
    let record = samples::plain_record();
    let id = samples::id();
    assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
    store.ping().await.unwrap();

    let store = open(&replica.url(), "session:").await;
    let deadline = Instant::now() + PATIENCE;
    while store.load(&id).await.unwrap().as_ref() != Some(&record) {
        assert!(Instant::now() < deadline, "the replica does not follow");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let unavailable = |error: session_core::StoreError| {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    };
    unavailable(store.ping().await.unwrap_err());
    unavailable(store.create(&samples::id(), &record).await.unwrap_err());
    unavailable(
        store
            .update(&id, &next_of(&record), record.version)
            .await
            .unwrap_err(),
    );
    unavailable(store.touch(&id, &touch_of(&record)).await.unwrap_err());
    unavailable(store.delete(&id, Only::Any).await.unwrap_err());
    assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_type_is_corrupt_and_kept_until_an_administrator_deletes_it() {
    let place = Place::new().await;
    let record = samples::owned_record("ada");
    for command in [
        &["HSET", "format", "1"][..],
        &["RPUSH", "x"],
        &["ZADD", "1", "x"],
    ] {
        let id = samples::id();
        let key = place.key(&id);
        let mut planted = vec![command[0], &key];
        planted.extend(&command[1..]);
        redis(&planted);
        let before = redis(&["DUMP", &key]);
        let corrupt = |error: session_core::StoreError| {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
        };
        corrupt(place.store.load(&id).await.unwrap_err());
        corrupt(
            place
                .store
                .update(&id, &next_of(&record), record.version)
                .await
                .unwrap_err(),
        );
        corrupt(
            place
                .store
                .touch(&id, &touch_of(&record))
                .await
                .unwrap_err(),
        );
        let only = Only::Generation(record.generation);
        corrupt(place.store.delete(&id, only).await.unwrap_err());
        let created = place.store.create(&id, &record).await.unwrap();
        assert_eq!(created, Created::Taken);
        assert_eq!(redis(&["DUMP", &key]), before);
        let deleted = place.store.delete(&id, Only::Any).await.unwrap();
        assert_eq!(deleted, Written::Done);
        assert_eq!(redis(&["EXISTS", &key]), "0");
    }
    assert!(place.owned_by("ada").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_no_bytes_is_corrupt_and_not_absent() {
    let place = Place::new().await;
    let id = samples::id();
    redis(&["SET", &place.key(&id), ""]);
    let record = samples::plain_record();
    let error = place.store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    let error = place
        .store
        .touch(&id, &touch_of(&record))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    let only = Only::Generation(record.generation);
    let error = place.store.delete(&id, only).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert_eq!(redis(&["EXISTS", &place.key(&id)]), "1");
    let deleted = place.store.delete(&id, Only::Any).await.unwrap();
    assert_eq!(deleted, Written::Done);
}

/// An update whose answer was lost is an error; the record is there, and the same update once
/// more is done, once.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_answer_was_lost_is_not_repeated_by_the_store() {
    let proxy = Proxy::to(SERVER.addr()).unwrap();
    let store = open(&SERVER.url_at(proxy.addr()), "lost:").await;
    for owner in [None, Some(samples::owner("ada"))] {
        let record = Record {
            owner,
            ..samples::plain_record()
        };
        let id = samples::id();
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
        let next = samples::changed(&record, "{\"count\":1}");
        let _ = store.update(&samples::id(), &next, record.version).await;
        proxy.lose_next_reply();
        let error = store.update(&id, &next, record.version).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let deadline = Instant::now() + PATIENCE;
        while store.ping().await.is_err() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&next));
        let again = store.update(&id, &next, record.version).await.unwrap();
        assert_eq!(again, Written::Done);
        let other = samples::changed(&record, "{\"count\":1}");
        let stale = store.update(&id, &other, record.version).await.unwrap();
        assert_eq!(stale, Written::Conflict);
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&next));
    }
}
