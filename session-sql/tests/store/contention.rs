//! Many tasks on one table.

use std::collections::BTreeSet;

use session_core::{Created, Record, Store, Touch, Written};
use session_sql::SqlStore;
use tokio::task::JoinSet;

use crate::{START, TIMEOUT, data, id, next, record};

/// Adds one, `times` times, from what is stored; the numbers that were written.
async fn count(store: SqlStore, times: usize) -> Vec<u64> {
    let mut written = Vec::new();
    while written.len() < times {
        let seen = store.load(&id(1)).await.unwrap().unwrap();
        let number: u64 = seen.data.raw("count").unwrap().parse().unwrap();
        let next = next(&seen, &format!("{{\"count\":{}}}", number + 1));
        match store.update(&id(1), &next, seen.version).await.unwrap() {
            Written::Done => written.push(number + 1),
            Written::Conflict => tokio::task::yield_now().await,
            Written::Gone => panic!("nobody deletes it"),
        }
    }
    written
}

in_every_database! {
    async fn sixteen_tasks_of_two_pools_lose_no_increment(database: Database) {
        let stores = [database.open().await, database.open().await];
        let first = Record { data: data(r#"{"count":0}"#), ..record() };
        let _ = stores[0].create(&id(1), &first).await.unwrap();
        let mut counting = JoinSet::new();
        for task in 0..16 {
            counting.spawn(count(stores[task % 2].clone(), 25));
        }
        let written: BTreeSet<u64> = counting.join_all().await.concat().into_iter().collect();
        assert_eq!(written, (1..=400).collect());
        let last = stores[1].load(&id(1)).await.unwrap().unwrap();
        assert_eq!(last.data.raw("count"), Some("400"));
        assert_eq!(last.version.counter(), first.version.counter() + 400);
    }

    async fn sweepers_of_two_pools_meet_writers_and_each_row_is_swept_once(database: Database) {
        let stores = [database.open().await, database.open().await];
        for number in 0..200 {
            let created = stores[0].create(&id(number), &record()).await.unwrap();
            assert_eq!(created, Created::Done);
        }
        let end = START.after(TIMEOUT);
        let mut sweeping = JoinSet::new();
        for sweeper in 0..6 {
            let store = stores[sweeper % 2].clone();
            sweeping.spawn(async move {
                let mut removed = 0;
                for _ in 0..40 {
                    removed += store.sweep(end, 7).await.unwrap();
                }
                removed
            });
        }
        let mut touching = JoinSet::new();
        for number in 0..200 {
            let store = stores[usize::from(number) % 2].clone();
            touching.spawn(async move {
                let accessed_at = START.after(TIMEOUT / 2);
                let touch = Touch { generation: session_core::Generation::FIRST, accessed_at };
                (number, store.touch(&id(number), &touch).await.unwrap())
            });
        }
        let mut kept = 0;
        for (number, written) in touching.join_all().await {
            let there = stores[0].load(&id(number)).await.unwrap().is_some();
            assert_eq!(there, written == Written::Done, "{number}: {written:?}");
            kept += u64::from(there);
        }
        let mut removed: u64 = sweeping.join_all().await.into_iter().sum();
        loop {
            let more = stores[0].sweep(end, 7).await.unwrap();
            removed += more;
            if more == 0 {
                break;
            }
        }
        assert_eq!(removed + kept, 200);
        let left = database.sql("SELECT COUNT(*) FROM {table}").await;
        assert_eq!(left, kept.to_string());
    }
}
