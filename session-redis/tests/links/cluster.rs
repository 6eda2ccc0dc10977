//! A cluster whose keys move and whose primaries fail.

use std::time::Duration;

use session_core::conformance::samples;
use session_core::{
    Created, Cursor, SessionConfig, SessionId, SessionManager, Store, StoreErrorKind, Touch,
    Written,
};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{RedisCluster, RedisServer};
use tokio::runtime::Handle;

use crate::probes::{
    PATIENCE, all_ids, carries_out_everything, comes_back, comes_back_to_the_impatient,
    create_some, is_left_alone, is_unreachable, keeps_replies_apart, listed, scripts_run,
    silent_servers, times_run, until, updated,
};

/// A little longer than an answer holds: after it the servers are asked for the map again.
const MAP_HOLDS: Duration = Duration::from_millis(110);

fn key(id: &SessionId) -> String {
    format!("session:{}", id.encode().as_str())
}

/// Waits until a new record on the primary of `id` can be written, by the record itself.
async fn serves(store: &RedisStore, id: &SessionId) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        match store.load(id).await {
            Ok(Some(record)) => {
                let next = samples::next_of(&record);
                if let Ok(written) = store.update(id, &next, record.version).await {
                    assert_eq!(written, Written::Done);
                    return;
                }
            }
            Ok(None) => panic!("an acknowledged record is gone"),
            Err(error) => assert!(std::time::Instant::now() < deadline, "still: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_found_through_any_of_its_servers() {
    let mut cluster = RedisCluster::start().unwrap();
    for node in cluster.nodes() {
        let url = format!("redis+cluster://127.0.0.1:1,{}", node.addr());
        let store = RedisStore::connect(&url).await.unwrap();
        for _ in 0..5 {
            carries_out_everything(&store).await;
        }
    }
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    keeps_replies_apart(&store).await;
    let created = create_some(&store, 200).await;
    let listed = all_ids(&store).await;
    assert!(created.iter().all(|(id, _)| listed.contains(id)));
    for node in cluster.nodes() {
        let on_node: usize = node.command(&["DBSIZE"]).unwrap().trim().parse().unwrap();
        assert!(on_node > 0, "the keys are on all nodes");
        node.command(&["SCRIPT", "FLUSH"]).unwrap();
    }
    for _ in 0..5 {
        carries_out_everything(&store).await;
    }
    let url = cluster.url();
    for node in cluster.nodes_mut() {
        node.kill();
    }
    is_unreachable(&url).await;
}

#[tokio::test]
async fn a_key_is_followed_while_its_slot_moves_and_after() {
    let cluster = RedisCluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let (id, mut record) = create_some(&store, 1).await[0].clone();
    let key = key(&id);
    let from = cluster.primary_of(key.as_bytes());
    let to = (from + 1) % 3;
    let node = |index: usize| -> &RedisServer { &cluster.nodes()[index] };
    let slot = node(0).command(&["CLUSTER", "KEYSLOT", &key]).unwrap();
    let slot = slot.trim();
    let name = |index: usize| node(index).command(&["CLUSTER", "MYID"]).unwrap();
    let (from_name, to_name) = (name(from), name(to));
    let (from_name, to_name) = (from_name.trim(), to_name.trim());
    let set = |index: usize, what: &[&str]| {
        let command = [&["CLUSTER", "SETSLOT", slot][..], what].concat();
        node(index).command(&command).unwrap();
    };
    let mut update = async || {
        record = updated(&store, &id, &record).await;
        assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
    };
    set(to, &["IMPORTING", from_name]);
    set(from, &["MIGRATING", to_name]);
    update().await;
    let port = node(to).port().to_string();
    let migrate = ["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"];
    node(from).command(&migrate).unwrap();
    // The old owner says ASK.
    update().await;
    set(to, &["NODE", to_name]);
    set(from, &["NODE", to_name]);
    // Now it says MOVED.
    update().await;
    assert_eq!(cluster.primary_of(key.as_bytes()), to);
}

#[tokio::test]
async fn a_killed_primary_is_followed_to_its_replica() {
    let mut cluster = RedisCluster::builder().replicas(1).start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let created = create_some(&store, 30).await;
    replicated(&cluster).await;
    let (id, _) = &created[0];
    let old = cluster.primary_of(key(id).as_bytes());
    cluster.nodes_mut()[old].kill();
    serves(&store, id).await;
    assert_ne!(cluster.primary_of(key(id).as_bytes()), old);
    // The new primary may be the first to know that the cluster is up.
    cluster.wait_until_ok().unwrap();
    let listed = all_ids(&store).await;
    for (id, _) in &created {
        assert!(store.load(id).await.unwrap().is_some());
        assert!(listed.contains(id));
    }
    cluster.nodes_mut()[old].restart().unwrap();
    comes_back(&store).await;
}

#[tokio::test]
async fn a_hung_primary_is_left_for_its_replica() {
    let cluster = RedisCluster::builder().replicas(1).start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let (id, _) = create_some(&store, 1).await[0].clone();
    replicated(&cluster).await;
    let old = cluster.primary_of(key(&id).as_bytes());
    cluster.nodes()[old].freeze();
    serves(&store, &id).await;
    cluster.nodes()[old].thaw();
    serves(&store, &id).await;
    cluster.wait_until_ok().unwrap();
    carries_out_everything(&store).await;
}

/// Nor is there an end to the attempt to connect to it anew.
#[tokio::test]
async fn a_hung_primary_is_left_for_its_replica_also_if_nobody_waits_for_the_whole_time_out() {
    let cluster = RedisCluster::builder().replicas(1).start().unwrap();
    let config = RedisConfig::new(cluster.url()).connect_timeout(2 * PATIENCE);
    let store = RedisStore::with_config(config).await.unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    replicated(&cluster).await;
    let old = cluster.primary_of(key(&id).as_bytes());
    cluster.nodes()[old].freeze();
    take_over_from(&cluster, old).await;
    assert_eq!(comes_back_to_the_impatient(&store, &id).await, record);
}

#[tokio::test]
async fn a_full_cluster_takes_the_touches_of_those_who_read() {
    let cluster = RedisCluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let mut stored = create_some(&store, 8).await;
    for _ in 0..8 {
        let (id, record) = (samples::id(), samples::owned_record("ada"));
        assert_eq!(store.create(&id, &record).await.unwrap(), Created::Done);
        stored.push((id, record));
    }
    for node in cluster.nodes() {
        node.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    }
    for (id, mut record) in stored {
        // In the step that the index speaks for, and in the next.
        for later in [1, 3_600] {
            let touch = Touch {
                generation: record.generation,
                accessed_at: record.accessed_at.after(Duration::from_secs(later)),
            };
            assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
            assert!(record.touch(&touch));
            assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
        }
    }
    let created = store.create(&samples::id(), &samples::plain_record()).await;
    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Full);
}

