use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::log_tests::Log;

/// `event`, `why` and level of a line of the log.
fn told(line: &str) -> [String; 3] {
    let field = |name: &str| {
        let rest = line.split_once(&format!(" {name}=\""));
        let value = rest.and_then(|(_, rest)| rest.split('"').next());
        value.unwrap_or_default().to_owned()
    };
    let level = line.split(' ').next().unwrap();
    [field("event"), field("why"), level.to_owned()]
}

/// The rows of the table in the module's documentation, one for each `why`.
fn documented() -> BTreeSet<[String; 3]> {
    let lines = include_str!("event.rs").lines();
    let rows = lines
        .skip_while(|line| *line != "//! | `event` | `why` | level |")
        .skip(2)
        .map_while(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
    let rows = rows.flat_map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [event, whys, level] = cells.try_into().unwrap();
        let bare = |text: &str| text.trim_matches('`').to_owned();
        let row = |why: &str| [bare(event), bare(why), level.to_owned()];
        whys.split(", ").map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

#[test]
fn the_table_has_each_kind_of_event_with_its_level() {
    let log = Log::default();
    let lines = Arc::clone(&log.0);
    tracing::subscriber::with_default(log, || {
        for kind in EventKind::all() {
            let event = Event {
                kind,
                session: None,
                owner: None,
                address: None,
                at: Timestamp::from_unix_ms(0),
            };
            trace(&event, None);
        }
    });
    let lines = lines.lock().unwrap();
    let told: BTreeSet<_> = lines.iter().map(|line| told(line)).collect();
    assert_eq!(told, documented());
    assert_eq!(told.len(), EventKind::all().len(), "no two are told alike");
}
