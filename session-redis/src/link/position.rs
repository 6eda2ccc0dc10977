//! Where a scan over all primaries stands.

use std::fmt;
use std::str::FromStr;

/// A primary, and the server's own cursor on it. As text: `cursor` or `cursor@node`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Zero at the start of a node.
    pub(crate) cursor: u64,
    /// Empty where there is one node, and at the start of a scan.
    pub(crate) node: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.node.is_empty() {
            write!(f, "{}", self.cursor)
        } else {
            write!(f, "{}@{}", self.cursor, self.node)
        }
    }
}

/// The text is not a position of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (cursor, node) = text.split_once('@').unwrap_or((text, ""));
        Ok(Self {
            cursor: cursor.parse().map_err(|_| NotAPosition)?,
            node: node.to_owned(),
        })
    }
}
