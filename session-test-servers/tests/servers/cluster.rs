use session_test_servers::RedisCluster;

#[test]
fn a_cluster_has_three_primaries_and_refers_each_key_to_its_own() {
    let cluster = RedisCluster::start().unwrap();
    assert_eq!(cluster.nodes().len(), 3);
    let ports: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| node.addr().to_string())
        .collect();
    assert_eq!(
        cluster.url(),
        format!("redis+cluster://{}", ports.join(","))
    );
    for key in ["a", "b", "c", "d"] {
        let owner = cluster.primary_of(key.as_bytes());
        let said = cluster.nodes()[owner].command(&["SET", key, "value"]);
        assert_eq!(said.unwrap(), "OK", "{key} on {owner}");
        for (index, other) in cluster.nodes().iter().enumerate() {
            if index != owner {
                let moved = other.command(&["GET", key]).unwrap_err().to_string();
                assert!(moved.contains("MOVED"), "{moved}");
            }
        }
    }
}

#[test]
fn a_replica_takes_over_from_a_killed_primary_and_the_killed_one_follows_it() {
    let mut cluster = RedisCluster::builder().replicas(1).start().unwrap();
    assert_eq!(cluster.nodes().len(), 6);
    let primary = cluster.primary_of(b"key");
    assert!(primary < 3);
    cluster.nodes()[primary]
        .command(&["SET", "key", "value"])
        .unwrap();
    cluster.nodes()[primary]
        .command(&["WAIT", "1", "60000"])
        .unwrap();
    cluster.nodes_mut()[primary].kill();

    let now = cluster.primary_of(b"key");
    assert_eq!(now, primary + 3);
    assert_eq!(
        cluster.nodes()[now].command(&["GET", "key"]).unwrap(),
        "value"
    );

    cluster.nodes_mut()[primary].restart().unwrap();
    cluster.wait_until_ok().unwrap();
    assert_eq!(cluster.primary_of(b"key"), now);
}
