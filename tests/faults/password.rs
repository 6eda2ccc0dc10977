//! The server takes the password no more, and later again.

use std::error::Error as _;
use std::sync::Arc;

use session_kit::Store;
use session_redis::RedisStore;
use session_sql::SqlStore;
use session_test_servers::{
    MariaDbServer, PostgresServer, RedisCluster, RedisSentinel, RedisServer, ServerError,
};

use crate::app::App;
use crate::bed::{redis, redis_pool, sql};
use crate::counter::Counter;

/// What clients know.
const PASSWORD: &str = "swordfish";

async fn refuses(store: Arc<dyn Store>, set: impl Fn(&str) -> Result<(), ServerError>) {
    let app = App::over(store);
    let mut visitor = Counter::new(&app).await;
    visitor.goes_on().await;
    let leaving = Counter::new(&app).await;
    let ended = Counter::new(&app).await;
    ended.ends().await;

    set("another").unwrap();
    app.answers_where_no_session_is().await;
    for _ in 0..3 {
        assert!(!visitor.add().await);
        assert_eq!(visitor.read().await, None);
        assert!(!leaving.log_out().await);
        assert!(app.send("POST", "/add", None).await.is_outage());
    }
    set(PASSWORD).unwrap();

    visitor.goes_on().await;
    ended.is_ended().await;
    leaving.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_redis_that_refuses_the_password_is_an_outage() {
    let server = RedisServer::start().unwrap();
    set_user([&server], PASSWORD).unwrap();
    let store = redis(&server.url().replace("://", USER)).await;
    refuses(store, |password| set_user([&server], password)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_redis_that_refuses_the_pools_password_is_an_outage() {
    let server = RedisServer::start().unwrap();
    set_user([&server], PASSWORD).unwrap();
    let store = redis_pool(&server.url().replace("://", USER)).await;
    refuses(store, |password| set_user([&server], password)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_cluster_that_refuses_the_password_is_an_outage() {
    let cluster = RedisCluster::start().unwrap();
    set_user(cluster.nodes(), PASSWORD).unwrap();
    let store = redis(&cluster.url().replace("://", USER)).await;
    refuses(store, |password| set_user(cluster.nodes(), password)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_primary_of_sentinel_that_refuses_the_password_is_an_outage() {
    let mut sentinel = RedisSentinel::start().unwrap();
    set_user([&*sentinel.primary()], PASSWORD).unwrap();
    set_user([&*sentinel.replica()], PASSWORD).unwrap();
    let store = redis(&sentinel.url().replace("://", USER)).await;
    refuses(store, |password| {
        // The Sentinels are among them, and have no such user to lose.
        set_user(sentinel.servers().take(2), password)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_postgres_that_refuses_the_password_is_an_outage() {
    let server = PostgresServer::builder()
        .password(PASSWORD)
        .start()
        .unwrap();
    let set = |password: &str| {
        server.sql(&format!(
            "ALTER USER postgres PASSWORD '{password}'; \
             SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
        ))?;
        Ok(())
    };
    refuses(sql(&server.url()).await, set).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_mariadb_that_refuses_the_password_is_an_outage() {
    let server = MariaDbServer::builder().password(PASSWORD).start().unwrap();
    let set = |password: &str| {
        server.sql(&format!(
            "SET PASSWORD FOR sessions@'%' = PASSWORD('{password}')"
        ))?;
        server.sql("KILL USER sessions")?;
        // The order is given; a connection that works may still be served.
        let open = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'sessions'";
        while server.sql(open)? != "0" {}
        Ok(())
    };
    refuses(sql(&server.url()).await, set).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_an_error_about_a_wrong_password_does_not_tell_it() {
    let redis = RedisServer::builder().password(PASSWORD).start().unwrap();
    let postgres = PostgresServer::builder()
        .password(PASSWORD)
        .start()
        .unwrap();
    let mariadb = MariaDbServer::builder().password(PASSWORD).start().unwrap();
    let wrong = |url: String| url.replace(PASSWORD, "wrongfish");
    let connected = [
        RedisStore::connect(&wrong(redis.url())).await.map(|_| ()),
        SqlStore::connect(&wrong(postgres.url())).await.map(|_| ()),
        SqlStore::connect(&wrong(mariadb.url())).await.map(|_| ()),
    ];
    for refused in connected {
        let error = refused.unwrap_err();
        let mut told = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            told.push_str(&format!(" {error} {error:?}"));
            source = error.source();
        }
        assert!(!told.contains("wrongfish"), "{told}");
    }
}

/// Into a URL, after its scheme.
const USER: &str = "://app:swordfish@";

/// A user with this password, connected to no server any more.
fn set_user<'a>(
    servers: impl IntoIterator<Item = &'a RedisServer>,
    password: &str,
) -> Result<(), ServerError> {
    for server in servers {
        let password = format!(">{password}");
        let user = [
            "ACL",
            "SETUSER",
            "app",
            "on",
            "resetpass",
            &password,
            "~*",
            "&*",
            "+@all",
        ];
        server.command(&user)?;
        server.command(&["CLIENT", "KILL", "USER", "app"])?;
    }
    Ok(())
}
