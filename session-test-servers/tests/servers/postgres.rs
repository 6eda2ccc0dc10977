use session_test_servers::PostgresServer;

use crate::process::{runs, state, until, with_children};

#[test]
fn what_postgres_acknowledged_is_there_after_a_kill_of_all_its_processes() {
    let mut postgres = PostgresServer::start().unwrap();
    let port = postgres.port();
    postgres
        .sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)")
        .unwrap();
    let processes = with_children(postgres.pid().unwrap());
    assert!(processes.len() > 3, "{processes:?}");
    postgres.kill();
    assert_eq!(processes.into_iter().filter(|pid| runs(*pid)).count(), 0);
    postgres.restart().unwrap();
    assert_eq!(
        postgres
            .sql("SELECT n, null, 'x' FROM t ORDER BY n")
            .unwrap(),
        "1||x\n2||x"
    );
    assert_eq!(postgres.port(), port);
}

#[test]
fn a_frozen_postgres_stops_in_all_its_processes_and_goes_on_when_thawed() {
    let postgres = PostgresServer::start().unwrap();
    postgres.freeze();
    let processes = with_children(postgres.pid().unwrap());
    assert!(processes.len() > 3, "{processes:?}");
    let states: Vec<_> = processes.into_iter().filter_map(state).collect();
    // What had just ended waits, as a zombie, for the stopped main process.
    assert!(
        states.iter().all(|state| "TZ".contains(*state)),
        "{states:?}"
    );
    assert_eq!(states[0], 'T');
    postgres.thaw();
    assert_eq!(postgres.sql("SELECT 1").unwrap(), "1");
}

#[test]
fn a_postgres_with_a_password_has_it_in_its_urls() {
    let postgres = PostgresServer::builder()
        .password("pass word")
        .start()
        .unwrap();
    let port = postgres.port();
    assert_eq!(
        postgres.url(),
        format!("postgres://postgres:pass%20word@127.0.0.1:{port}/postgres")
    );
    assert_eq!(
        postgres.new_database().unwrap(),
        format!("postgres://postgres:pass%20word@127.0.0.1:{port}/sessions_0")
    );
    let rules = "SELECT auth_method FROM pg_hba_file_rules WHERE address = '127.0.0.1'";
    assert!(postgres.sql(rules).unwrap().starts_with("scram-sha-256"));
}

#[test]
fn a_new_database_is_apart_from_the_others() {
    let postgres = PostgresServer::start().unwrap();
    postgres.new_database().unwrap();
    postgres.new_database().unwrap();
    postgres
        .sql_in("sessions_0", "CREATE TABLE t (n int)")
        .unwrap();
    let missing = postgres
        .sql_in("sessions_1", "SELECT n FROM t")
        .unwrap_err();
    assert!(missing.to_string().contains("42P01"), "{missing}");
}

#[test]
fn a_standby_follows_and_takes_no_write() {
    let postgres = PostgresServer::start().unwrap();
    postgres.sql("CREATE TABLE t (n int)").unwrap();
    let standby = postgres.standby().unwrap();
    postgres.sql("INSERT INTO t VALUES (7)").unwrap();
    until("the row on the standby", || {
        standby.sql("SELECT n FROM t").unwrap() == "7"
    });
    let refused = standby.sql("INSERT INTO t VALUES (8)").unwrap_err();
    assert!(refused.to_string().contains("25006"), "{refused}");
}
