//! How many commands an operation is.

use std::time::Duration;

use session_core::conformance::samples::{self, next_of, owner};
use session_core::{Only, Record, Store, Touch, Written};
use session_redis::RedisStore;
use session_test_servers::RedisServer;

use crate::monitor::Monitor;
use crate::open;

/// The store has taught the server its scripts.
async fn warm(server: &RedisServer) -> RedisStore {
    let store = open(&server.url(), "session:").await;
    for name in ["ada", "bob"] {
        let (id, record) = (samples::id(), samples::owned_record(name));
        let _ = store.create(&id, &record).await.unwrap();
        let next = Record {
            owner: Some(owner("carol")),
            ..next_of(&record)
        };
        let _ = store.update(&id, &next, record.version).await.unwrap();
        let touch = touch_of(&next, Duration::from_secs(1));
        let _ = store.touch(&id, &touch).await.unwrap();
        store.owned_by(&owner(name)).await.unwrap();
        let _ = store.delete(&id, Only::Any).await.unwrap();
        store.ping().await.unwrap();
    }
    store
}

fn touch_of(record: &Record, later: Duration) -> Touch {
    Touch {
        generation: record.generation,
        accessed_at: record.accessed_at.after(later),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_one_command_and_what_changes_the_owner_writes_the_index_too() {
    let server = RedisServer::start().unwrap();
    let store = warm(&server).await;
    let mut monitor = Monitor::of(&server);
    for record in [samples::plain_record(), samples::owned_record("ada")] {
        let owned = record.owner.is_some();
        let id = samples::id();

        let _ = store.create(&id, &record).await.unwrap();
        let claim_and_write: &[&str] = &["EVALSHA", "EVALSHA"];
        let expected = &claim_and_write[usize::from(!owned)..];
        assert_eq!(monitor.commands(), expected, "create");

        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
        assert_eq!(monitor.commands(), ["GET"], "load");

        let next = Record {
            generation: record.generation.next(),
            ..next_of(&record)
        };
        let written = store.update(&id, &next, record.version).await.unwrap();
        assert_eq!(written, Written::Done);
        assert_eq!(monitor.commands(), ["EVALSHA"], "update and renew");

        let touch = touch_of(&next, Duration::from_millis(1));
        let written = store.touch(&id, &touch).await.unwrap();
        assert_eq!(written, Written::Done);
        assert_eq!(monitor.commands(), ["EVALSHA"], "touch");

        let stale = store.update(&id, &next_of(&record), record.version).await;
        assert_eq!(stale.unwrap(), Written::Conflict);
        assert_eq!(monitor.commands(), ["EVALSHA"], "a refused update");

        let login = Record {
            owner: Some(owner("bob")),
            ..next_of(&next)
        };
        let written = store.update(&id, &login, next.version).await.unwrap();
        assert_eq!(written, Written::Done);
        let look_claim_write = ["EVALSHA"; 3];
        let expected = if owned {
            // And between them, where the old owner's entry stands; at last it goes.
            vec!["EVALSHA", "ZSCORE", "EVALSHA", "EVALSHA", "EVALSHA"]
        } else {
            look_claim_write.to_vec()
        };
        assert_eq!(monitor.commands(), expected, "login");

        let only = Only::Generation(login.generation);
        assert_eq!(store.delete(&id, only).await.unwrap(), Written::Done);
        assert_eq!(monitor.commands(), ["EVALSHA", "EVALSHA"], "delete");
    }
    let id = samples::id();
    let record = samples::plain_record();
    let _ = store.create(&id, &record).await.unwrap();
    let _ = store.delete(&id, Only::Any).await.unwrap();
    assert_eq!(monitor.commands(), ["EVALSHA"; 2], "without an owner");
    store.owned_by(&owner("ada")).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(monitor.commands(), ["EVALSHA"; 2], "owned_by and ping");
}

/// A touch within the step that the index speaks for is one command, the first of the next step
/// moves the index before the record.
#[tokio::test(flavor = "multi_thread")]
async fn touches_write_the_index_once_in_a_step() {
    let server = RedisServer::start().unwrap();
    let store = warm(&server).await;
    let mut monitor = Monitor::of(&server);
    let record = samples::owned_record("ada");
    let id = samples::id();
    let _ = store.create(&id, &record).await.unwrap();
    monitor.commands();
    let mut moves = 0;
    for minute in 1..=180 {
        let touch = touch_of(&record, Duration::from_secs(60 * minute));
        let written = store.touch(&id, &touch).await.unwrap();
        assert_eq!(written, Written::Done);
        match monitor.commands().len() {
            1 => {}
            3 => moves += 1,
            other => panic!("a touch of {other} commands"),
        }
    }
    // The time-out is an hour.
    assert_eq!(moves, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_is_taught_them_again() {
    let server = RedisServer::start().unwrap();
    let store = warm(&server).await;
    let forget = || server.command(&["SCRIPT", "FLUSH"]).unwrap();
    let (id, mut record) = (samples::id(), samples::owned_record("ada"));
    forget();
    let _ = store.create(&id, &record).await.unwrap();
    for step in 0..3 {
        forget();
        let next = Record {
            owner: Some(owner(["ada", "bob", "bob"][step])),
            ..next_of(&record)
        };
        let written = store.update(&id, &next, record.version).await.unwrap();
        assert_eq!(written, Written::Done);
        record = next;
        forget();
        let touch = touch_of(&record, Duration::from_secs(1));
        assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
        record.accessed_at = touch.accessed_at;
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
    }
    forget();
    assert_eq!(store.owned_by(&owner("bob")).await.unwrap(), [id]);
    forget();
    assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
    assert_eq!(store.load(&id).await.unwrap(), None);
    assert!(store.owned_by(&owner("bob")).await.unwrap().is_empty());
}
