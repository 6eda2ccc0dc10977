//! How long the server keeps records and indices.

use std::time::Duration;

use session_core::conformance::samples;
use session_core::{Expiry, Record, SessionId, Store, Timestamp, Touch, Written};

use crate::{Place, SKEW_MS, number, redis};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// When the server drops the key; `None` for never.
fn dropped_at(key: &str) -> Option<i64> {
    match number(&["PEXPIRETIME", key]) {
        -1 => None,
        -2 => panic!("{key} is not there"),
        at => Some(at),
    }
}

/// The server keeps the record exactly `SKEW` longer than it lives, and the index longer.
async fn expect_kept_long_enough(place: &Place, id: &SessionId, when: &str) {
    let record = place.store.load(id).await.unwrap().unwrap();
    let expires = record.expires_at().map(Timestamp::as_unix_ms);
    let dropped = dropped_at(&place.key(id));
    assert_eq!(dropped, expires.map(|end| end + SKEW_MS), "{when}");
    let Some(owner) = record.owner else { return };
    let index = place.index(owner.as_str());
    let score = number(&["ZSCORE", &index, &id.to_string()]);
    let index_dropped = dropped_at(&index);
    match dropped {
        Some(dropped) => {
            assert!(score >= dropped, "{when}: the entry's time is over before");
            assert!(index_dropped.is_none_or(|at| at > dropped), "{when}: index");
        }
        None => {
            assert!(score > 1_000_000_000_000_000, "{when}: the entry's time");
            assert_eq!(index_dropped, None, "{when}: index");
        }
    }
}

fn limits() -> Vec<Expiry> {
    let in_two_hours = samples::now().after(2 * HOUR);
    vec![
        Expiry::new(Some(HOUR), None),
        Expiry::new(Some(HOUR), Some(in_two_hours)),
        Expiry::new(Some(30 * 24 * HOUR), None),
        Expiry::new(Some(Duration::from_secs(3)), None),
        Expiry::new(None, Some(in_two_hours)),
        Expiry::NEVER,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_record_and_index_as_long_as_they_may_live() {
    let place = Place::new().await;
    for owner in [None, Some(samples::owner("ada"))] {
        for expiry in limits() {
            for later in limits() {
                let record = Record {
                    owner: owner.clone(),
                    expiry,
                    ..samples::plain_record()
                };
                let id = place.stored(&record).await;
                expect_kept_long_enough(&place, &id, "created").await;
                let mut accessed_at = record.accessed_at;
                for step in [MINUTE, 59 * MINUTE, 25 * HOUR] {
                    accessed_at = accessed_at.after(step);
                    let touch = Touch {
                        generation: record.generation,
                        accessed_at,
                    };
                    let touched = place.store.touch(&id, &touch).await.unwrap();
                    // An end that has come is the only one that a touch does not move.
                    if touched == Written::Done && place.store.load(&id).await.unwrap().is_some() {
                        expect_kept_long_enough(&place, &id, "touched").await;
                    }
                }
                let Some(found) = place.store.load(&id).await.unwrap() else {
                    continue;
                };
                // Older than the touches, whose access is kept; as old as they are, with other
                // limits; and in a later step.
                let mut version = found.version;
                let (touched, much_later) = (found.accessed_at, found.accessed_at.after(49 * HOUR));
                for (accessed_at, expiry) in [
                    (record.accessed_at, expiry),
                    (touched, later),
                    (much_later, later),
                ] {
                    let next = Record {
                        expiry,
                        accessed_at,
                        version: version.next().unwrap(),
                        ..found.clone()
                    };
                    let written = place.store.update(&id, &next, version).await;
                    assert_eq!(written.unwrap(), Written::Done);
                    version = next.version;
                    expect_kept_long_enough(&place, &id, "updated").await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_lives_for_ever_only_while_an_entry_does() {
    let place = Place::new().await;
    let record = samples::owned_record("ada");
    let mortal = place.stored(&record).await;
    let lasting = Record {
        expiry: Expiry::NEVER,
        ..samples::owned_record("ada")
    };
    let id = place.stored(&lasting).await;
    let index = place.index("ada");
    assert_eq!(dropped_at(&index), None);
    let only = session_core::Only::Any;
    assert_eq!(place.store.delete(&id, only).await.unwrap(), Written::Done);
    let dropped = dropped_at(&index).expect("no entry is for ever");
    assert!(dropped > dropped_at(&place.key(&mortal)).unwrap());
    assert_eq!(
        place.store.delete(&mortal, only).await.unwrap(),
        Written::Done
    );
    assert_eq!(number(&["EXISTS", &index]), 0);
}

/// Its record was over when it was touched: nothing that could stay for ever takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_touch_that_comes_after_the_end_leaves_nothing() {
    let place = Place::new().await;
    let id = samples::id();
    let record = Record {
        accessed_at: samples::now().before(2 * HOUR),
        ..samples::plain_record()
    };
    redis(&["SET", &place.key(&id), &record.encode()]);
    let touch = Touch {
        generation: record.generation,
        accessed_at: record.accessed_at.after(MINUTE),
    };
    assert_eq!(place.store.touch(&id, &touch).await.unwrap(), Written::Done);
    assert_eq!(number(&["EXISTS", &place.key(&id)]), 0);
}
