use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use session_test_servers::RedisServer;

use crate::process::state;

#[test]
fn what_redis_acknowledged_is_there_after_a_kill() {
    let mut redis = RedisServer::start().unwrap();
    let port = redis.port();
    redis.command(&["SET", "key", "value"]).unwrap();
    redis.kill();
    redis.command(&["GET", "key"]).unwrap_err();
    redis.restart().unwrap();
    assert_eq!(redis.command(&["GET", "key"]).unwrap(), "value");
    assert_eq!(redis.port(), port);
}

#[test]
fn a_frozen_redis_goes_on_when_it_is_thawed() {
    let redis = RedisServer::start().unwrap();
    redis.freeze();
    assert_eq!(state(redis.pid().unwrap()), Some('T'));
    redis.thaw();
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn a_redis_with_a_password_asks_for_it_and_has_it_in_its_url() {
    let redis = RedisServer::builder()
        .password("pass word\"'")
        .start()
        .unwrap();
    assert_eq!(
        redis.url(),
        format!("redis://:pass%20word%22%27@127.0.0.1:{}", redis.port())
    );
    let asked = redis.command(&["CONFIG", "GET", "requirepass"]).unwrap();
    assert_eq!(asked, "requirepass\npass word\"'");
}

#[test]
fn a_replica_has_its_primarys_data_and_takes_no_write() {
    let primary = RedisServer::builder().password("x").start().unwrap();
    primary.command(&["SET", "key", "value"]).unwrap();
    let replica = RedisServer::builder()
        .password("x")
        .replica_of(primary.port())
        .start()
        .unwrap();
    assert_eq!(replica.command(&["GET", "key"]).unwrap(), "value");
    let refused = replica.command(&["SET", "key", "other"]).unwrap_err();
    assert!(refused.to_string().contains("READONLY"), "{refused}");
}

#[test]
fn a_setting_redis_does_not_know_is_reported_in_its_words() {
    let Err(error) = RedisServer::builder()
        .setting("no-such-setting", "1")
        .start()
    else {
        panic!("it started");
    };
    let error = error.to_string();
    assert!(
        error.starts_with("redis-server ended at its start"),
        "{error}"
    );
    assert!(error.contains("no-such-setting"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_redis_with_tls_shows_a_certificate_of_its_authority() {
    let redis = RedisServer::builder().tls(true).start().unwrap();
    assert_eq!(redis.url(), format!("rediss://127.0.0.1:{}", redis.port()));
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(redis.ca()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(redis.addr()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, stream);
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}
