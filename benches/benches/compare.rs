//! Measures what it is asked to, and writes `benches/RESULTS.md` and its plots.
//!
//! ```sh
//! cargo bench -p session-benches --bench compare                    # everything
//! cargo bench -p session-benches --bench compare -- stores --store redis --store fs
//! cargo bench -p session-benches --bench compare -- requests --quick
//! cargo bench -p session-benches --bench compare -- report          # measure nothing, write it anew
//! ```

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use criterion::Criterion;
use session_benches::beds::{self, Bed};
use session_benches::figures::Results;
use session_benches::pair::SAMPLES;
use session_benches::progress::Progress;
use session_benches::requests::{self, Actix, Axum, Size};
use session_benches::stores::{self, TASKS};
use session_benches::{machine, report};

/// Measures sessions beside what cannot be avoided, and writes benches/RESULTS.md.
#[derive(Parser)]
#[command(name = "compare")]
struct Options {
    /// What to measure; everything if nothing is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Stores to measure; all if none is named.
    #[arg(long, value_parser = beds::NAMES)]
    store: Vec<String>,
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
    /// Nothing: the report is made of what was measured before.
    Report,
}

fn main() -> Result<(), Box<dyn StdError>> {
    let options = Options::parse();
    let all = options.parts.is_empty();
    if all || options.parts.contains(&Part::Requests) {
        measure_requests(&options)?;
    }
    if all || options.parts.contains(&Part::Stores) {
        measure_stores(&options)?;
    }
    for path in report::write()? {
        println!("wrote {}", path.display());
    }
    Ok(())
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
    let count = |work: &mut dyn FnMut()| allocation_counter::measure(&mut *work).count_total;
    let mut figures = requests::measure_all::<Axum>(&mut criterion, &count, &progress);
    figures.extend(requests::measure_all::<Actix>(
        &mut criterion,
        &count,
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let names: Vec<&str> = match options.store.is_empty() {
        true => beds::NAMES.to_vec(),
        false => options.store.iter().map(String::as_str).collect(),
    };
    let each = stores::Work::ALL.len() * Size::ALL.len() * TASKS.len();
    let progress = Progress::of(names.len() * each);
    for name in names {
        let mut results = described(options);
        match runtime.block_on(Bed::open(name, &options.disk)) {
            Ok(bed) => {
                let works = &stores::Work::ALL;
                results.figures =
                    stores::measure_all(&mut criterion, &runtime, name, &bed, works, &progress);
                // Connections close while the runtime is there to close them.
                runtime.block_on(async { drop(bed) });
            }
            Err(error) => {
                let line = format!("{name} is left out: {error}");
                progress.note(&line);
                results.missing.push(line);
            }
        }
        results.save(&format!("stores-{name}"))?;
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
