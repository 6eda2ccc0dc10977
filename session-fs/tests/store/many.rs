//! Scan and sweep over many sessions.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use session_core::{Created, Cursor, Expiry, SessionId, Store, Token};
use session_fs::FsStore;

use crate::{START, TIMEOUT, folder, id, owned, record};

const MANY: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_sessions_are_listed_and_swept() {
    // In memory where there is room for it: what is tested is not the disk.
    let shm = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(shm).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
    let dir = if free > MANY as u64 * 8192 {
        tempfile::tempdir_in(shm)
    } else {
        tempfile::tempdir()
    }
    .unwrap();
    let store = FsStore::open(dir.path()).unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let (due, mut live) = (record(), record());
                live.accessed_at = START.after(Duration::from_secs(1));
                let mut ids = Vec::new();
                for number in 0..MANY / 16 {
                    let id = Token::random().unwrap().id();
                    let record = if number % 10 == task % 10 {
                        &live
                    } else {
                        &due
                    };
                    assert_eq!(store.create(&id, record).await.unwrap(), Created::Done);
                    ids.push((id, number % 10 == task % 10));
                }
                ids
            })
        })
        .collect();
    let (mut all, mut live) = (HashSet::new(), HashSet::new());
    for task in tasks {
        for (id, lives) in task.await.unwrap() {
            all.insert(id);
            live.extend(lives.then_some(id));
        }
    }
    assert_eq!(listed(&store, 997).await, all);
    let due = START.after(TIMEOUT);
    let mut removed = 0;
    loop {
        let now = store.sweep(due, 10_000).await.unwrap();
        assert!(now <= 10_000);
        removed += now;
        if now < 10_000 {
            break;
        }
    }
    assert_eq!(removed as usize, all.len() - live.len());
    assert_eq!(listed(&store, 5000).await, live);
    assert_eq!(store.sweep(due, 10_000).await.unwrap(), 0);
}

/// What a scan lists, each id once, in order.
async fn listed(store: &FsStore, limit: usize) -> HashSet<SessionId> {
    let (mut found, mut last) = (HashSet::new(), None);
    let mut cursor = Cursor::start();
    loop {
        let page = store.scan(cursor, limit).await.unwrap();
        assert!(page.ids.len() <= limit);
        for id in page.ids {
            assert!(last < Some(id));
            last = Some(id);
            found.insert(id);
        }
        match page.next {
            Some(next) => cursor = next,
            None => return found,
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_list_every_session() {
    let (_dir, store) = folder();
    let mut all = HashSet::new();
    for number in 0..40 {
        assert_eq!(
            store.create(&id(number), &record()).await.unwrap(),
            Created::Done
        );
        all.insert(id(number));
    }
    for limit in [1, 2, 3, 7, 39, 40, 41, usize::MAX] {
        assert_eq!(listed(&store, limit).await, all, "{limit} a page");
    }
    assert!(!store.scan(Cursor::start(), 0).await.unwrap().ids.is_empty());
    for position in ["", "x", "../../etc/passwd", "0".repeat(31).as_str()] {
        assert!(store.scan(Cursor::at(position), 5).await.is_err());
    }
}

#[tokio::test]
async fn a_sweep_removes_up_to_its_limit_and_goes_on_where_it_stopped() {
    let (dir, store) = folder();
    let mut never = owned("ada");
    never.expiry = Expiry::NEVER;
    for number in 0..40 {
        let record = if number % 4 == 3 {
            &never
        } else {
            &owned("ada")
        };
        assert_eq!(
            store.create(&id(number), record).await.unwrap(),
            Created::Done
        );
    }
    let due = START.after(TIMEOUT);
    assert_eq!(
        store
            .sweep(due.before(Duration::from_millis(1)), 9)
            .await
            .unwrap(),
        0
    );
    assert_eq!(store.sweep(due, 0).await.unwrap(), 0);
    for expected in [7, 7, 7, 7, 2, 0] {
        assert_eq!(store.sweep(due, 7).await.unwrap(), expected);
    }
    assert_eq!(listed(&store, 100).await.len(), 10);
    let owner = never.owner.unwrap();
    assert_eq!(store.owned_by(&owner).await.unwrap().len(), 10);
    // What comes before the place where the last sweep stopped is found as well.
    assert_eq!(
        store.create(&id(0), &owned("ada")).await.unwrap(),
        Created::Done
    );
    assert_eq!(
        store.create(&id(2), &owned("ada")).await.unwrap(),
        Created::Done
    );
    assert_eq!(store.sweep(due, 1).await.unwrap(), 1);
    assert_eq!(
        store.create(&id(0), &owned("ada")).await.unwrap(),
        Created::Done
    );
    assert_eq!(store.sweep(due, 5).await.unwrap(), 2);

    let lock = std::fs::File::open(dir.path().join("sweep.lock")).unwrap();
    assert_eq!(
        store.create(&id(0), &owned("ada")).await.unwrap(),
        Created::Done
    );
    lock.lock().unwrap();
    assert_eq!(
        store.sweep(due, 5).await.unwrap(),
        0,
        "another sweeper is at work"
    );
    lock.unlock().unwrap();
    assert_eq!(store.sweep(due, 5).await.unwrap(), 1);
}
