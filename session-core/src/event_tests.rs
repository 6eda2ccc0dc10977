use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use super::*;

/// `event`, `why` and level of each line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<BTreeSet<[String; 3]>>>);

#[derive(Default)]
struct Fields([String; 2]);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.0[0] = value.to_owned(),
            "why" => self.0[1] = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let [name, why] = fields.0;
        let level = event.metadata().level().to_string().to_lowercase();
        self.0.lock().unwrap().insert([name, why, level]);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
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
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
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
    let told = lines.0.lock().unwrap();
    assert_eq!(*told, documented());
    assert_eq!(told.len(), EventKind::all().len(), "no two are told alike");
}
