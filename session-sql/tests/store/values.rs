//! Values that a database might cut, round, fold or refuse.

use session_core::conformance::samples;
use session_core::{
    Created, Expiry, Only, Owner, Record, SessionId, Store, StoreErrorKind, Timestamp, Touch,
    Written,
};
use std::time::Duration;

use crate::{Database, START, TIMEOUT, data, id, next, record};

/// Data of a little over four million bytes.
fn four_megabytes() -> String {
    let text = "0123456789 \u{e9}\u{1F980}\\\"\\n".repeat(200_000);
    format!("{{\"text\":\"{text}\"}}")
}

in_every_database! {
    async fn four_megabytes_are_kept_to_the_byte(database: Database) {
        let store = database.open().await;
        let large = next(&record(), &four_megabytes());
        assert!(large.data.as_str().len() > 4_000_000);
        assert_eq!(store.create(&id(1), &large).await.unwrap(), Created::Done);
        assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&large));
        let again = next(&large, &four_megabytes());
        let written = store.update(&id(1), &again, large.version).await.unwrap();
        assert_eq!(written, Written::Done);
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(again));
    }

    async fn an_id_with_every_letter_in_the_other_case_is_another_session(database: Database) {
        let store = database.open().await;
        let first = SessionId::from_bytes(*b"sixteen letters!");
        // Of the last letter only some values are those of an id.
        let text = first.to_string();
        let (front, last) = text.split_at(SessionId::TEXT_LEN - 1);
        let flipped: String = front.chars().map(flip).collect();
        let twin: SessionId = format!("{flipped}{last}").parse().unwrap();
        assert_ne!(first, twin);
        let (ours, theirs) = (next(&record(), r#"{"a":1}"#), next(&record(), r#"{"a":2}"#));
        assert_eq!(store.create(&first, &ours).await.unwrap(), Created::Done);
        assert_eq!(store.load(&twin).await.unwrap(), None);
        assert_eq!(store.create(&twin, &theirs).await.unwrap(), Created::Done);
        assert_eq!(store.delete(&first, Only::Any).await.unwrap(), Written::Done);
        assert_eq!(store.load(&twin).await.unwrap(), Some(theirs));
    }

    async fn owners_that_look_alike_are_different(database: Database) {
        let store = database.open().await;
        let owners = ["ada", "Ada", "ada ", "ada  ", "\u{e4}da", "a\u{308}da", "ada\u{200b}", "\u{1F980}"];
        for (number, owner) in owners.iter().enumerate() {
            let owner = Owner::new(owner).unwrap();
            let record = Record { owner: Some(owner), ..record() };
            let _ = store.create(&id(number as u8), &record).await.unwrap();
        }
        for (number, owner) in owners.iter().enumerate() {
            let listed = store.owned_by(&Owner::new(owner).unwrap()).await.unwrap();
            assert_eq!(listed, [id(number as u8)], "{owner:?}");
        }
    }

    /// [`Record::touch`] and `Record::expires_at` are the rule; the statements compute the same.
    async fn the_expiry_that_sql_computes_is_the_record_s(database: Database) {
        let store = database.open().await;
        let far = Timestamp::from_unix_ms(i64::MAX);
        let ends = [None, Some(START.after(TIMEOUT)), Some(START.before(TIMEOUT)), Some(far)];
        let timeouts = [None, Some(Duration::ZERO), Some(TIMEOUT), Some(3 * TIMEOUT), Some(Duration::MAX)];
        let accesses = [
            START, START.after(TIMEOUT / 2), START.after(10 * TIMEOUT), START.before(TIMEOUT),
            Timestamp::from_unix_ms(-1), far,
        ];
        let mut number = 0;
        for end in ends {
            for timeout in timeouts {
                number += 1;
                let id = id(number);
                let mut expected = Record { expiry: Expiry::new(timeout, end), ..record() };
                let _ = store.create(&id, &expected).await.unwrap();
                for accessed_at in accesses {
                    let touch = Touch { generation: expected.generation, accessed_at };
                    assert_eq!(store.touch(&id, &touch).await.unwrap(), Written::Done);
                    assert!(expected.touch(&touch));
                    expect_row(&database, &id, &expected).await;
                }
                for (end, timeout) in ends.into_iter().zip(timeouts) {
                    // The writer knows an earlier access than the stored one.
                    let mut later = next(&expected, "{}");
                    (later.accessed_at, later.expiry) = (START, Expiry::new(timeout, end));
                    let written = store.update(&id, &later, expected.version).await.unwrap();
                    assert_eq!(written, Written::Done);
                    expected = Record { accessed_at: expected.accessed_at, ..later };
                    expect_row(&database, &id, &expected).await;
                }
            }
        }
    }

    async fn a_row_that_cannot_be_decoded_is_kept_and_can_be_deleted(database: Database) {
        let store = database.open().await;
        for (number, (column, value)) in [("meta", "'nonsense'"), ("data", "'[1]'"), ("version", "'1'")].into_iter().enumerate() {
            let id = id(number as u8);
            let _ = store.create(&id, &record()).await.unwrap();
            database.sql(&format!("UPDATE {{table}} SET {column} = {value} WHERE session_id = '{id}'")).await;
            let error = store.load(&id).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{column}: {error}");
            assert!(error.to_string().starts_with("loading the session failed: "), "{error}");
            assert_eq!(store.delete(&id, Only::Any).await.unwrap(), Written::Done);
        }
    }

    async fn a_row_of_a_newer_format_is_not_changed_by_its_columns(database: Database) {
        let store = database.open().await;
        let stored = record();
        let _ = store.create(&id(1), &stored).await.unwrap();
        database.sql("UPDATE {table} SET format = 2").await;
        let kind = |error: session_core::StoreError| error.kind();
        let newer = StoreErrorKind::NewerFormat;
        assert_eq!(kind(store.load(&id(1)).await.unwrap_err()), newer);
        let update = next(&stored, "{}");
        assert_eq!(kind(store.update(&id(1), &update, stored.version).await.unwrap_err()), newer);
        let touch = Touch { generation: stored.generation, accessed_at: START.after(TIMEOUT) };
        assert_eq!(kind(store.touch(&id(1), &touch).await.unwrap_err()), newer);
        let only = Only::Generation(stored.generation);
        assert_eq!(kind(store.delete(&id(1), only).await.unwrap_err()), newer);
        database.sql("UPDATE {table} SET format = 1").await;
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(stored));
    }

    async fn every_sample_survives_an_update(database: Database) {
        let store = database.open().await;
        for (odd, sample) in samples::odd_records() {
            let first = Record { accessed_at: sample.accessed_at, ..record() };
            let id = samples::id();
            let _ = store.create(&id, &first).await.unwrap();
            assert_eq!(store.update(&id, &sample, first.version).await.unwrap(), Written::Done);
            assert_eq!(store.load(&id).await.unwrap(), Some(sample), "{odd}");
        }
        let _ = data("{}");
    }
}

/// The row's access and expiry are those of `expected`, and so is what is loaded.
async fn expect_row(database: &Database, id: &SessionId, expected: &Record) {
    let select = format!("SELECT atime, expires FROM {{table}} WHERE session_id = '{id}'");
    let atime = expected.accessed_at.as_unix_ms();
    let expires = expected
        .expires_at()
        .map(|end| end.as_unix_ms().to_string());
    assert_eq!(
        database.sql(&select).await,
        format!("{atime}|{}", expires.unwrap_or_default()),
        "{:?} at {atime}",
        expected.expiry
    );
}

fn flip(letter: char) -> char {
    if letter.is_ascii_lowercase() {
        letter.to_ascii_uppercase()
    } else {
        letter.to_ascii_lowercase()
    }
}
