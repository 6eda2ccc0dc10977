use session_test_servers::RedisSentinel;

use crate::process::until;

#[test]
fn the_replica_takes_over_from_a_killed_primary_and_the_killed_one_follows_it() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let first = sentinel.primary().addr();
    let second = sentinel.replica().addr();
    assert_eq!(sentinel.primary_now(), first);
    let addrs: Vec<_> = sentinel
        .sentinels()
        .iter()
        .map(|one| one.addr().to_string())
        .collect();
    assert_eq!(
        sentinel.url(),
        format!("redis+sentinel://{}/sessions", addrs.join(","))
    );
    sentinel
        .primary()
        .command(&["SET", "key", "value"])
        .unwrap();
    sentinel.primary().command(&["WAIT", "1", "60000"]).unwrap();
    sentinel.primary().kill();

    until("the failover", || sentinel.primary_now() == second);
    assert_eq!(
        sentinel.replica().command(&["GET", "key"]).unwrap(),
        "value"
    );

    sentinel.primary().restart().unwrap();
    let primary = sentinel.primary();
    // Its Sentinels also end its connections.
    until("the old primary's obedience", || {
        let role = primary.command(&["ROLE"]);
        role.is_ok_and(|role| role.starts_with("slave"))
    });
    assert_eq!(sentinel.primary_now(), second);
}
