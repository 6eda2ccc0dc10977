//! [`Store::create`](crate::Store::create): stores where nothing is, and only there.

use std::time::Duration;

use super::samples::{self, changed, odd_ids, odd_records};
use super::steps::{create, delete, expect_absent, expect_kept, load, stored, update};
use super::{Harness, Planted};
use crate::error::StoreErrorKind;
use crate::id::SessionId;
use crate::record::Record;
use crate::store::{Created, Only, Written};

/// What was created is what `load` answers, whatever is unusual in it.
pub async fn a_created_record_is_loaded_whole(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for (odd, record) in odd_records() {
        let id = stored(&*store, &record).await;
        expect_kept(&*store, &id, &record, odd).await;
    }
}

/// A megabyte of data is kept to the byte.
pub async fn a_record_of_a_megabyte_is_kept_whole(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = Record {
        data: samples::megabyte(),
        ..samples::record()
    };
    let id = stored(&*store, &record).await;
    expect_kept(&*store, &id, &record, "after creating a megabyte").await;
    let smaller = changed(&record, "{\"small\":1}");
    let written = update(&*store, &id, &smaller, record.version).await;
    assert_eq!(written, Written::Done);
    expect_kept(&*store, &id, &smaller, "after replacing a megabyte").await;
}

/// Creating under a taken id answers `Taken` and leaves what is there.
pub async fn a_taken_id_stays_as_it_was(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    for other in [
        changed(&record, "{\"count\":2}"),
        samples::plain_record(),
        record.clone(),
    ] {
        assert_eq!(store.create(&id, &other).await.unwrap(), Created::Taken);
        expect_kept(&*store, &id, &record, "after a refused create").await;
    }
}

/// A record that has expired and is still there takes its id.
pub async fn an_expired_record_takes_its_id(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let expired = samples::expiring_at(samples::now().before(Duration::from_secs(1)));
    let id = stored(&*store, &expired).await;
    let created = store.create(&id, &samples::record()).await.unwrap();
    assert_eq!(created, Created::Taken);
    expect_kept(&*store, &id, &expired, "after a refused create").await;
}

/// An undecodable record, or one of a newer format, takes its id and stays.
pub async fn an_unreadable_record_takes_its_id(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for what in Planted::ALL {
        let id = samples::id();
        harness.plant(&id, what).await;
        let created = store.create(&id, &samples::record()).await.unwrap();
        assert_eq!(created, Created::Taken, "{what:?}");
        assert!(store.load(&id).await.is_err(), "{what:?} was replaced");
    }
}

/// Ids that differ in a single bit name different records.
pub async fn ids_that_differ_in_one_bit_are_different(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let origin = *samples::id().as_bytes();
    let mut all = vec![(SessionId::from_bytes(origin), samples::plain_record())];
    for bit in 0..8 * SessionId::BYTES {
        let mut bytes = origin;
        bytes[bit / 8] ^= 1 << (bit % 8);
        all.push((SessionId::from_bytes(bytes), samples::plain_record()));
    }
    for (id, record) in &all {
        create(&*store, id, record).await;
    }
    for (id, record) in &all {
        expect_kept(&*store, id, record, "beside its neighbours").await;
    }
}

/// Ids whose texts differ only in letter case name different records.
pub async fn ids_that_differ_in_letter_case_are_different(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let id = samples::id();
    let record = samples::record();
    create(&*store, &id, &record).await;
    for twin in samples::case_twins(&id) {
        expect_absent(&*store, &twin, "before it was created").await;
        let other = samples::plain_record();
        create(&*store, &twin, &other).await;
        expect_kept(&*store, &twin, &other, "the twin").await;
        expect_kept(&*store, &id, &record, "the first").await;
    }
}

/// Ids of zeros, of ones, and those whose bytes look like paths or statements are ordinary.
pub async fn ids_of_unusual_bytes_are_ordinary(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let all: Vec<_> = odd_ids()
        .into_iter()
        .map(|id| (id, samples::record()))
        .collect();
    for (id, record) in &all {
        create(&*store, id, record).await;
    }
    for (id, record) in &all {
        expect_kept(&*store, id, record, "under an unusual id").await;
    }
    for (id, _) in &all {
        assert_eq!(delete(&*store, id, Only::Any).await, Written::Done);
        expect_absent(&*store, id, "after its deletion").await;
    }
}

/// A deleted record's id is free.
pub async fn an_id_is_free_after_a_delete(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let id = stored(&*store, &samples::record()).await;
    assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    let second = samples::plain_record();
    create(&*store, &id, &second).await;
    expect_kept(&*store, &id, &second, "after creating again").await;
}

/// A store without room refuses the new record with `Full`, writes nothing, and keeps what it
/// has; room that is given back is used.
pub async fn a_full_store_refuses_and_writes_nothing(harness: &dyn Harness) {
    let store = harness.small_store().await;
    let record = Record {
        agent: Some("x".repeat(256).into()),
        data: samples::data(&format!("{{\"text\":\"{}\"}}", "x".repeat(256))),
        ..samples::record()
    };
    let mut kept = Vec::new();
    let (refused, error) = loop {
        let id = samples::id();
        match store.create(&id, &record).await {
            Ok(created) => assert_eq!(created, Created::Done),
            Err(error) => break (id, error),
        }
        kept.push(id);
        assert!(
            kept.len() <= 10_000,
            "the small store takes more than 10,000 records"
        );
    };
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!(
        load(&*store, &refused).await,
        None,
        "a refused record is there"
    );
    for id in &kept {
        expect_kept(&*store, id, &record, "in a full store").await;
    }
    // Buffers and pages are counted too, so one record's room need not make room for another.
    assert!(!kept.is_empty(), "the small store has room for one record");
    for id in &kept[..kept.len().div_ceil(10)] {
        assert_eq!(delete(&*store, id, Only::Any).await, Written::Done);
    }
    create(&*store, &refused, &record).await;
}

/// What one opening of the backend created another one loads, and cannot create again.
pub async fn a_created_record_is_seen_by_a_second_opening(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let second = harness.reopen().await;
    let record = samples::record();
    let id = samples::id();
    expect_absent(&*second, &id, "before it was created").await;
    create(&*store, &id, &record).await;
    expect_kept(&*second, &id, &record, "in the second opening").await;
    let created = second.create(&id, &samples::plain_record()).await.unwrap();
    assert_eq!(created, Created::Taken);
    let third = harness.reopen().await;
    expect_kept(&*third, &id, &record, "in an opening made after it").await;
}

/// An outage is an error and not a stored session.
pub async fn an_outage_is_never_a_created_session(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    harness.break_backend().await;
    let error = store
        .create(&samples::id(), &samples::record())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
