//! The report: `benches/RESULTS.md` and the plots it shows, made of what was measured.

mod goals;
mod http;
mod in_memory;
mod peers;
mod plot;
mod probes;
mod table;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::figures::{Figure, Results};
use crate::http::Load;
use crate::probes::Outcome;
use crate::{backends, beds};
use table::Table;

/// Writes the report of all results that are there, and says which files.
///
/// # Errors
///
/// A file cannot be written, or a plot cannot be drawn.
pub fn write() -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parts = Parts::load();
    let mut written = Vec::new();
    let results = folder.join("RESULTS.md");
    fs::write(&results, text(&parts))?;
    written.push(results);
    let plots = folder.join("plots");
    fs::create_dir_all(&plots)?;
    for plot in plot::all(&parts) {
        let path = plots.join(plot.file);
        fs::write(&path, plot.svg)?;
        written.push(path);
    }
    Ok(written)
}

/// The results of each part.
#[derive(Debug)]
struct Parts {
    requests: Option<Results>,
    stores: Vec<(&'static str, Results)>,
    peers: Option<Results>,
    http: Vec<Results>,
    growth: Vec<Results>,
    probes: Vec<Results>,
}

impl Parts {
    fn load() -> Self {
        let stores = beds::NAMES.into_iter();
        let stores = stores.filter_map(|name| {
            let results = Results::load(&format!("stores-{name}")).ok()?;
            Some((name, results))
        });
        let of_backends = |part: &str| -> Vec<Results> {
            let names = backends::NAMES.into_iter();
            names
                .filter_map(|name| Results::load(&format!("{part}-{name}")).ok())
                .collect()
        };
        Self {
            requests: Results::load("requests").ok(),
            stores: stores.collect(),
            peers: Results::load("peers").ok(),
            http: of_backends("http"),
            growth: of_backends("growth"),
            probes: of_backends("probes"),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Results> {
        let programs = [&self.http, &self.growth, &self.probes];
        let programs = programs.into_iter().flatten();
        let alone = self.requests.iter().chain(&self.peers);
        alone.chain(self.stores()).chain(programs)
    }

    fn loads(&self) -> impl Iterator<Item = &Load> {
        self.http.iter().flat_map(|results| &results.loads)
    }

    fn grown(&self) -> impl Iterator<Item = &Load> {
        self.growth.iter().flat_map(|results| &results.loads)
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.probes.iter().flat_map(|results| &results.outcomes)
    }

    fn stores(&self) -> impl Iterator<Item = &Results> {
        self.stores.iter().map(|(_, results)| results)
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.all().flat_map(|results| &results.figures)
    }
}

fn text(parts: &Parts) -> String {
    let mut text = String::from(HEAD);
    covered(&mut text, parts);
    if let Some(results) = &parts.requests {
        requests(&mut text, results);
    }
    if let Some(results) = &parts.peers {
        text.push_str(&peers::section(results, parts.requests.as_ref()));
    }
    text.push_str(&http::section(parts.loads(), parts.grown()));
    text.push_str(&probes::section(parts.outcomes()));
    if !parts.stores.is_empty() {
        stores(&mut text, parts);
    }
    goals(&mut text, parts);
    text.push_str(include_str!("../NOTES.md"));
    text
}

const HEAD: &str = "\
# Results

Written by the bench itself; what is not measured is in [NOTES.md](NOTES.md), which is copied to the
end. Each figure is the median of its samples, with the quartiles in brackets. A ratio is the median
of the ratios of samples that were taken together, in turns; read the ratios, since absolute times
drift with a shared machine.

";

/// Which runs the report is made of, and what they leave out.
fn covered(text: &mut String, parts: &Parts) {
    let mut machines: Vec<&[String]> = Vec::new();
    let mut commands: Vec<&str> = Vec::new();
    for results in parts.all() {
        if !machines.contains(&&*results.machine) {
            machines.push(&results.machine);
        }
        if !commands.contains(&&*results.command) {
            commands.push(&results.command);
        }
    }
    for machine in machines {
        let _ = writeln!(text, "Measured on: {}.\n", machine.join("; "));
    }
    let _ = writeln!(text, "```sh\n{}\n```\n", commands.join("\n"));
    let mut left_out: Vec<String> = Vec::new();
    if parts.requests.is_none() {
        left_out.push("requests in process were not measured".to_owned());
    }
    if parts.peers.is_none() {
        left_out.push("the peers' requests in process were not measured".to_owned());
    }
    if parts.http.is_empty() {
        left_out.push("HTTP was not measured".to_owned());
    }
    if parts.probes.is_empty() {
        left_out.push("no program was put to the probes".to_owned());
    }
    let without_http: Vec<&str> = backends::NAMES
        .into_iter()
        .filter(|name| !parts.loads().any(|load| load.store == *name))
        .collect();
    if !parts.http.is_empty() && !without_http.is_empty() {
        left_out.push(format!(
            "not measured over HTTP: {}",
            without_http.join(", ")
        ));
    }
    for name in beds::NAMES {
        if !parts.stores.iter().any(|(known, _)| *known == name) {
            left_out.push(format!("the store {name} was not measured"));
        }
    }
    for results in parts.all() {
        for line in &results.missing {
            if !left_out.contains(line) {
                left_out.push(line.clone());
            }
        }
    }
    if parts.all().any(|results| results.quick) {
        left_out.push("some samples were short (`--quick`): not to be quoted".to_owned());
    }
    if !left_out.is_empty() {
        text.push_str("This run covers less than everything:\n\n");
        for line in left_out {
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
    }
}

fn requests(text: &mut String, results: &Results) {
    text.push_str(
        "## Requests in process\n\nOver memory, with signed tokens, beside the same routes without a \
         session layer. Small is a session of 3 keys and 120 bytes, large one of 50 keys and 8 KB.\n\n\
         ![what a session adds to a request](plots/requests.svg)\n\n",
    );
    let mut table = Table::new([
        "under",
        "the handler",
        "session",
        "bare, µs",
        "with sessions, µs",
        "above bare, µs",
        "allocations above",
    ]);
    for figure in &results.figures {
        let above = figure.nanos.median - figure.floor_nanos.median;
        table.row([
            figure.subject.clone(),
            figure.operation.clone(),
            figure.size.clone(),
            micros(figure.floor_nanos.median),
            spread_micros(figure.nanos),
            micros(above),
            figure.allocations.map_or("".to_owned(), |n| n.to_string()),
        ]);
    }
    text.push_str(&table.text());
    text.push('\n');
}

fn stores(text: &mut String, parts: &Parts) {
    text.push_str(
        "## Stores\n\nMicroseconds for one operation, and the ratio to the raw operation of the same \
         backend, measured in turns with it. `load` and `load + change + save` go all the way from \
         the cookie's text to the conditional write, signed. At one task a server has one processor and the \
         client the others; many tasks have all.\n\n\
         ![stores beside their floors](plots/stores.svg)\n\n",
    );
    for (name, results) in &parts.stores {
        if results.figures.is_empty() {
            continue;
        }
        let _ = writeln!(text, "### {name}\n");
        let mut table = Table::new([
            "operation",
            "session",
            "1 task, µs",
            "ratio",
            "64 tasks, µs",
            "ratio",
            "beside",
        ]);
        for figure in results.figures.iter().filter(|figure| figure.tasks == 1) {
            let many = results.figures.iter().find(|other| {
                (&other.operation, &other.size) == (&figure.operation, &figure.size)
                    && other.tasks > 1
            });
            let cells = |figure: Option<&Figure>| {
                let micros = figure.map(|figure| spread_micros(figure.nanos));
                let ratio = figure.map(|figure| format!("{:.2}", figure.ratio.median));
                [micros.unwrap_or_default(), ratio.unwrap_or_default()]
            };
            let [one, one_ratio] = cells(Some(figure));
            let [all, all_ratio] = cells(many);
            table.row([
                figure.operation.clone(),
                figure.size.clone(),
                one,
                one_ratio,
                all,
                all_ratio,
                figure.floor.clone(),
            ]);
        }
        text.push_str(&table.text());
        text.push('\n');
        in_memory::append(text, results);
    }
}

fn goals(text: &mut String, parts: &Parts) {
    let mut table = Table::new(["goal", "wanted", "measured", ""]);
    let mut any = false;
    let judged = goals::judged(parts.figures());
    for goal in judged
        .into_iter()
        .chain(goals::judged_over_http(parts.loads()))
        .chain(goals::judged_in_memory(parts.stores()))
    {
        any = true;
        let verdict = if goal.is_met() { "met" } else { "**missed**" };
        table.row([
            goal.name,
            goal.limit.to_string(),
            format!("{:.2}", goal.measured),
            verdict.to_owned(),
        ]);
    }
    if any {
        text.push_str("## Goals\n\nWhat the project wants to be; why a goal is missed is in the notes below.\n\n");
        text.push_str(&table.text());
        text.push('\n');
    }
}

fn micros(nanos: f64) -> String {
    let micros = nanos / 1_000.0;
    let digits = match micros.abs() {
        micros if micros < 10.0 => 2,
        micros if micros < 100.0 => 1,
        _ => 0,
    };
    format!("{micros:.digits$}")
}

fn spread_micros(spread: crate::figures::Spread) -> String {
    let [low, median, high] = [spread.low, spread.median, spread.high].map(micros);
    format!("{median} ({low} to {high})")
}