/// The bus is lost, the connections are not: such a primary never says `MOVED`.
#[tokio::test]
async fn a_primary_that_lost_the_others_is_left_for_its_replica() {
    for reads_when_down in ["no", "yes"] {
        let cluster = RedisCluster::builder().replicas(1).start().unwrap();
        let store = RedisStore::connect(&cluster.url()).await.unwrap();
        let (id, mut record) = create_some(&store, 1).await[0].clone();
        replicated(&cluster).await;
        let key = key(&id);
        let old = cut_off(&cluster, &key).await;
        let setting = ["CONFIG", "SET", "cluster-allow-reads-when-down"];
        let setting = [&setting[..], &[reads_when_down]].concat();
        cluster.nodes()[old].command(&setting).unwrap();

        // The first one already, and in whatever order the servers are asked for the map.
        for _ in 0..2 * cluster.nodes().len() {
            record = updated(&store, &id, &record).await;
            assert_eq!(store.load(&id).await.unwrap().as_ref(), Some(&record));
            tokio::time::sleep(MAP_HOLDS).await;
            assert!(all_ids(&store).await.contains(&id));
        }
        let stale = cluster.nodes()[old].command(&["SET", &key, ""]);
        assert!(stale.unwrap_err().to_string().contains("CLUSTERDOWN"));
    }
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_clusters_state_learns_the_slots() {
    let cluster = RedisCluster::start().unwrap();
    let rules = ["on", ">word", "~*", "+@all", "-cluster|info"];
    for node in cluster.nodes() {
        let command = [&["ACL", "SETUSER", "ann"], &rules[..]].concat();
        node.command(&command).unwrap();
    }
    let url = cluster.url().replace("://", "://ann:word@");
    let store = RedisStore::connect(&url).await.unwrap();
    for _ in 0..5 {
        carries_out_everything(&store).await;
    }
}

/// Where all servers take the cluster to be down, there is a map all the same: it may come up.
#[tokio::test]
async fn a_cluster_that_is_down_as_a_whole_is_used_again_when_it_is_up() {
    let mut cluster = RedisCluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let (id, _) = create_some(&store, 1).await[0].clone();
    let lost = (cluster.primary_of(key(&id).as_bytes()) + 1) % 3;
    cluster.nodes_mut()[lost].kill();
    until("the others notice", || {
        let up = |node: &RedisServer| {
            let info = node.command(&["CLUSTER", "INFO"]);
            info.is_ok_and(|info| info.contains("cluster_state:ok"))
        };
        !cluster.nodes().iter().any(up)
    })
    .await;
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("cluster is down"), "{error}");
    let other = RedisStore::connect(&cluster.url()).await.unwrap();
    cluster.nodes_mut()[lost].restart().unwrap();
    for store in [store, other] {
        serves(&store, &id).await;
        comes_back(&store).await;
    }
}

