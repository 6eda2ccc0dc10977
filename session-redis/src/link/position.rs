//! Where a scan over all primaries stands.

use std::fmt;
use std::str::FromStr;

/// A primary, and the server's own cursor on it. As text: `cursor.run.servers@node`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Zero at the start of a node.
    pub(crate) cursor: u64,
    /// Which run of the server gave the cursor: it means nothing to another. Empty at the start
    /// of a node.
    pub(crate) run: String,
    /// Who kept what when the scan began: nodes are scanned in the order of their addresses. Empty
    /// where there is one node, and at the start of a scan.
    pub(crate) servers: String,
    /// Empty where `servers` is.
    pub(crate) node: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cursor, run, servers, node) = (self.cursor, &self.run, &self.servers, &self.node);
        write!(f, "{cursor}.{run}.{servers}@{node}")
    }
}

/// The text is not a position of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (stands, node) = text.split_once('@').ok_or(NotAPosition)?;
        let mut parts = stands.split('.');
        let mut next = || parts.next().ok_or(NotAPosition);
        let (cursor, run, servers) = (next()?, next()?, next()?);
        if next().is_ok() {
            return Err(NotAPosition);
        }
        Ok(Self {
            cursor: cursor.parse().map_err(|_| NotAPosition)?,
            run: run.to_owned(),
            servers: servers.to_owned(),
            node: node.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_as_text_and_other_texts_are_none() {
        for (cursor, run, servers, node) in [
            (0, "", "", ""),
            (17, "5902abea", "", ""),
            (0, "", "f00d", "10.0.0.1:7000"),
            (u64::MAX, "5902abea", "f00d", "[::1]:7000"),
        ] {
            let position = Position {
                cursor,
                run: run.to_owned(),
                servers: servers.to_owned(),
                node: node.to_owned(),
            };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for text in ["", "0", "0@", "0.@", "x..@", "-1..@", "1...@", "1@node"] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text}");
        }
    }
}
