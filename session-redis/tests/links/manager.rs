//! A connection of the application's own.

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use session_core::ErrorKind;
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::RedisServer;

use crate::probes::{PATIENCE, carries_out_everything, comes_back, keeps_replies_apart};

async fn manager(server: &RedisServer) -> ConnectionManager {
    let client = redis::Client::open(server.url()).unwrap();
    // Its own half a second is less than a busy machine may need.
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
    let manager = ConnectionManager::new_with_config(client, config);
    manager.await.unwrap()
}

#[tokio::test]
async fn a_manager_of_the_applications_own_is_used() {
    let server = RedisServer::start().unwrap();
    let store = RedisStore::from_connection_manager(manager(&server).await);
    carries_out_everything(&store).await;
    keeps_replies_apart(&store).await;
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    carries_out_everything(&store).await;
    let config = RedisConfig::from_connection_manager(manager(&server).await).prefix("a:");
    carries_out_everything(&RedisStore::with_config(config).await.unwrap()).await;
}

#[tokio::test]
async fn a_manager_of_the_applications_own_reconnects() {
    let mut server = RedisServer::start().unwrap();
    let store = RedisStore::from_connection_manager(manager(&server).await);
    carries_out_everything(&store).await;
    server.restart().unwrap();
    comes_back(&store).await;
}

#[tokio::test]
async fn a_manager_without_a_server_is_told_when_it_is_connected() {
    let client = redis::Client::open("redis://u:hunter2@127.0.0.1:1").unwrap();
    let config = ConnectionManagerConfig::new().set_number_of_retries(0);
    let manager = ConnectionManager::new_lazy_with_config(client, config).unwrap();
    let config = RedisConfig::from_connection_manager(manager);
    let error = RedisStore::with_config(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("hunter2"));
}
