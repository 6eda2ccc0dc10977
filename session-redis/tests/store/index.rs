//! The owner index.

use std::collections::BTreeSet;
use std::time::Duration;

use session_core::conformance::samples::{self, next_of};
use session_core::{Expiry, Only, Record, SessionId, Store, Written};

use crate::monitor::Monitor;
use crate::{Place, SERVER, open, redis};

/// Lists many ids without a long command, also if all have one score.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sessions_of_one_owner_are_listed() {
    let place = Place::new().await;
    let later = samples::now().after(Duration::from_secs(3600)).as_unix_ms();
    for spread in [1, 0] {
        let name = format!("owner {spread}");
        let index = place.index(&name);
        let mut all = BTreeSet::new();
        let mut command = vec!["ZADD".to_owned(), index];
        for count in 0..10_000 {
            let id = samples::id();
            command.push((later + spread * count / 3).to_string());
            command.push(id.to_string());
            all.insert(id);
        }
        // And a member that is no id.
        command.extend([later.to_string(), "a stranger".to_owned()]);
        redis(&command.iter().map(String::as_str).collect::<Vec<_>>());
        let listed = place.owned_by(&name).await;
        assert_eq!(listed.len(), 10_000);
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_asked_for_by_pages() {
    let server = session_test_servers::RedisServer::start().unwrap();
    let store = open(&server.url(), "session:").await;
    for _ in 0..2_500 {
        let (id, record) = (samples::id(), samples::owned_record("ada"));
        let _ = store.create(&id, &record).await.unwrap();
    }
    let ada = samples::owner("ada");
    store.owned_by(&ada).await.unwrap();
    let mut monitor = Monitor::of(&server);
    assert_eq!(store.owned_by(&ada).await.unwrap().len(), 2_500);
    assert_eq!(monitor.commands(), ["EVALSHA"; 3]);
}

/// A list has a deadline, and the sessions may be of any size.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_large_sessions_reads_little_of_them() {
    let server = session_test_servers::RedisServer::start().unwrap();
    let store = open(&server.url(), "session:").await;
    let large = samples::data(&format!("{{\"text\":\"{}\"}}", "x".repeat(200_000)));
    let mut all = BTreeSet::new();
    for _ in 0..150 {
        let (id, owned) = (samples::id(), samples::owned_record("ada"));
        let record = Record {
            data: large.clone(),
            ..owned
        };
        let _ = store.create(&id, &record).await.unwrap();
        all.insert(id);
    }
    let sent = || {
        let stats = server.command(&["INFO", "stats"]).unwrap();
        let sent = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        sent.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = sent();
    let listed = store.owned_by(&samples::owner("ada")).await.unwrap();
    let sent = sent() - before;
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), all);
    assert!(sent < 1_000_000, "{sent} bytes");
}

