//! [`Store::update`](crate::Store::update): replaces one version of a record by the next.

use std::time::Duration;

use super::samples::{self, changed, next_of};
use super::steps::{
    create, delete, expect_absent, expect_kept, load, owned_by, stored, touch, update,
};
use super::{Harness, Planted};
use crate::error::StoreErrorKind;
use crate::expiry::Expiry;
use crate::record::{Generation, Record, Version};
use crate::store::{Only, Written};

/// An update replaces every field, whatever stood there before and whatever comes.
pub async fn an_update_replaces_the_whole_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let first = samples::record();
    let (id, mut now) = (stored(&*store, &first).await, first);
    let full = ("every field set again", samples::record());
    for (odd, next) in samples::odd_records().into_iter().chain([full]) {
        // Not below what is stored: that one would be kept.
        let accessed_at = next.accessed_at.max(now.accessed_at);
        let next = Record {
            accessed_at,
            ..next
        };
        let written = update(&*store, &id, &next, now.version).await;
        assert_eq!(written, Written::Done, "{odd}");
        expect_kept(&*store, &id, &next, odd).await;
        now = next;
    }
}

/// An update from a version that is no longer there is refused and writes nothing.
pub async fn a_stale_update_is_refused_and_writes_nothing(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let first = samples::record();
    let id = stored(&*store, &first).await;
    let second = changed(&first, "{\"count\":2}");
    assert_eq!(
        update(&*store, &id, &second, first.version).await,
        Written::Done
    );
    let stale = Record {
        accessed_at: first.accessed_at.after(Duration::from_secs(9)),
        expiry: Expiry::NEVER,
        owner: None,
        ..changed(&first, "{\"stale\":true}")
    };
    let written = update(&*store, &id, &stale, first.version).await;
    assert_eq!(written, Written::Conflict);
    expect_kept(&*store, &id, &second, "after a stale update").await;
}

/// Both parts of a version count, all 64 bits of each: two writers may count alike.
pub async fn versions_are_compared_in_every_bit(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let (counter, nonce) = (0x8000_0000_0000_0002, 0xffff_ffff_ffff_fffe);
    let record = Record {
        version: Version::from_parts(counter, nonce),
        ..samples::record()
    };
    let id = stored(&*store, &record).await;
    for bit in (0..64).map(|bit| 1_u64 << bit) {
        for other in [(counter ^ bit, nonce), (counter, nonce ^ bit)] {
            let other = Version::from_parts(other.0, other.1);
            let written = update(&*store, &id, &next_of(&record), other).await;
            assert_eq!(written, Written::Conflict, "{other}");
        }
    }
    let swapped = Version::from_parts(nonce, counter);
    let written = update(&*store, &id, &next_of(&record), swapped).await;
    assert_eq!(written, Written::Conflict);
    expect_kept(&*store, &id, &record, "after refused updates").await;
}

/// An update of a record that is not there is `Gone` and creates nothing.
pub async fn an_update_creates_nothing(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = samples::id();
    let written = update(&*store, &id, &next_of(&record), record.version).await;
    assert_eq!(written, Written::Gone);
    expect_absent(&*store, &id, "after an update of nothing").await;
    create(&*store, &id, &record).await;
}

/// An update of a deleted record is `Gone` and does not bring it back.
pub async fn an_update_does_not_bring_back_a_deleted_record(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    assert_eq!(delete(&*store, &id, Only::Any).await, Written::Done);
    let written = update(&*store, &id, &next_of(&record), record.version).await;
    assert_eq!(written, Written::Gone);
    expect_absent(&*store, &id, "after an update of a deleted record").await;
}

/// The later time of access stays, though the update knows an earlier one.
pub async fn an_update_keeps_the_access_of_a_touch_in_between(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    let later = record.accessed_at.after(Duration::from_millis(5_001));
    let written = touch(&*store, &id, record.generation, later).await;
    assert_eq!(written, Written::Done);
    let next = changed(&record, "{\"count\":2}");
    assert_eq!(
        update(&*store, &id, &next, record.version).await,
        Written::Done
    );
    let expected = Record {
        accessed_at: later,
        ..next
    };
    expect_kept(&*store, &id, &expected, "after a touch and an update").await;
}

/// An update with a later time of access moves it forward.
pub async fn an_update_moves_the_access_forward(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    let next = Record {
        accessed_at: record.accessed_at.after(Duration::from_millis(1)),
        ..changed(&record, "{\"count\":2}")
    };
    assert_eq!(
        update(&*store, &id, &next, record.version).await,
        Written::Done
    );
    expect_kept(&*store, &id, &next, "after the update").await;
}

/// An expired record is updated like any other: the store does not judge.
pub async fn an_expired_record_is_still_updated(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let expired = samples::expiring_at(samples::now().before(Duration::from_secs(1)));
    let id = stored(&*store, &expired).await;
    let next = Record {
        accessed_at: samples::now(),
        ..changed(&expired, "{\"count\":2}")
    };
    assert_eq!(
        update(&*store, &id, &next, expired.version).await,
        Written::Done
    );
    expect_kept(&*store, &id, &next, "after the update").await;
}

