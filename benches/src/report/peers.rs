//! Requests in process, the peers' beside ours.

use super::micros;
use super::table::Table;
use crate::figures::{Figure, Results};

/// The columns: what is done with how large a session.
const COLUMNS: [(&str, &str); 6] = [
    ("untouched", "small"),
    ("read", "small"),
    ("write", "small"),
    ("untouched", "large"),
    ("read", "large"),
    ("write", "large"),
];

pub(super) fn section(peers: &Results, ours: Option<&Results>) -> String {
    let mut text = String::from(
        "## Requests in process, beside other libraries\n\nWhat a session adds to a request over \
         memory, in microseconds and (in brackets) allocations above the bare framework, measured in \
         turns with it in the same process. Cookies are signed. actix-session has no store in \
         memory; its figures are over a plain map.\n\n\
         ![what other libraries add to a request](plots/peers.svg)\n\n",
    );
    let mut table = Table::new([
        "library",
        "untouched",
        "read",
        "write",
        "untouched, large",
        "read, large",
        "write, large",
    ]);
    for (name, figures) in rows(peers, ours) {
        let cells = COLUMNS.map(|column| {
            let figure = figures
                .iter()
                .find(|figure| (figure.operation.as_str(), figure.size.as_str()) == column);
            figure.map(|figure| cell(figure)).unwrap_or_default()
        });
        let [a, b, c, d, e, f] = cells;
        table.row([name, a, b, c, d, e, f]);
    }
    text.push_str(&table.text());
    text.push('\n');
    text
}

/// Every library's figures: ours under its programs' names, then the peers'.
pub(super) fn rows<'a>(
    peers: &'a Results,
    ours: Option<&'a Results>,
) -> Vec<(String, Vec<&'a Figure>)> {
    let ours = ours.into_iter().flat_map(|results| &results.figures);
    let named = ours
        .map(|figure| (format!("session-kit-{}", figure.subject), figure))
        .chain(
            peers
                .figures
                .iter()
                .map(|figure| (figure.subject.clone(), figure)),
        );
    let mut rows: Vec<(String, Vec<&Figure>)> = Vec::new();
    for (name, figure) in named {
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, figures)) => figures.push(figure),
            None => rows.push((name, vec![figure])),
        }
    }
    rows
}

fn cell(figure: &Figure) -> String {
    let above = figure.nanos.median - figure.floor_nanos.median;
    let allocations = figure.allocations.map(|counted| format!(" ({counted})"));
    format!("{}{}", micros(above), allocations.unwrap_or_default())
}
