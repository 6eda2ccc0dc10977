//! No text of ours holds a password.

use std::error::Error as _;
use std::io::Write;
use std::net::TcpListener;

use session_core::{ErrorKind, Store};
use session_redis::{RedisConfig, RedisStore};
use session_test_servers::{Proxy, RedisServer};

use crate::probes::{cannot_connect, carries_out_everything};

const PASSWORD: &str = "p@ss:/w?rd#%";
const ENCODED: &str = "p%40ss%3A%2Fw%3Frd%23%25";

/// Everything an error can be made to show.
fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    if let Some(source) = error.source() {
        text.push_str(&shown(source));
    }
    text
}

#[track_caller]
fn assert_clean(text: &str) {
    for secret in [PASSWORD, ENCODED, "wrongword"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_password_with_any_character_lets_us_in_and_shows_nowhere() {
    let server = RedisServer::builder().password(PASSWORD).start().unwrap();
    let url = format!("redis://:{ENCODED}@{}", server.addr());
    let store = RedisStore::connect(&url).await.unwrap();
    carries_out_everything(&store).await;
    assert_clean(&format!(
        "{store:?} {store:#?} {:?}",
        RedisConfig::new(&url)
    ));
}

#[tokio::test]
async fn a_user_is_let_in_by_its_own_password() {
    let server = RedisServer::start().unwrap();
    let secret = format!(">{PASSWORD}");
    let rules = ["ACL", "SETUSER", "a/b", "on", &secret, "~*", "+@all"];
    server.command(&rules).unwrap();
    let url = format!("redis://a%2Fb:{ENCODED}@{}", server.addr());
    carries_out_everything(&RedisStore::connect(&url).await.unwrap()).await;
    let url = format!("redis://a%2Fb:wrongword@{}", server.addr());
    let error = cannot_connect(&url).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_clean(&shown(&error));
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let server = RedisServer::builder().password(PASSWORD).start().unwrap();
    let addr = server.addr();
    let mut urls = vec![
        format!("redis://{addr}"),
        format!("redis://:wrongword@{addr}"),
        format!("redis+sentinel://:wrongword@{addr}/a"),
        format!("redis+sentinel://{addr}/a?sentinel_password=wrongword"),
    ];
    if cfg!(feature = "cluster") {
        urls.push(format!("redis+cluster://:wrongword@{addr}"));
    }
    if cfg!(feature = "pool") {
        urls.push(format!("redis://:wrongword@{addr}?pool=2"));
    }
    for url in urls {
        let error = cannot_connect(&url).await;
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(text.contains("refused the user or the password"), "{text}");
        // Which one it was is not told by the URL's first.
        let is_sentinels = url.starts_with("redis+sentinel");
        assert_eq!(text.contains("sentinel_password"), is_sentinels, "{text}");
        assert_clean(&shown(&error));
    }
}

#[tokio::test]
async fn a_password_that_is_changed_on_the_fly_shows_nowhere() {
    let server = RedisServer::builder().password(PASSWORD).start().unwrap();
    let proxy = Proxy::to(server.addr()).unwrap();
    let url = format!("redis://:{ENCODED}@{}", proxy.addr());
    let store = RedisStore::connect(&url).await.unwrap();
    let change = ["CONFIG", "SET", "requirepass", "another"];
    server.command(&change).unwrap();
    proxy.cut();
    let mut refused = false;
    for _ in 0..200 {
        if let Err(error) = store.ping().await {
            assert_clean(&shown(&error));
            refused |= error
                .to_string()
                .contains("refused the user or the password");
        }
        if refused {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the store was let in by the old password");
}

#[tokio::test]
async fn an_unreachable_server_is_told_without_its_url() {
    let mut urls = vec![
        format!("redis://u:{ENCODED}@127.0.0.1:1"),
        format!("redis+unix://u:{ENCODED}@/nowhere/redis.sock"),
        format!("redis+sentinel://u:{ENCODED}@127.0.0.1:1/a?sentinel_password=wrongword"),
    ];
    if cfg!(feature = "cluster") {
        urls.push(format!(
            "redis+cluster://u:{ENCODED}@127.0.0.1:1,127.0.0.1:1"
        ));
    }
    if cfg!(feature = "tls") {
        urls.push(format!("rediss://u:{ENCODED}@127.0.0.1:1"));
    }
    if cfg!(feature = "pool") {
        urls.push(format!("redis://u:{ENCODED}@127.0.0.1:1?pool=4"));
    }
    for url in urls {
        let config = RedisConfig::new(&url);
        assert_clean(&format!("{config:?}"));
        let error = cannot_connect(&url).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.source().is_some());
        assert_clean(&shown(&error));
    }
}

/// A server before version 6, or a proxy: it repeats what it does not know.
#[tokio::test]
async fn a_server_that_repeats_the_password_is_not_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://u:{ENCODED}@{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let answer = format!(
                "-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' '{PASSWORD}'\r\n"
            );
            let _ = client.write_all(answer.repeat(3).as_bytes());
            let _ = std::io::copy(&mut client, &mut std::io::sink());
        }
    });
    let mut urls = vec![url.clone()];
    if cfg!(feature = "cluster") {
        urls.push(url.replace("redis:", "redis+cluster:"));
    }
    for url in urls {
        let error = cannot_connect(&url).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_clean(&shown(&error));
    }
}
