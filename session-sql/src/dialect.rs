//! In what the databases differ, as text: each module has the words of one of them.

mod mysql;
mod postgres;
mod sqlite;

use crate::table::TableName;

/// A database that sessions can be kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Database {
    /// The database in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
        }
    }

    /// What stands around names.
    pub(crate) fn quote(self) -> char {
        match self {
            Self::Sqlite | Self::Postgres => '"',
            Self::MySql => '`',
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::Sqlite => &sqlite::WORDS,
            Self::Postgres => &postgres::WORDS,
            Self::MySql => &mysql::WORDS,
        }
    }

    /// A template as a statement: `{table}` and the like are replaced, and parameters, written
    /// `?`, are numbered where the database wants that.
    pub(crate) fn render(self, template: &str, table: &TableName) -> String {
        let words = self.words();
        let versions = table.beside(self, crate::table::VERSIONS);
        let (within, schema) = match table.schema() {
            Some(schema) => (
                format!("{0}{schema}{0}.", self.quote()),
                format!("'{schema}'"),
            ),
            None => (String::new(), "DATABASE()".to_owned()),
        };
        let text = template
            .replace("{table}", &table.quoted(self))
            .replace("{bare_table}", table.table())
            .replace("{within}", &within)
            .replace("{schema}", &schema)
            .replace("{versions}", &versions)
            .replace("{greatest}", words.greatest)
            .replace("{least}", words.least);
        if self == Self::Postgres {
            numbered(&text)
        } else {
            text
        }
    }
}

/// The words of one database.
pub(crate) struct Words {
    /// The larger, and the smaller, of two numbers.
    pub(crate) greatest: &'static str,
    pub(crate) least: &'static str,
    /// Inserts a row. One that is there already is left alone: zero rows, or a unique violation.
    pub(crate) create: &'static str,
    /// Removes rows that are due, with the parameters moment, limit, moment; no row that another
    /// transaction holds is waited for.
    pub(crate) sweep: &'static str,
    /// The versions of the layout: each step leads to the next, as statements. Where definitions
    /// commit by themselves, a step can be made again.
    pub(crate) steps: &'static [&'static [&'static str]],
    /// The table that keeps a version per table.
    pub(crate) versions: &'static str,
    /// Notes `{version}` there. One statement: at no moment is a table without its version, which
    /// would then be taken for someone else's.
    pub(crate) note: &'static str,
    /// How many tables (0 or 1) there are of this name.
    pub(crate) tables: &'static str,
    /// Waits for a lock of the session's and answers 1; released by `commit`.
    pub(crate) lock: Option<&'static str>,
    /// What begins and ends a migration: one at a time, and nothing of it is left half done.
    pub(crate) begin: &'static [&'static str],
    pub(crate) commit: &'static [&'static str],
}

fn numbered(text: &str) -> String {
    let mut parts = text.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        numbered.push_str(&format!("${}", number + 1));
        numbered.push_str(part);
    }
    numbered
}
