//! SQLite's words.

use super::Words;

pub(super) const WORDS: Words = Words {
    greatest: "MAX",
    least: "MIN",
    create: "INSERT INTO {table} \
        (session_id, atime, expires, timeout, ends, format, generation, version, owner, meta, data) \
        VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT (session_id) DO NOTHING",
    // One writer at a time: nothing can come between the two looks at `expires`.
    sweep: "DELETE FROM {table} WHERE session_id IN (\
        SELECT session_id FROM {table} WHERE expires <= ? ORDER BY expires LIMIT ?) \
        AND expires <= ?",
    steps: &[&[
        "CREATE TABLE {table} (
  session_id TEXT NOT NULL PRIMARY KEY,
  atime INTEGER NOT NULL,
  expires INTEGER,
  timeout INTEGER,
  ends INTEGER,
  format INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  version TEXT NOT NULL,
  owner TEXT,
  meta TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT",
        "CREATE INDEX {within}\"{bare_table}_expires\" ON \"{bare_table}\" (expires) \
WHERE expires IS NOT NULL",
        "CREATE INDEX {within}\"{bare_table}_owner\" ON \"{bare_table}\" (owner) \
WHERE owner IS NOT NULL",
    ]],
    versions: "CREATE TABLE IF NOT EXISTS {versions} (
  table_name TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT",
    note: "INSERT INTO {versions} (table_name, version) VALUES ('{bare_table}', {version}) \
        ON CONFLICT (table_name) DO UPDATE SET version = excluded.version",
    // Names of tables are compared without letter case here.
    tables: "SELECT COUNT(*) FROM {within}sqlite_master \
        WHERE type = 'table' AND name = '{bare_table}' COLLATE NOCASE",
    lock: None,
    begin: &["BEGIN IMMEDIATE"],
    commit: &["COMMIT"],
};
