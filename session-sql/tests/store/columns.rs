//! The table as people and other programs see it.

use session_core::{Created, Expiry, Owner, Record, Store, Timestamp, Touch, Written};

use crate::database::Kind;
use crate::{Database, START, TIMEOUT, data, id, next, record};

in_every_database! {
    /// web.py's DBStore has these three columns and asks this way.
    async fn the_query_of_web_py_finds_a_session_by_the_id_that_a_log_shows(database: Database) {
        let store = database.open().await;
        let record = next(&record(), r#"{"count":1,"name":"Ada é"}"#);
        assert_eq!(store.create(&id(7), &record).await.unwrap(), Created::Done);
        let shown = id(7).to_string();
        let found = database
            .sql(&format!("SELECT session_id, atime, data FROM {{table}} WHERE session_id = '{shown}'"))
            .await;
        let atime = START.as_unix_ms();
        assert_eq!(found, format!("{shown}|{atime}|{{\"count\":1,\"name\":\"Ada é\"}}"));
    }

    async fn a_value_can_be_asked_for_as_json(database: Database) {
        let store = database.open().await;
        for number in 1..=3 {
            let record = next(&record(), &format!("{{\"count\":{number}}}"));
            let _ = store.create(&id(number), &record).await.unwrap();
        }
        let count = match database.kind {
            Kind::Sqlite => "data ->> '$.count'",
            Kind::Postgres => "CAST(data::json ->> 'count' AS bigint)",
            Kind::MariaDb => "JSON_VALUE(data, '$.count')",
        };
        let found = database
            .sql(&format!("SELECT session_id FROM {{table}} WHERE {count} = 2"))
            .await;
        assert_eq!(found, id(2).to_string());
    }

    async fn the_columns_hold_what_the_record_says(database: Database) {
        let store = database.open().await;
        let mut record = record();
        record.owner = Some(Owner::new("ada").unwrap());
        record.expiry = Expiry::new(Some(TIMEOUT), Some(START.after(2 * TIMEOUT)));
        let _ = store.create(&id(1), &record).await.unwrap();
        let columns = "SELECT atime, expires, timeout, ends, format, generation, version, owner FROM {table}";
        let start = START.as_unix_ms();
        let (expires, ends) = (start + 3_600_000, start + 7_200_000);
        let version = record.version;
        let expected = format!("{start}|{expires}|3600000|{ends}|1|1|{version}|ada");
        assert_eq!(database.sql(columns).await, expected);
        let next = Record { owner: None, expiry: Expiry::NEVER, ..next(&record, "{}") };
        let written = store.update(&id(1), &next, version).await.unwrap();
        assert_eq!(written, Written::Done);
        let version = next.version;
        assert_eq!(database.sql(columns).await, format!("{start}||||1|1|{version}|"));
    }

    async fn who_changes_data_and_version_by_hand_is_read_and_not_overwritten(database: Database) {
        let store = database.open().await;
        let record = next(&record(), r#"{"count":1}"#);
        let _ = store.create(&id(1), &record).await.unwrap();
        let version = "00000000000000aa-00000000000000bb";
        database
            .sql(&format!("UPDATE {{table}} SET data = '{{ \"count\" : 5 }}', atime = atime + 1, version = '{version}'"))
            .await;
        let found = store.load(&id(1)).await.unwrap().unwrap();
        assert_eq!(found.data, data(r#"{"count":5}"#));
        assert_eq!(found.version.to_string(), version);
        assert_eq!(found.accessed_at.as_unix_ms(), START.as_unix_ms() + 1);
        let late = next(&record, r#"{"count":2}"#);
        let written = store.update(&id(1), &late, record.version).await.unwrap();
        assert_eq!(written, Written::Conflict);
        let next = next(&found, r#"{"count":6}"#);
        let written = store.update(&id(1), &next, found.version).await.unwrap();
        assert_eq!(written, Written::Done);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(next));
    }

    /// As `HEX()` writes it.
    async fn a_version_written_in_capitals_is_one(database: Database) {
        let store = database.open().await;
        let _ = store.create(&id(1), &record()).await.unwrap();
        database
            .sql("UPDATE {table} SET version = '00000000000000AA-00000000000000BB'")
            .await;
        let found = store.load(&id(1)).await.unwrap().unwrap();
        let next = next(&found, r#"{"count":6}"#);
        let written = store.update(&id(1), &next, found.version).await.unwrap();
        assert_eq!(written, Written::Done);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(next));
    }

    async fn a_touch_moves_two_columns_and_no_other(database: Database) {
        let store = database.open().await;
        let record = record();
        let _ = store.create(&id(1), &record).await.unwrap();
        let others = "SELECT timeout, ends, format, generation, version, owner, meta, data FROM {table}";
        let before = database.sql(others).await;
        let touch = Touch { generation: record.generation, accessed_at: Timestamp::from_unix_ms(START.as_unix_ms() + 5) };
        assert_eq!(store.touch(&id(1), &touch).await.unwrap(), Written::Done);
        assert_eq!(database.sql(others).await, before);
        let moved = database.sql("SELECT atime, expires FROM {table}").await;
        let at = START.as_unix_ms() + 5;
        assert_eq!(moved, format!("{at}|{}", at + 3_600_000));
    }

    async fn rows_that_others_put_into_the_table_are_left_alone(database: Database) {
        let store = database.open().await;
        let mine = Record { owner: Some(Owner::new("ada").unwrap()), ..record() };
        let _ = store.create(&id(1), &mine).await.unwrap();
        for key in ["zz", "not an id", "~"] {
            database
                .sql(&format!("INSERT INTO {{table}} (session_id, atime, format, generation, version, owner, meta, data) VALUES ('{key}', 0, 1, 1, '', 'ada', '', '')"))
                .await;
        }
        let mut cursor = Some(session_core::Cursor::start());
        let mut listed = Vec::new();
        while let Some(from) = cursor {
            let page = store.scan(from, 1).await.unwrap();
            listed.extend(page.ids);
            cursor = page.next;
        }
        assert_eq!(listed, [id(1)]);
        let owned = store.owned_by(mine.owner.as_ref().unwrap()).await.unwrap();
        assert_eq!(owned, [id(1)]);
        assert_eq!(store.sweep(START.after(2 * TIMEOUT), 10).await.unwrap(), 1);
        assert_eq!(database.sql("SELECT COUNT(*) FROM {table}").await, "3");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_those_beside_it_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let database = Database::new(Kind::Sqlite);
    let store = database.open().await;
    let _ = store.create(&id(1), &record()).await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(database.folder()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let file = "sessions 1?#%20.db";
    assert_eq!(
        names,
        [
            file.to_owned(),
            format!("{file}-shm"),
            format!("{file}-wal")
        ]
    );
}
