use session_test_servers::MariaDbServer;

use crate::process::state;

#[test]
fn what_mariadb_acknowledged_is_there_after_a_kill() {
    let mut mariadb = MariaDbServer::start().unwrap();
    let port = mariadb.port();
    mariadb.sql("CREATE TABLE sessions.t (n int)").unwrap();
    mariadb
        .sql("INSERT INTO sessions.t VALUES (1), (2)")
        .unwrap();
    mariadb.kill();
    mariadb.sql("SELECT 1").unwrap_err();
    mariadb.restart().unwrap();
    let rows = mariadb
        .sql("SELECT n, null, 'x' FROM sessions.t ORDER BY n")
        .unwrap();
    assert_eq!(rows, "1||x\n2||x");
    assert_eq!(mariadb.port(), port);
}

#[test]
fn a_frozen_mariadb_goes_on_when_it_is_thawed() {
    let mariadb = MariaDbServer::start().unwrap();
    mariadb.freeze();
    assert_eq!(state(mariadb.pid().unwrap()), Some('T'));
    mariadb.thaw();
    assert_eq!(mariadb.sql("SELECT 1").unwrap(), "1");
}

#[test]
fn clients_of_mariadb_own_their_databases_and_nothing_else() {
    let mariadb = MariaDbServer::builder().password("it's").start().unwrap();
    let port = mariadb.port();
    assert_eq!(
        mariadb.url(),
        format!("mysql://sessions:it%27s@127.0.0.1:{port}/sessions")
    );
    assert_eq!(
        mariadb.new_database().unwrap(),
        format!("mysql://sessions:it%27s@127.0.0.1:{port}/sessions_0")
    );
    let grants = mariadb.sql("SHOW GRANTS FOR sessions@'%'").unwrap();
    let grants: Vec<&str> = grants.lines().collect();
    assert!(grants[0].starts_with("GRANT USAGE ON *.*"), "{grants:?}");
    assert!(
        grants[1].starts_with("GRANT ALL PRIVILEGES ON `sessions%`.*"),
        "{grants:?}"
    );
    assert_eq!(grants.len(), 2);
}