/// The condition of an update is the version and not the generation, which it may change.
pub async fn an_update_replaces_secret_and_generation(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    let renewed = Record {
        generation: record.generation.next(),
        secret: samples::record().secret,
        previous: None,
        ..next_of(&record)
    };
    assert_eq!(
        update(&*store, &id, &renewed, record.version).await,
        Written::Done
    );
    expect_kept(&*store, &id, &renewed, "after the renewal").await;
    let later = samples::now().after(Duration::from_secs(60));
    let written = touch(&*store, &id, record.generation, later).await;
    assert_eq!(written, Written::Conflict, "touching under the old secret");
    let written = delete(&*store, &id, Only::Generation(record.generation)).await;
    assert_eq!(written, Written::Conflict, "deleting under the old secret");
    expect_kept(&*store, &id, &renewed, "after refusals").await;
}

/// The owner index follows a session from nobody to one owner, to another, and to nobody.
pub async fn the_owner_index_follows_every_change(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let mut now = Record {
        owner: None,
        ..samples::record()
    };
    let id = stored(&*store, &now).await;
    for name in [
        Some("ada"),
        Some("ada"),
        Some("bob"),
        None,
        Some("bob"),
        Some("ada"),
    ] {
        let next = Record {
            owner: name.map(samples::owner),
            generation: Generation(now.generation.0 + 1),
            ..next_of(&now)
        };
        assert_eq!(
            update(&*store, &id, &next, now.version).await,
            Written::Done
        );
        expect_kept(&*store, &id, &next, "after a change of owner").await;
        for listed in ["ada", "bob"] {
            let there = owned_by(&*store, listed).await.contains(&id);
            assert_eq!(
                there,
                name == Some(listed),
                "{listed}'s list, owner {name:?}"
            );
        }
        now = next;
    }
}

/// A refused update leaves its record in the list of its owner.
pub async fn a_refused_update_leaves_the_owner_index(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::owned_record("ada");
    let id = stored(&*store, &record).await;
    let stranger = samples::plain_record().version;
    for owner in [Some(samples::owner("bob")), None] {
        let next = Record {
            owner,
            ..next_of(&record)
        };
        let written = update(&*store, &id, &next, stranger).await;
        assert_eq!(written, Written::Conflict);
        assert!(owned_by(&*store, "ada").await.contains(&id));
    }
}

/// An update that finds no room, or is too large, leaves the old record as it was.
pub async fn an_update_without_room_leaves_the_old_record(harness: &dyn Harness) {
    let store = harness.small_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    let mut now = record;
    for bytes in (10..28).map(|power| 1_usize << power) {
        let text = "x".repeat(bytes);
        let next = changed(&now, &format!("{{\"text\":\"{text}\"}}"));
        match store.update(&id, &next, now.version).await {
            Ok(written) => assert_eq!(written, Written::Done),
            Err(error) => {
                let kind = error.kind();
                let refused = [StoreErrorKind::Full, StoreErrorKind::TooLarge];
                assert!(refused.contains(&kind), "{kind:?}");
                return expect_kept(&*store, &id, &now, "after a refused update").await;
            }
        }
        now = next;
    }
    panic!("the small store took 128 MiB");
}

/// An update does not replace what it cannot read.
pub async fn an_unreadable_record_is_not_replaced(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    for what in Planted::ALL {
        let id = samples::id();
        harness.plant(&id, what).await;
        let record = samples::record();
        let written = store.update(&id, &next_of(&record), record.version).await;
        if let Ok(written) = written {
            assert_eq!(written, Written::Conflict, "{what:?}");
        }
        assert!(store.load(&id).await.is_err(), "{what:?} was replaced");
    }
}

/// Two openings of one backend never both update from one version.
pub async fn a_second_opening_cannot_update_from_a_stale_version(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let second = harness.reopen().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    assert_eq!(load(&*second, &id).await.as_ref(), Some(&record));
    let ours = changed(&record, "{\"ours\":1}");
    assert_eq!(
        update(&*store, &id, &ours, record.version).await,
        Written::Done
    );
    let theirs = changed(&record, "{\"theirs\":1}");
    let written = update(&*second, &id, &theirs, record.version).await;
    assert_eq!(written, Written::Conflict);
    for opening in [&store, &second] {
        expect_kept(&**opening, &id, &ours, "after a stale update").await;
    }
}

/// An outage is an error and not a stored change.
pub async fn an_outage_is_never_a_stored_update(harness: &dyn Harness) {
    let store = harness.empty_store().await;
    let record = samples::record();
    let id = stored(&*store, &record).await;
    harness.break_backend().await;
    let written = store.update(&id, &next_of(&record), record.version).await;
    let error = written.expect_err("an outage was answered");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
