//! What a live session costs a `MemoryStore`, by the process's resident memory; alone in its
//! binary, so that no other test's memory is counted.
#![cfg(target_os = "linux")]

use session_core::{
    Created, Data, Expiry, MemoryStore, Owner, Record, SessionId, Store, Timestamp, Token,
};
use std::time::Duration;

#[tokio::test]
async fn a_session_takes_at_most_one_and_a_half_times_its_stored_bytes_and_200() {
    // Just past a doubling of every map: their emptiest moment.
    const SESSIONS: usize = 64 * 910;
    for (owned, values) in [(false, 1), (true, 1), (false, 40), (true, 40)] {
        let store = MemoryStore::new();
        let stored_bytes = record(0, owned, values).encode().len();
        let before = resident_bytes();
        for n in 0..SESSIONS {
            let id = SessionId::random().unwrap();
            let created = store.create(&id, &record(n, owned, values)).await.unwrap();
            assert_eq!(created, Created::Done);
        }
        let each = resident_bytes().saturating_sub(before) / SESSIONS;
        let most = stored_bytes * 3 / 2 + 200;
        println!("{stored_bytes} stored, {each} in memory, {most} allowed");
        assert!(each <= most, "{each} bytes for {stored_bytes} stored");
        let counted = store.bytes() / SESSIONS;
        assert!(counted * 4 > each * 3, "{counted} counted, {each} taken");
        // Memory of a dropped store is reused and would hide what the next one takes.
        std::mem::forget(store);
    }
}

fn record(n: usize, owned: bool, values: usize) -> Record {
    let values: Vec<_> = (0..values)
        .map(|key| format!("\"key-{key}\":{n}"))
        .collect();
    let at = Timestamp::from_unix_ms(1_764_000_000_000 + n as i64);
    let expiry = Expiry::new(Some(Duration::from_secs(3600)), None);
    Record {
        owner: owned.then(|| Owner::new(format!("user-{n}")).unwrap()),
        data: Data::parse(&format!("{{{}}}", values.join(","))).unwrap(),
        ..Record::new(Token::random().unwrap().digest(), at, expiry).unwrap()
    }
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
