//! Measures what it is asked to, and writes `benches/RESULTS.md` and its plots.
//!
//! ```sh
//! cargo bench -p session-benches --bench compare                    # everything
//! cargo bench -p session-benches --bench compare -- stores --store redis --store fs
//! cargo bench -p session-benches --bench compare -- requests --quick
//! cargo bench -p session-benches --bench compare -- http peers --program tower-sessions
//! cargo bench -p session-benches --bench compare -- report          # measure nothing, write it anew
//! ```

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Parser, ValueEnum};
use criterion::Criterion;
use session_benches::backends::{self, Backend};
use session_benches::beds::{self, Bed};
use session_benches::figures::Results;
use session_benches::http::{self, Effort};
use session_benches::pair::SAMPLES;
use session_benches::programs::{PROGRAMS, Program};
use session_benches::progress::Progress;
use session_benches::requests::{self, Actix, Axum, Counter, Size};
use session_benches::stores::{self, TASKS};
use session_benches::{in_memory, load, machine, peers, probes, report};
use tokio::runtime::Runtime;

/// Measures sessions beside what cannot be avoided, and writes benches/RESULTS.md.
#[derive(Parser)]
#[command(name = "compare")]
struct Options {
    /// What to measure; everything if nothing is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Stores to measure; all if none is named.
    #[arg(long, value_parser = PossibleValuesParser::new(store_names()))]
    store: Vec<String>,
    /// Programs to compare; all if none is named.
    #[arg(long, value_parser = PossibleValuesParser::new(PROGRAMS.map(|program| program.name)))]
    program: Vec<String>,
    /// A folder on the disk that files, embedded databases and servers are to use.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    disk: PathBuf,
    /// Shorter samples: figures to look at, not to quote.
    #[arg(long)]
    quick: bool,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Every operation of every store, beside the raw operation of its backend.
    Stores,
    /// Requests in process, beside the bare framework.
    Requests,
    /// Requests over HTTP: the demo and the peers, beside the bare framework.
    Http,
    /// The peers' requests in process, and whether the answers of all programs are right.
    Peers,
    /// Nothing: the report is made of what was measured before.
    Report,
}

fn main() -> Result<(), Box<dyn StdError>> {
    let options = Options::parse();
    let asked = |part| options.parts.is_empty() || options.parts.contains(&part);
    // Ours stands beside the peers, so it is measured in the same run.
    if asked(Part::Requests) || asked(Part::Peers) {
        measure_requests(&options)?;
    }
    if asked(Part::Stores) {
        measure_stores(&options)?;
    }
    if asked(Part::Http) {
        measure_http(&options)?;
    }
    if asked(Part::Peers) {
        measure_peers(&options)?;
        put_to_probes(&options)?;
    }
    for path in report::write()? {
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// The stores that any part knows.
fn store_names() -> Vec<&'static str> {
    let mut names = beds::NAMES.to_vec();
    names.extend(
        backends::NAMES
            .iter()
            .filter(|name| !beds::NAMES.contains(name)),
    );
    names
}

impl Options {
    /// Those of `names` that are asked for.
    fn stores<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let asked = |name: &&str| self.store.is_empty() || self.store.iter().any(|s| s == name);
        names.iter().copied().filter(asked).collect()
    }

    /// The programs that are asked for and built; `missing` has the others.
    fn programs(&self, missing: &mut Vec<String>, progress: &Progress) -> Vec<Program> {
        let asked = |program: &Program| {
            self.program.is_empty() || self.program.iter().any(|name| name == program.name)
        };
        let (asked, others): (Vec<_>, Vec<_>) = PROGRAMS.into_iter().partition(asked);
        if !others.is_empty() {
            let names: Vec<&str> = others.iter().map(|program| program.name).collect();
            missing.push(format!("not asked for: {}", names.join(", ")));
        }
        let mut is_built = |program: &Program| {
            program
                .built()
                .map_err(|line| leave_out(missing, progress, line))
        };
        asked
            .into_iter()
            .filter(|program| is_built(program).is_ok())
            .collect()
    }
}

fn leave_out(missing: &mut Vec<String>, progress: &Progress, line: String) {
    progress.note(&line);
    missing.push(line);
}

fn two_threads() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn criterion(options: &Options) -> Criterion {
    let (warm_up, measurement) = match options.quick {
        true => (20, 200),
        false => (300, 1_500),
    };
    Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measurement))
        .without_plots()
}

fn measure_requests(options: &Options) -> Result<(), Box<dyn StdError>> {
    let mut criterion = criterion(options);
    let progress = Progress::of(2 * requests::FIGURES);
    let counter = Counter {
        count: |work| allocation_counter::measure(work).count_total,
        pause: |work| allocation_counter::opt_out(work),
    };
    let mut figures = requests::measure_all::<Axum>(&mut criterion, counter, &progress);
    figures.extend(requests::measure_all::<Actix>(
        &mut criterion,
        counter,
        &progress,
    ));
    let results = Results {
        figures,
        ..described(options)
    };
    Ok(results.save("requests")?)
}

