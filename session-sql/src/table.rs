//! The name of the table: the one way by which text of the application gets into a statement.

use std::fmt;

use session_core::{Error, ErrorKind};

use crate::dialect::Database;

/// A checked name: a table, or a schema and a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    schema: Option<String>,
    table: String,
}

impl TableName {
    /// `sessions`, or `web.sessions`: each part a letter or `_`, and up to 62 more letters,
    /// digits and `_`, all ASCII.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, name),
        };
        for part in schema.into_iter().chain([table]) {
            if !is_identifier(part) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "the table {name:?} cannot be used: a name is an ASCII letter or `_`, then up to 62 letters, digits or `_`; a schema may stand before it, with a dot"
                    ),
                ));
            }
        }
        if table.eq_ignore_ascii_case(VERSIONS) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the table `{VERSIONS}` is where the versions of the others are kept"),
            ));
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            table: table.to_owned(),
        })
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// The name as it stands in statements.
    pub(crate) fn quoted(&self, database: Database) -> String {
        self.beside(database, &self.table)
    }

    /// The table of versions in the same schema.
    pub(crate) fn versions(&self) -> Self {
        Self {
            schema: self.schema.clone(),
            table: VERSIONS.to_owned(),
        }
    }

    /// Another name in the same schema.
    pub(crate) fn beside(&self, database: Database, name: &str) -> String {
        let quote = database.quote();
        match &self.schema {
            Some(schema) => format!("{quote}{schema}{quote}.{quote}{name}{quote}"),
            None => format!("{quote}{name}{quote}"),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.table)
    }
}

/// The table that says which version of the layout each table of sessions has.
pub(crate) const VERSIONS: &str = "session_kit_schema";

fn is_identifier(part: &str) -> bool {
    let starts = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    starts && goes_on && part.len() <= 63
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_identifier_is_refused() {
        let long = "x".repeat(64);
        for name in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "1a",
            "a b",
            "a\"b",
            "a`b",
            "a;b",
            "a-b",
            "a\0",
            "é",
            "a$",
            "ａ",
            "session_kit_schema",
            "web.Session_Kit_Schema",
            &long,
        ] {
            let error = TableName::parse(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
        }
        for name in ["a", "_", "Sessions_2", "web.sessions", &long[1..]] {
            assert_eq!(TableName::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn names_are_quoted_as_the_database_does() {
        let name = TableName::parse("web.user").unwrap();
        assert_eq!(name.quoted(Database::Postgres), "\"web\".\"user\"");
        assert_eq!(name.quoted(Database::MySql), "`web`.`user`");
        let name = TableName::parse("order").unwrap();
        assert_eq!(name.quoted(Database::Sqlite), "\"order\"");
    }
}
