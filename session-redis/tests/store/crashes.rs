//! Writers that stop between the record and the index: a list may name an id too many, and never
//! misses one.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use session_core::conformance::samples::{self, next_of};
use session_core::{Only, Record, SessionId, Store, Touch};
use session_test_servers::Proxy;

use crate::{PATIENCE, Place, SERVER, open, redis};

/// Whoever owns the record lists it, and whoever lists it may.
async fn expect_listed(place: &Place, id: &SessionId, when: &str) {
    let Some(record) = place.store.load(id).await.unwrap() else {
        return;
    };
    if let Some(owner) = &record.owner {
        let listed = place.store.owned_by(owner).await.unwrap();
        assert!(listed.contains(id), "{when}: {owner} misses its session");
        let score: i64 = redis(&["ZSCORE", &place.index(owner.as_str()), &id.to_string()])
            .parse()
            .unwrap();
        let dropped: i64 = redis(&["PEXPIRETIME", &place.key(id)]).parse().unwrap();
        assert!(score >= dropped, "{when}: the entry's time ends before");
    }
}

/// Polls until it has waited so often, and drops it.
async fn dropped_after<T>(waits: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut waited) = (pin!(future), 0);
    std::future::poll_fn(|context| {
        if waited == waits {
            return Poll::Ready(None);
        }
        waited += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

async fn steps(place: &Place, waits: usize) -> bool {
    let mut ended = true;
    let record = samples::owned_record("ada");
    let id = samples::id();
    let create = place.store.create(&id, &record);
    ended &= dropped_after(waits, create).await.is_some();
    expect_listed(place, &id, "created").await;

    let id = place.stored(&record).await;
    let next = Record {
        owner: Some(samples::owner("bob")),
        ..next_of(&record)
    };
    let update = place.store.update(&id, &next, record.version);
    ended &= dropped_after(waits, update).await.is_some();
    expect_listed(place, &id, "updated").await;

    let id = place.stored(&record).await;
    let touch = Touch {
        generation: record.generation,
        accessed_at: record.accessed_at.after(Duration::from_secs(3 * 86_400)),
    };
    let touched = place.store.touch(&id, &touch);
    ended &= dropped_after(waits, touched).await.is_some();
    expect_listed(place, &id, "touched").await;

    let id = place.stored(&record).await;
    let delete = place.store.delete(&id, Only::Any);
    ended &= dropped_after(waits, delete).await.is_some();
    expect_listed(place, &id, "deleted").await;
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_dropped_at_any_wait_leaves_no_session_unlisted() {
    let place = Place::new().await;
    for waits in 0..200 {
        if steps(&place, waits).await {
            return;
        }
    }
    panic!("an operation waits for ever");
}

/// The connection ends after so many bytes of what a login sends: before, in and after each of
/// its commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_at_any_byte_leaves_no_session_unlisted() {
    let place = Place::new().await;
    let proxy = Proxy::to(SERVER.addr()).unwrap();
    let store = open(&SERVER.url_at(proxy.addr()), &place.prefix).await;
    let (mut bytes, mut record) = (0, samples::owned_record("ada"));
    let id = place.stored(&record).await;
    loop {
        let owner = ["ada", "bob"][usize::from(record.owner == Some(samples::owner("ada")))];
        let next = Record {
            owner: Some(samples::owner(owner)),
            ..next_of(&record)
        };
        proxy.cut_request_after(bytes);
        let written = store.update(&id, &next, record.version).await;
        expect_listed(&place, &id, &format!("after {bytes} bytes")).await;
        record = place.store.load(&id).await.unwrap().unwrap();
        if written.is_ok() {
            assert_eq!(record, next);
            break;
        }
        proxy.flow();
        let deadline = Instant::now() + PATIENCE;
        while store.ping().await.is_err() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bytes += 97;
    }
    assert!(bytes > 1_000, "a login sends more than {bytes} bytes");
}
