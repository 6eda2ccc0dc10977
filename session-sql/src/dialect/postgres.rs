//! PostgreSQL's words.

use super::Words;

pub(super) const WORDS: Words = Words {
    greatest: "GREATEST",
    least: "LEAST",
    // A failed INSERT would end a transaction of the application's own.
    create: "INSERT INTO {table} \
        (session_id, atime, expires, timeout, ends, format, generation, version, owner, meta, data) \
        VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT (session_id) DO NOTHING",
    // ARRAY(..) is evaluated once; an IN (..) may be again for each row, and go past the limit.
    // Who locks a row sees its newest version, and so does the outer look at `expires`; the `+ 0`
    // keeps that look from the index, which would read all that is due for each batch.
    sweep: "DELETE FROM {table} WHERE session_id = ANY (ARRAY(\
        SELECT session_id FROM {table} WHERE expires <= ? ORDER BY expires LIMIT ? \
        FOR UPDATE SKIP LOCKED)) AND expires + 0 <= ?",
    steps: &[&[
        "CREATE TABLE {table} (
  session_id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY,
  atime BIGINT NOT NULL,
  expires BIGINT,
  timeout BIGINT,
  ends BIGINT,
  format BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  version TEXT COLLATE \"C\" NOT NULL,
  owner TEXT COLLATE \"C\",
  meta TEXT NOT NULL,
  data TEXT NOT NULL
)",
        // Without a name of ours: a long one would be cut, and two of them the same.
        "CREATE INDEX ON {table} (expires) WHERE expires IS NOT NULL",
        "CREATE INDEX ON {table} (owner) WHERE owner IS NOT NULL",
    ]],
    versions: "CREATE TABLE IF NOT EXISTS {versions} (
  table_name TEXT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
)",
    note: "INSERT INTO {versions} (table_name, version) VALUES ('{bare_table}', {version}) \
        ON CONFLICT (table_name) DO UPDATE SET version = excluded.version",
    tables: "SELECT COUNT(to_regclass('{table}'))",
    lock: None,
    // A stricter level would look at the database as it was before the lock was waited for.
    begin: &[
        "BEGIN ISOLATION LEVEL READ COMMITTED",
        "SELECT pg_advisory_xact_lock(5503867247184301)",
    ],
    commit: &["COMMIT"],
};
