//! The statements of one store, built once: their text is constant, so that every connection
//! prepares each of them once.

use std::sync::Arc;

use crate::dialect::Database;
use crate::table::TableName;

/// A statement's text; cloning it is free.
pub(crate) type Statement = Arc<str>;

#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) create: Statement,
    pub(crate) load: Statement,
    pub(crate) update: Statement,
    pub(crate) touch: Statement,
    pub(crate) delete: Statement,
    pub(crate) delete_of_generation: Statement,
    /// What a statement that met no row has not told: its format, if there is one.
    pub(crate) look: Statement,
    pub(crate) owned_by: Statement,
    pub(crate) scan: Statement,
    pub(crate) sweep: Statement,
    pub(crate) ping: Statement,
}

impl Statements {
    pub(crate) fn new(database: Database, table: &TableName) -> Self {
        let words = database.words();
        let statement = |template: &str| Statement::from(database.render(template, table));
        Self {
            create: statement(words.create),
            load: statement(LOAD),
            update: statement(UPDATE),
            touch: statement(TOUCH),
            delete: statement("DELETE FROM {table} WHERE session_id = ?"),
            delete_of_generation: statement(
                "DELETE FROM {table} WHERE session_id = ? AND generation = ? AND format <= 1",
            ),
            look: statement("SELECT format FROM {table} WHERE session_id = ?"),
            owned_by: statement("SELECT session_id FROM {table} WHERE owner = ?"),
            scan: statement(
                "SELECT session_id FROM {table} WHERE session_id > ? ORDER BY session_id LIMIT ?",
            ),
            sweep: statement(words.sweep),
            // No session has this id. A server that is read-only, or a user who may not write,
            // is refused nevertheless.
            ping: statement("UPDATE {table} SET atime = atime WHERE session_id = ''"),
        }
    }
}

const LOAD: &str = "SELECT format, atime, version, meta, data FROM {table} WHERE session_id = ?";

/// Parameters: the record's expiry, access, time-out or [`FOREVER`], end or [`LATEST`], and then
/// what is stored; last the id and the expected version.
///
/// A version that was written by hand, with `HEX()` say, may be in capitals.
///
/// The expiry follows from the later access. It stands before `atime`: MySQL's assignments see
/// those before them.
const UPDATE: &str = "UPDATE {table} SET expires = CASE WHEN ? IS NULL THEN NULL ELSE \
    {least}({least}({greatest}(atime, ?), 999999999999999) + ?, ?) END, \
    atime = {greatest}(atime, ?), timeout = ?, ends = ?, format = 1, generation = ?, version = ?, \
    owner = ?, meta = ?, data = ? \
    WHERE session_id = ? AND LOWER(version) = ? AND format <= 1";

/// Parameters: the access, twice, the id, the generation.
const TOUCH: &str = "UPDATE {table} SET expires = CASE \
    WHEN timeout IS NULL THEN ends \
    ELSE {least}({least}({greatest}(atime, ?), 999999999999999) + timeout, \
    COALESCE(ends, 999999999999999)) END, \
    atime = {greatest}(atime, ?) \
    WHERE session_id = ? AND generation = ? AND format <= 1";

/// The last moment that an expiry can be, as in the statements above: 15 digits.
pub(crate) const LATEST: i64 = 999_999_999_999_999;
/// A time-out that from any moment after the year -29719 leads to [`LATEST`] or beyond.
pub(crate) const FOREVER: i64 = 2 * LATEST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_where_the_database_wants_it() {
        let table = TableName::parse("web.sessions").unwrap();
        let statements = Statements::new(Database::Postgres, &table);
        assert_eq!(
            &*statements.delete_of_generation,
            "DELETE FROM \"web\".\"sessions\" WHERE session_id = $1 AND generation = $2 AND format <= 1"
        );
        let statements = Statements::new(Database::MySql, &table);
        assert_eq!(
            &*statements.look,
            "SELECT format FROM `web`.`sessions` WHERE session_id = ?"
        );
    }
}
