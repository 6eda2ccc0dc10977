//! TLS.

use session_core::ErrorKind;
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{Proxy, RedisServer};

use crate::probes::{cannot_connect, carries_out_everything, comes_back};

fn server() -> RedisServer {
    RedisServer::builder().tls(true).start().unwrap()
}

/// Also the test that no provider of cryptography need be installed: none is, in this process.
#[tokio::test]
async fn a_server_is_trusted_by_its_authoritys_certificate() {
    let server = server();
    let url = format!("{}?ca={}", server.url(), server.ca().display());
    carries_out_everything(&RedisStore::connect(&url).await.unwrap()).await;
    let pem = std::fs::read(server.ca()).unwrap();
    let config = RedisConfig::new(server.url()).certificate_authority(pem);
    carries_out_everything(&RedisStore::with_config(config).await.unwrap()).await;
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused() {
    let (server, other) = (server(), server());
    for url in [
        server.url(),
        format!("{}?ca={}", server.url(), other.ca().display()),
    ] {
        let error = cannot_connect(&url).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_file_without_a_certificate_is_told() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for content in [None, Some("-----BEGIN CERTIFICATE-----\n!"), Some("")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = cannot_connect(&format!("{}?ca={}", server.url(), file.display())).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{content:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_and_a_client_without_it_are_errors_and_no_hang() {
    let (plain, secure) = (RedisServer::start().unwrap(), server());
    let ca = secure.ca().display();
    let error = cannot_connect(&format!("rediss://{}?ca={ca}", plain.addr())).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = cannot_connect(&format!("redis://{}", secure.addr())).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_connection_over_tls_is_made_again() {
    let mut server = server();
    let proxy = Proxy::to(server.addr()).unwrap();
    let url = format!(
        "{}?ca={}",
        server.url_at(proxy.addr()),
        server.ca().display()
    );
    let store = RedisStore::connect(&url).await.unwrap();
    carries_out_everything(&store).await;
    proxy.cut();
    comes_back(&store).await;
    server.restart().unwrap();
    comes_back(&store).await;
}
