//! URLs that are wrong, or of a kind that was not built in.

use std::time::Duration;

use session_core::ErrorKind;
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::RedisServer;

use crate::probes::{all_ids, cannot_connect, carries_out_everything, create_some};

#[tokio::test]
async fn an_option_that_is_not_known_is_refused_by_name() {
    for (url, name) in [
        ("redis://127.0.0.1?prefx=a", "`prefx`"),
        ("redis://127.0.0.1?ca=/ca.pem", "`ca`"),
        ("redis://127.0.0.1?sentinel_user=a", "`sentinel_user`"),
        ("redis+sentinel://127.0.0.1/a?pool=2", "`pool`"),
        ("redis://127.0.0.1?connections=0", "`connections`"),
        ("redis://127.0.0.1?connections=many", "`connections`"),
        (
            "redis://127.0.0.1?connections=18446744073709551615",
            "`connections`",
        ),
        ("redis://127.0.0.1?connections=1025", "above 1024"),
        ("redis://127.0.0.1?pool=1025", "above 1024"),
        ("redis+unix:///a?database=-", "`database`"),
        ("redis://127.0.0.1?clock_skew=", "whole number of seconds"),
        ("redis://127.0.0.1?clock_skew=30s", "`clock_skew`"),
        ("redis://127.0.0.1?clock_skew=0.5", "`clock_skew`"),
        ("redis://127.0.0.1?clock_skew=-1", "`clock_skew`"),
        (
            "redis://127.0.0.1?clock_skew=3162240001",
            "up to 3162240000",
        ),
        (
            "redis+sentinel://127.0.0.1/a?clock_skew=99999999999999999999",
            "up to 3162240000",
        ),
    ] {
        let error = cannot_connect(url).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error}");
        assert!(error.to_string().contains(name), "{url}: {error}");
    }
}

#[tokio::test]
async fn the_rest_of_a_password_is_not_taken_for_the_name_of_an_option() {
    for url in [
        "redis://127.0.0.1?Hunter2@h",
        "redis://127.0.0.1/1?hunter2:",
    ] {
        let error = cannot_connect(url).await;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = format!("{error} {error:?}").to_lowercase();
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[tokio::test]
async fn a_url_whose_feature_is_off_names_the_feature() {
    for (url, why, on) in [
        (
            "rediss://127.0.0.1",
            "the feature `tls` of session-redis is off",
            cfg!(feature = "tls"),
        ),
        (
            "redis+cluster://127.0.0.1",
            "the feature `cluster` of session-redis is off (`redis-cluster` of session-kit)",
            cfg!(feature = "cluster"),
        ),
        (
            "redis://127.0.0.1?pool=4",
            "the feature `pool` of session-redis is off (`redis-pool` of session-kit)",
            cfg!(feature = "pool"),
        ),
    ] {
        if !on {
            let error = cannot_connect(url).await;
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(
                error.to_string(),
                format!("connecting to redis failed: {why}")
            );
        }
    }
}

#[tokio::test]
async fn prefix_and_database_keep_stores_apart() {
    let server = RedisServer::start().unwrap();
    let mut stores = Vec::new();
    for rest in ["", "/1", "?prefix=a:", "?prefix=b:", "/1?prefix=a%3a"] {
        let url = format!("{}{rest}", server.url());
        let store = RedisStore::connect(&url).await.unwrap();
        carries_out_everything(&store).await;
        let (id, _) = create_some(&store, 1).await[0].clone();
        stores.push((store, id));
    }
    for (store, id) in &stores {
        assert_eq!(all_ids(store).await.into_iter().collect::<Vec<_>>(), [*id]);
    }
    let keys = server.command(&["KEYS", "*"]).unwrap();
    let mut prefixes: Vec<_> = keys
        .lines()
        .filter_map(|key| key.split(':').next())
        .collect();
    prefixes.sort_unstable();
    assert_eq!(prefixes, ["a", "b", "session"]);
}

#[tokio::test]
async fn a_url_says_how_long_after_its_expiry_a_record_is_kept() {
    let server = RedisServer::start().unwrap();
    let of = |rest: &str| RedisConfig::new(format!("{}{rest}", server.url()));
    let century = Duration::from_secs(3_162_240_000);
    for (config, skew) in [
        (of(""), Duration::from_secs(30)),
        (of("?clock_skew=0"), Duration::ZERO),
        (of("?clock_skew=300"), Duration::from_secs(300)),
        (of("?clock_skew=3162240000"), century),
        (of("?clock_skew=300").clock_skew(Duration::MAX), century),
    ] {
        let store = RedisStore::with_config(config).await.unwrap();
        let (id, record) = create_some(&store, 1).await[0].clone();
        let key = format!("session:{}", id.encode().as_str());
        let dropped = server.command(&["PEXPIRETIME", &key]).unwrap();
        let expected = record.expires_at().unwrap().after(skew).as_unix_ms();
        assert_eq!(dropped.trim(), expected.to_string(), "{skew:?}");
    }
}

#[tokio::test]
async fn a_builder_has_the_last_word_over_the_url() {
    let server = RedisServer::start().unwrap();
    let url = format!("{}?prefix=a:", server.url());
    let config = RedisConfig::new(url).prefix("b:");
    let store = RedisStore::with_config(config).await.unwrap();
    create_some(&store, 1).await;
    assert!(server.command(&["KEYS", "*"]).unwrap().starts_with("b:"));
}