/// Many logins and logouts of many sessions between few owners, through two stores: at the end
/// the lists are exactly what the records say.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_change_hands_at_once_end_up_in_the_right_lists() {
    let place = Place::new().await;
    let second = open(&SERVER.url(), &place.prefix).await;
    let owners = ["ada", "bob", "carol"];
    let mut ids = Vec::new();
    for at in 0..24 {
        ids.push(place.stored(&samples::owned_record(owners[at % 3])).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let store = [&place.store, &second][task % 2].clone();
        let ids = ids.clone();
        tasks.spawn(async move {
            for round in 0..60 {
                let id = ids[(task * 7 + round * 5) % ids.len()];
                if round % 10 == 9 {
                    let owner = samples::owner(owners[round % 3]);
                    store.owned_by(&owner).await.unwrap();
                }
                let Some(seen) = store.load(&id).await.unwrap() else {
                    continue;
                };
                if (task, round) == (task, 50) && task < 4 {
                    let _ = store.delete(&id, Only::Any).await.unwrap();
                    continue;
                }
                let owner = match (task + round) % 4 {
                    3 => None,
                    at => Some(samples::owner(owners[at])),
                };
                let next = Record {
                    owner,
                    ..next_of(&seen)
                };
                let _ = store.update(&id, &next, seen.version).await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for owner in owners {
        let listed: BTreeSet<SessionId> = place.owned_by(owner).await.into_iter().collect();
        for id in &ids {
            let record = place.store.load(id).await.unwrap();
            let is_owners =
                record.is_some_and(|record| record.owner == Some(samples::owner(owner)));
            assert!(!is_owners || listed.contains(id), "{owner} misses {id}");
        }
    }
}

/// A writer whose record was refused takes back the entry it made, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_leaves_the_index_as_it_was() {
    let place = Place::new().await;
    let id = place.stored(&samples::owned_record("ada")).await;
    for (name, expected) in [("bob", vec![]), ("ada", vec![id])] {
        let other = samples::owned_record(name);
        let _ = place.store.create(&id, &other).await.unwrap();
        assert_eq!(place.owned_by(name).await, expected);
    }
    let record = samples::owned_record("carol");
    let free = samples::id();
    let next = Record {
        owner: Some(samples::owner("dora")),
        ..next_of(&record)
    };
    let written = place.store.update(&free, &next, record.version).await;
    assert_eq!(written.unwrap(), Written::Gone);
    assert_eq!(redis(&["EXISTS", &place.index("dora")]), "0");
}

/// Whoever read the score before can tell that the entry was claimed since.
#[tokio::test(flavor = "multi_thread")]
async fn every_claim_raises_the_score() {
    let place = Place::new().await;
    let mut record = samples::owned_record("ada");
    let id = place.stored(&record).await;
    let score = || {
        let score = redis(&["ZSCORE", &place.index("ada"), &id.to_string()]);
        score.parse::<i64>().unwrap()
    };
    for minutes in [50, 20, 1, 40] {
        let before = score();
        let shorter = Record {
            expiry: Expiry::new(Some(Duration::from_secs(60 * minutes)), None),
            ..next_of(&record)
        };
        let written = place.store.update(&id, &shorter, record.version).await;
        assert_eq!(written.unwrap(), Written::Done);
        record = shorter;
        assert!(score() > before, "{minutes} minutes");
    }
}

/// Writes that go by a look lose nothing either: each counts, and gives the session to another.
#[tokio::test(flavor = "multi_thread")]
async fn writers_that_change_the_owner_count_exactly() {
    let place = Place::new().await;
    let second = open(&SERVER.url(), &place.prefix).await;
    let record = Record {
        data: samples::data("{\"count\":0}"),
        ..samples::owned_record("nobody")
    };
    let id = place.stored(&record).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let store = [&place.store, &second][task % 2].clone();
        tasks.spawn(async move {
            let mut done = 0;
            while done < 20 {
                let seen = store.load(&id).await.unwrap().unwrap();
                let count: u64 = seen.data.raw("count").unwrap().parse().unwrap();
                let next = Record {
                    owner: Some(samples::owner(&format!("owner {task} {done}"))),
                    ..samples::changed(&seen, &format!("{{\"count\":{}}}", count + 1))
                };
                if store.update(&id, &next, seen.version).await.unwrap() == Written::Done {
                    done += 1;
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let found = place.store.load(&id).await.unwrap().unwrap();
    assert_eq!(found.data.as_str(), "{\"count\":320}");
    let owner = found.owner.unwrap();
    assert_eq!(place.owned_by(owner.as_str()).await, [id]);
}

/// A writer that has claimed the entry and lost takes its claim back late: by then the entry may
/// have gone and come again, for a session that lives.
#[tokio::test(flavor = "multi_thread")]
async fn no_claim_has_the_score_of_one_before_even_if_the_entry_was_gone() {
    let place = Place::new().await;
    let owned = samples::owned_record("ada");
    let id = place.stored(&owned).await;
    let mut scores = std::collections::BTreeSet::new();
    let mut record = owned.clone();
    for round in 0..50 {
        let score = redis(&["ZSCORE", &place.index("ada"), &id.to_string()]);
        assert!(scores.insert(score), "round {round}");
        for owner in [None, owned.owner.clone()] {
            let next = Record {
                owner,
                ..next_of(&record)
            };
            let written = place.store.update(&id, &next, record.version).await;
            assert_eq!(written.unwrap(), Written::Done);
            record = next;
        }
    }
}
