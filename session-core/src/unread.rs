//! A failure to read JSON that says where, and quotes nothing.
//!
//! serde's own errors quote what they met ("invalid type: string \"…\""), and what is met here are
//! values of sessions: no error text may show them (rule I1).

use std::fmt;

use serde_json::error::Category;

/// Why a JSON text was not read, and at which place.
#[derive(Debug)]
pub(crate) struct Unread {
    category: Category,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Unread {
    fn from(error: serde_json::Error) -> Self {
        Self {
            category: error.classify(),
            line: error.line(),
            column: error.column(),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.category {
            Category::Data => "the JSON is of another type or shape",
            Category::Eof => "the JSON ends too early",
            Category::Syntax | Category::Io => "the text is no JSON",
        };
        let (line, column) = (self.line, self.column);
        write!(f, "{what}, at line {line} column {column}")
    }
}

impl std::error::Error for Unread {}