/// Each store's results are kept by themselves, so that a later run of one replaces one.
fn measure_stores(options: &Options) -> Result<(), Box<dyn StdError>> {
    let mut criterion = criterion(options);
    let runtime = two_threads()?;
    let names = options.stores(&beds::NAMES);
    let each = stores::Work::ALL.len() * Size::ALL.len() * TASKS.len();
    let memory = names.contains(&"memory").then_some(in_memory::STEPS);
    let progress = Progress::of(names.len() * each + memory.unwrap_or_default());
    let bytes_kept = |work: &mut dyn FnMut()| {
        let counted = allocation_counter::measure(&mut *work);
        u64::try_from(counted.bytes_current).unwrap_or_default()
    };
    for name in names {
        let mut results = described(options);
        match runtime.block_on(Bed::open(name, &options.disk)) {
            Ok(bed) => {
                let works = &stores::Work::ALL;
                match stores::measure_all(&mut criterion, &runtime, name, &bed, works, &progress) {
                    Ok(figures) => results.figures = figures,
                    Err(error) => {
                        let line = format!("{name} is left out: {error}");
                        leave_out(&mut results.missing, &progress, line);
                        if let Some(placement) = &bed.placement {
                            placement.anywhere()?;
                        }
                    }
                }
                if name == "memory" {
                    (results.kept, results.waits) =
                        in_memory::measure(options.quick, &bytes_kept, &progress);
                }
                // Connections close while the runtime is there to close them.
                runtime.block_on(async { drop(bed) });
            }
            Err(error) => {
                let line = format!("{name} is left out: {error}");
                leave_out(&mut results.missing, &progress, line);
            }
        }
        results.save(&format!("stores-{name}"))?;
    }
    Ok(())
}

/// The stores that are driven over HTTP unless others are named.
const DRIVEN: [&str; 5] = ["memory", "fs", "sqlite", "postgres", "redis"];

fn measure_http(options: &Options) -> Result<(), Box<dyn StdError>> {
    let runtime = two_threads()?;
    let effort = Effort::new(options.quick);
    let names = match options.store.is_empty() {
        true => DRIVEN.to_vec(),
        false => options.stores(&backends::NAMES),
    };
    let growing = options.stores(&http::GROWING);
    let sizes = http::GROWTH
        .iter()
        .filter(|size| **size <= effort.filled_max);
    let steps = names.len() * http::PATHS.len() + growing.len() * sizes.count();
    let progress = Progress::of(steps);
    if let Err(error) = load::is_there() {
        progress.note(&format!("HTTP is left out: {error}"));
        return Ok(());
    }
    let mut missing = Vec::new();
    let programs = options.programs(&mut missing, &progress);
    for name in names {
        let mut results = Results {
            missing: missing.clone(),
            ..described(options)
        };
        let having: Vec<Program> = programs
            .iter()
            .filter(|program| program.stores.contains(&name))
            .copied()
            .collect();
        let place = (name, options.disk.as_path());
        let without = &mut results.missing;
        match http::measure_all(&runtime, &having, place, effort, without, &progress) {
            Ok(loads) => results.loads = loads,
            Err(error) => {
                let line = format!("HTTP over {name} is left out: {error}");
                leave_out(&mut results.missing, &progress, line);
            }
        }
        results.save(&format!("http-{name}"))?;
    }
    let Some(ours) = programs.iter().find(|program| program.is_ours()) else {
        return Ok(());
    };
    for name in growing {
        let mut results = described(options);
        let place = (name, options.disk.as_path());
        match http::measure_growth(&runtime, *ours, place, effort, &progress) {
            Ok(loads) => results.loads = loads,
            Err(error) => {
                let line = format!("growth over {name} is left out: {error}");
                leave_out(&mut results.missing, &progress, line);
            }
        }
        results.save(&format!("growth-{name}"))?;
    }
    Ok(())
}

fn measure_peers(options: &Options) -> Result<(), Box<dyn StdError>> {
    let progress = Progress::of(PROGRAMS.len());
    let mut results = described(options);
    for program in options.programs(&mut results.missing, &progress) {
        progress.say(program.name);
        if !program.is_ours() {
            match peers::measure(&program, options.quick) {
                Ok(figures) => results.figures.extend(figures),
                Err(error) => {
                    let line = format!("{} is left out: {error}", program.name);
                    leave_out(&mut results.missing, &progress, line);
                }
            }
        }
        progress.step();
    }
    Ok(results.save("peers")?)
}

fn put_to_probes(options: &Options) -> Result<(), Box<dyn StdError>> {
    let runtime = two_threads()?;
    let names = options.stores(&backends::NAMES);
    let progress = Progress::of(names.len() * PROGRAMS.len());
    let mut missing = Vec::new();
    let programs = options.programs(&mut missing, &progress);
    for name in names {
        let mut results = Results {
            missing: missing.clone(),
            ..described(options)
        };
        for program in programs
            .iter()
            .filter(|program| program.stores.contains(&name))
        {
            progress.say(&format!("probes of {} over {name}", program.name));
            // Each has a server of its own: the probes kill it.
            let put = Backend::open(name, &options.disk)
                .and_then(|mut backend| runtime.block_on(probes::put(program, &mut backend)));
            match put {
                Ok(outcomes) => results.outcomes.extend(outcomes),
                Err(error) => {
                    let line = format!("{} over {name} is left out: {error}", program.name);
                    leave_out(&mut results.missing, &progress, line);
                }
            }
            progress.step();
        }
        results.save(&format!("probes-{name}"))?;
    }
    Ok(())
}

fn described(options: &Options) -> Results {
    let mut command = "cargo bench -p session-benches --bench compare".to_owned();
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    if !args.is_empty() {
        command.push_str(" -- ");
        command.push_str(&args.join(" "));
    }
    Results {
        command,
        quick: options.quick,
        machine: machine::describe(&options.disk),
        ..Results::default()
    }
}
