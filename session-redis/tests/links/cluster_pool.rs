//! A pool of connections to a cluster, the application's own.

use deadpool_redis::Runtime;
use deadpool_redis::cluster::{Manager, Pool};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::RedisCluster;

use crate::probes::{all_ids, carries_out_everything, comes_back, create_some, keeps_replies_apart};

#[tokio::test]
async fn a_pool_of_connections_to_a_cluster_is_used() {
    let mut cluster = RedisCluster::start().unwrap();
    let nodes = cluster.nodes().iter();
    let urls: Vec<String> = nodes.map(|node| format!("redis://{}", node.addr())).collect();
    let pool = Pool::builder(Manager::new(urls, false).unwrap())
        .max_size(3)
        .runtime(Runtime::Tokio1)
        .build()
        .unwrap();
    let config = RedisConfig::from_cluster_pool(pool.clone()).prefix("a:");
    carries_out_everything(&RedisStore::with_config(config).await.unwrap()).await;
    let store = RedisStore::from_cluster_pool(pool);
    for _ in 0..5 {
        carries_out_everything(&store).await;
        for node in cluster.nodes() {
            node.command(&["SCRIPT", "FLUSH"]).unwrap();
        }
    }
    keeps_replies_apart(&store).await;
    let created = create_some(&store, 100).await;
    let listed = all_ids(&store).await;
    assert!(created.iter().all(|(id, _)| listed.contains(id)));
    cluster.nodes_mut()[0].restart().unwrap();
    comes_back(&store).await;
}
