//! The statements find their rows by indexes, in tables that have enough of them for the
//! databases to care.

use std::fmt::Write as _;

use crate::database::{Database, Kind};
use crate::dialect::Database as Dialect;
use crate::statements::Statements;
use crate::table::TableName;

const ROWS: u32 = 20_000;

/// A table of rows with an owner for two each; one in a hundred is due.
async fn filled(kind: Kind) -> (Database, Statements) {
    let database = Database::new(kind);
    database.open().await;
    let (numbers, id, owner) = match kind {
        Kind::Sqlite => (
            format!(
                "(WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < {ROWS}) SELECT seq FROM n)"
            ),
            "printf('%022d', seq)",
            "'user-' || (seq / 2)",
        ),
        Kind::Postgres => (
            format!("generate_series(1, {ROWS}) AS n(seq)"),
            "lpad(CAST(seq AS text), 22, '0')",
            "'user-' || (seq / 2)",
        ),
        Kind::MariaDb => (
            format!("seq_1_to_{ROWS}"),
            "lpad(seq, 22, '0')",
            "concat('user-', seq DIV 2)",
        ),
    };
    database
        .sql(&format!(
            "INSERT INTO {{table}} (session_id, atime, expires, format, generation, version, owner, meta, data) \
             SELECT {id}, 0, CASE WHEN seq % 100 = 0 THEN seq ELSE 1000000 + seq END, 1, 1, '', \
             CASE WHEN seq % 4 = 0 THEN NULL ELSE {owner} END, '{{}}', '{{}}' FROM {numbers}"
        ))
        .await;
    let (analyze, dialect) = match kind {
        Kind::Sqlite => ("ANALYZE", Dialect::Sqlite),
        Kind::Postgres => ("ANALYZE {table}", Dialect::Postgres),
        Kind::MariaDb => ("ANALYZE TABLE {table}", Dialect::MySql),
    };
    database.sql(analyze).await;
    let table = TableName::parse(&database.table).unwrap();
    (database, Statements::new(dialect, &table))
}

/// The plan of a statement with these values.
async fn plan(database: &Database, statement: &str, values: &[&str]) -> String {
    let explain = match database.kind {
        Kind::Sqlite => "EXPLAIN QUERY PLAN ",
        Kind::Postgres | Kind::MariaDb => "EXPLAIN ",
    };
    let mut text = explain.to_owned();
    let mut values = values.iter();
    let mut rest = statement.chars().peekable();
    while let Some(letter) = rest.next() {
        if letter != '?' && letter != '$' {
            text.push(letter);
            continue;
        }
        while rest.next_if(char::is_ascii_digit).is_some() {}
        write!(text, "{}", values.next().unwrap()).unwrap();
    }
    assert_eq!(values.next(), None, "{statement}");
    database.sql(&text).await
}

fn expect(plan: &str, parts: &[&str]) {
    for part in parts {
        assert!(plan.contains(part), "no {part:?} in the plan:\n{plan}");
    }
}

const ID: &str = "'0000000000000000000007'";

#[tokio::test]
async fn sqlite_finds_rows_by_indexes() {
    let (database, statements) = filled(Kind::Sqlite).await;
    let table = &database.table;
    let by_key = format!("SEARCH {table} USING INDEX sqlite_autoindex_{table}_1 (session_id=?)");
    let load = plan(&database, &statements.load, &[ID]).await;
    expect(&load, &[&by_key]);
    let update = plan(&database, &statements.update, &["1"; 14]).await;
    expect(&update, &[&by_key]);
    let owned = plan(&database, &statements.owned_by, &["'user-7'"]).await;
    expect(
        &owned,
        &[&format!(
            "SEARCH {table} USING INDEX {table}_owner (owner=?)"
        )],
    );
    let sweep = plan(&database, &statements.sweep, &["20000", "100", "20000"]).await;
    expect(
        &sweep,
        &[
            &format!("SEARCH {table} USING INDEX {table}_expires (expires<?)"),
            &by_key,
        ],
    );
    assert!(!sweep.contains("TEMP B-TREE FOR ORDER BY"), "{sweep}");
    let scan = plan(&database, &statements.scan, &[ID, "100"]).await;
    expect(
        &scan,
        &[&format!(
            "USING COVERING INDEX sqlite_autoindex_{table}_1 (session_id>?)"
        )],
    );
}

#[tokio::test]
async fn postgresql_finds_rows_by_indexes() {
    let (database, statements) = filled(Kind::Postgres).await;
    let table = &database.table;
    let by_key = format!("Index Scan using \"{table}_pkey\"");
    let load = plan(&database, &statements.load, &[ID]).await;
    expect(&load, &[&by_key]);
    let mut values = ["1"; 14];
    values[8..13].fill("''");
    (values[12], values[13]) = (ID, "''");
    let update = plan(&database, &statements.update, &values).await;
    expect(&update, &[&by_key]);
    let owned = plan(&database, &statements.owned_by, &["'user-7'"]).await;
    expect(&owned, &[&format!("\"{table}_owner_idx\"")]);
    let sweep = plan(&database, &statements.sweep, &["20000", "100", "20000"]).await;
    expect(
        &sweep,
        &[
            &format!("Index Scan using \"{table}_expires_idx\""),
            "LockRows",
            "InitPlan",
        ],
    );
    expect(&sweep, &[&format!("\"{table}_pkey\"")]);
    assert!(!sweep.contains("Seq Scan"), "{sweep}");
    let scan = plan(&database, &statements.scan, &[ID, "100"]).await;
    expect(&scan, &[&format!("Index Only Scan using \"{table}_pkey\"")]);
}

/// The columns of its plan: id, select_type, table, type, possible_keys, key, …
#[tokio::test]
async fn mariadb_finds_rows_by_indexes() {
    let (database, statements) = filled(Kind::MariaDb).await;
    let table = &database.table;
    let load = plan(&database, &statements.load, &[ID]).await;
    expect(&load, &["|const|PRIMARY|PRIMARY|"]);
    let mut values = ["1"; 14];
    (values[12], values[13]) = (ID, "''");
    let update = plan(&database, &statements.update, &values).await;
    expect(&update, &["|range|PRIMARY|PRIMARY|"]);
    let owned = plan(&database, &statements.owned_by, &["'user-7'"]).await;
    expect(&owned, &["|ref|owner|owner|"]);
    let sweep = plan(&database, &statements.sweep, &["20000", "100", "20000"]).await;
    expect(
        &sweep,
        &[
            &format!("|DERIVED|{table}|range|expires|expires|"),
            &format!("|{table}|eq_ref|PRIMARY,expires|PRIMARY|"),
        ],
    );
    let scan = plan(&database, &statements.scan, &[ID, "100"]).await;
    expect(&scan, &["|range|PRIMARY|PRIMARY|"]);
}