/// Each step of a scan asks for the map, in whatever order: the time of a request has to do.
#[tokio::test]
async fn the_map_is_learned_in_time_however_many_servers_are_silent() {
    let silent = silent_servers(5);
    let cluster = RedisCluster::start().unwrap();
    let url = format!("{},{}", cluster.url(), listed(&silent));
    let config = RedisConfig::new(url).connect_timeout(Duration::from_secs(16));
    let store = RedisStore::with_config(config).await.unwrap();
    let manager = SessionConfig::builder().store_timeout(Duration::from_secs(10));
    let manager = SessionManager::new(store, manager.build().unwrap());
    for _ in 0..cluster.nodes().len() + silent.len() {
        manager.scan(Cursor::start(), 1).await.unwrap();
        tokio::time::sleep(MAP_HOLDS).await;
    }
}

#[tokio::test]
async fn questions_to_silent_servers_leave_nothing_behind() {
    let silent = silent_servers(2);
    let cluster = RedisCluster::start().unwrap();
    let url = format!("{},{}", cluster.url(), listed(&silent));
    let store = RedisStore::connect(&url).await.unwrap();
    for _ in 0..cluster.nodes().len() + silent.len() {
        tokio::time::sleep(MAP_HOLDS).await;
        all_ids(&store).await;
    }
    // Those of the connections, and the one that watches for the end of the runtime.
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let left = cluster.nodes().len() + 1;
    until("the end of the attempts", || tasks() <= left).await;
    for server in &silent {
        server.thaw();
        is_left_alone(server).await;
    }
}

#[tokio::test]
async fn of_a_healthy_cluster_one_server_is_asked_for_the_map() {
    let cluster = RedisCluster::start().unwrap();
    let asked = || {
        let nodes = cluster.nodes().iter();
        nodes.map(|it| times_run(it, "cluster|slots")).sum::<u64>()
    };
    let config = RedisConfig::new(cluster.url()).connect_timeout(PATIENCE);
    let store = RedisStore::with_config(config).await.unwrap();
    assert_eq!(asked(), 1);
    for times in 2..5 {
        tokio::time::sleep(MAP_HOLDS).await;
        store.scan(Cursor::start(), 1).await.unwrap();
        assert_eq!(asked(), times);
    }
}

/// Takes the others from the primary of `key`, and gives its slots to its replica. Which it was.
async fn cut_off(cluster: &RedisCluster, key: &str) -> usize {
    let old = cluster.primary_of(key.as_bytes());
    let nodes = cluster.nodes();
    let others = || nodes.iter().filter(|node| node.addr() != nodes[old].addr());
    for node in others() {
        let name = node.command(&["CLUSTER", "MYID"]).unwrap();
        let forget = ["CLUSTER", "FORGET", name.trim()];
        nodes[old].command(&forget).unwrap();
    }
    take_over_from(cluster, old).await;
    assert_eq!(cluster.primary_of(key.as_bytes()), old + 3);
    old
}

/// Gives the slots of a primary to its replica, and the others know.
async fn take_over_from(cluster: &RedisCluster, old: usize) {
    let nodes = cluster.nodes();
    let others = || nodes.iter().filter(|node| node.addr() != nodes[old].addr());
    let takeover = ["CLUSTER", "FAILOVER", "TAKEOVER"];
    nodes[old + 3].command(&takeover).unwrap();
    let new = format!("127.0.0.1:{}@", nodes[old + 3].port());
    let promoted = |node: &RedisServer| {
        let known = node.command(&["CLUSTER", "NODES"]).unwrap();
        let mut lines = known.lines();
        lines.any(|line| line.contains(&new) && line.contains("master"))
    };
    until("the others know", || others().all(promoted)).await;
}

#[tokio::test]
async fn a_clusters_command_whose_answer_was_late_is_not_sent_again() {
    let cluster = RedisCluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let (id, record) = create_some(&store, 1).await[0].clone();
    let node = &cluster.nodes()[cluster.primary_of(key(&id).as_bytes())];
    let next = updated(&store, &id, &record).await;
    let before = scripts_run(node);
    node.freeze();
    let last = samples::next_of(&next);
    store.update(&id, &last, next.version).await.unwrap_err();
    node.thaw();
    until("the late update", || scripts_run(node) > before).await;
    serves(&store, &id).await;
    // The late one and that of `serves`.
    assert_eq!(scripts_run(node), before + 2);
}

async fn replicated(cluster: &RedisCluster) {
    until("replication", || {
        cluster.nodes().iter().all(|node| {
            let info = node.command(&["INFO", "replication"]).unwrap_or_default();
            let offset = |name: &str| {
                let line = info.lines().find(|line| line.contains(name));
                line.and_then(|line| line.rsplit(['=', ':']).next()?.trim().parse::<u64>().ok())
            };
            let acknowledged = info.lines().find(|line| line.starts_with("slave0:"));
            let acknowledged = acknowledged.and_then(|line| {
                let field = line
                    .split(',')
                    .find_map(|field| field.strip_prefix("offset="));
                field?.parse::<u64>().ok()
            });
            !info.contains("role:master") || acknowledged >= offset("master_repl_offset:")
        })
    })
    .await;
}
