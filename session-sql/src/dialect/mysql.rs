//! The words of MySQL 8 and MariaDB.

use super::Words;

pub(super) const WORDS: Words = Words {
    greatest: "GREATEST",
    least: "LEAST",
    // IGNORE would also ignore what does not fit.
    create: "INSERT INTO {table} \
        (session_id, atime, expires, timeout, ends, format, generation, version, owner, meta, data) \
        VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
    // An alias would belong to the connection's database, and there need not be one.
    sweep: "DELETE {table} FROM {table} JOIN (\
        SELECT session_id FROM {table} WHERE expires <= ? ORDER BY expires LIMIT ? \
        FOR UPDATE SKIP LOCKED) AS due ON due.session_id = {table}.session_id \
        WHERE {table}.expires <= ?",
    steps: &[&["CREATE TABLE IF NOT EXISTS {table} (
  session_id CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  atime BIGINT NOT NULL,
  expires BIGINT,
  timeout BIGINT,
  ends BIGINT,
  format BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  version CHAR(33) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner VARBINARY(255),
  meta LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  data LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  INDEX expires (expires),
  INDEX owner (owner)
) ENGINE=InnoDB"]],
    versions: "CREATE TABLE IF NOT EXISTS {versions} (
  table_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
) ENGINE=InnoDB",
    note: "REPLACE INTO {versions} (table_name, version) VALUES ('{bare_table}', {version})",
    tables: "SELECT COUNT(*) FROM information_schema.tables \
        WHERE table_schema = {schema} AND table_name = '{bare_table}'",
    // Definitions commit by themselves here: a lock of the session's goes around them.
    lock: Some("SELECT GET_LOCK('session_kit_schema', 20)"),
    begin: &[],
    commit: &["DO RELEASE_LOCK('session_kit_schema')"],
};
