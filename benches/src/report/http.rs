//! Requests over HTTP, and how they fare as sessions grow in number.

use std::fmt::Write as _;

use super::table::Table;
use crate::backends;
use crate::http::{Load, PATHS};
use crate::load::CONNECTIONS;

pub(super) fn section<'a>(
    loads: impl Iterator<Item = &'a Load>,
    grown: impl Iterator<Item = &'a Load>,
) -> String {
    let loads: Vec<&Load> = loads.collect();
    let grown: Vec<&Load> = grown.collect();
    let mut text = String::new();
    if !loads.is_empty() {
        let _ = write!(
            text,
            "## Requests over HTTP\n\nThe program has one core and one thread, `wrk` with {CONNECTIONS} \
             connections the other core; a store's server runs on either. `share` is the number of \
             requests a second beside the bare framework's in the same round. `/plain` asks for no \
             session, `/peek` reads one key, `/count` reads and stores it. Ours is the whole demo.\n\n\
             ![requests a second beside the bare framework](plots/http.svg)\n\n"
        );
    }
    for store in backends::NAMES {
        let over: Vec<&&Load> = loads.iter().filter(|load| load.store == store).collect();
        if over.is_empty() {
            continue;
        }
        let _ = writeln!(text, "### over {store}\n");
        let mut table = Table::new([
            "program",
            "route",
            "a second",
            "share",
            "p50, ms",
            "p99, ms",
            "processor, µs each",
            "memory, MiB",
            "failed",
        ]);
        for path in PATHS {
            for load in over.iter().filter(|load| load.path == path) {
                table.row([
                    load.program.clone(),
                    load.path.clone(),
                    format!("{:.0}", load.rate.median),
                    share(load),
                    millis(load.p50_micros.median),
                    millis(load.p99_micros.median),
                    format!("{:.1}", load.cpu_micros.median),
                    format!("{:.0}", load.resident_mib),
                    load.failed.to_string(),
                ]);
            }
        }
        text.push_str(&table.text());
        text.push('\n');
    }
    if !grown.is_empty() {
        text.push_str(&growth(&grown));
    }
    text
}

fn growth(grown: &[&Load]) -> String {
    let mut text = String::from(
        "## As sessions grow in number\n\nThe same, with so many more sessions alive in the store.\n\n",
    );
    let mut table = Table::new([
        "program",
        "store",
        "sessions",
        "route",
        "a second",
        "share",
        "p99, ms",
        "memory, MiB",
        "server, MiB",
    ]);
    for load in grown {
        table.row([
            load.program.clone(),
            load.store.clone(),
            load.filled.to_string(),
            load.path.clone(),
            format!("{:.0}", load.rate.median),
            share(load),
            millis(load.p99_micros.median),
            format!("{:.0}", load.resident_mib),
            load.server_mib
                .map_or(String::new(), |mib| format!("{mib:.0}")),
        ]);
    }
    text.push_str(&table.text());
    text.push('\n');
    text
}

fn share(load: &Load) -> String {
    if load.program == load.floor {
        return "1".to_owned();
    }
    let [low, median, high] = [load.ratio.low, load.ratio.median, load.ratio.high];
    format!("{median:.2} ({low:.2} to {high:.2})")
}

fn millis(micros: f64) -> String {
    format!("{:.2}", micros / 1_000.0)
}
