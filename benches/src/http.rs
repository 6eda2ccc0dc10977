//! Requests over HTTP: how many a second, beside the bare framework in the same round.
//!
//! A program has one core and one thread, `wrk` the other core; what serves the store runs where
//! the system puts it. All programs run at once and take turns, as a machine's speed drifts.

use std::error::Error as StdError;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use crate::backends::Backend;
use crate::figures::Spread;
use crate::load::{self, Counted};
use crate::programs::{Place, Program, Running, cpu_seconds, resident_mib};
use crate::progress::Progress;

/// One figure: a route of a program over a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// The program.
    pub program: String,
    /// The framework without sessions that it stands beside.
    pub floor: String,
    /// Where sessions are kept.
    pub store: String,
    /// The route.
    pub path: String,
    /// Live sessions, about, where growth is measured; elsewhere 0.
    pub filled: usize,
    /// Answers a second.
    pub rate: Spread,
    /// The ratio to the floor's rate in the same round.
    pub ratio: Spread,
    /// Half of the answers came within so many microseconds.
    pub p50_micros: Spread,
    /// All but one in a hundred did.
    pub p99_micros: Spread,
    /// Microseconds of the program's processor time for one answer.
    pub cpu_micros: Spread,
    /// Memory that the program held at the end.
    pub resident_mib: f64,
    /// Memory that the store's server held.
    pub server_mib: Option<f64>,
    /// Answers of another status than 2xx and 3xx, and those that never came.
    pub failed: u64,
}

/// The routes that are driven, in this order.
pub const PATHS: [&str; 3] = ["/plain", "/peek", "/count"];

/// Live sessions that growth is measured with.
pub const GROWTH: [usize; 3] = [1_000, 100_000, 1_000_000];

/// The stores that growth is measured over.
pub const GROWING: [&str; 2] = ["memory", "redis"];

/// How long it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds, in each of which every program has a turn.
    pub rounds: usize,
    /// Seconds of a turn.
    pub seconds: u32,
    /// The most sessions of [`GROWTH`].
    pub filled_max: usize,
}

impl Effort {
    /// What figures to be quoted take, or a quick look.
    #[must_use]
    pub fn new(quick: bool) -> Self {
        let (rounds, seconds, filled_max) = match quick {
            true => (1, 1, 100_000),
            false => (5, 2, 1_000_000),
        };
        Self {
            rounds,
            seconds,
            filled_max,
        }
    }
}

/// Measures these programs, and the floors that they stand beside, over one store.
///
/// A program that does not start, or ends, is left out, and `missing` says so.
///
/// # Errors
///
/// The store or a floor does not start, or `wrk` fails with the floor.
pub fn measure_all(
    runtime: &Runtime,
    programs: &[Program],
    (store, disk): (&str, &Path),
    effort: Effort,
    missing: &mut Vec<String>,
    progress: &Progress,
) -> Result<Vec<Load>, Box<dyn StdError>> {
    let backend = Backend::open(store, disk)?;
    let mut racers = Racer::floors(runtime, programs)?;
    for program in programs {
        match Racer::start(runtime, *program, &backend) {
            Ok(racer) => racers.push(racer),
            Err(error) => {
                let line = format!("{} over {store} is left out: {error}", program.name);
                progress.note(&line);
                missing.push(line);
            }
        }
    }
    let mut loads = Vec::new();
    for path in PATHS {
        progress.say(&format!("{path} over {store}"));
        loads.extend(race(&mut racers, path, (&backend, 0), effort)?);
        // Who fails is out of the race from there on.
        racers.retain(|racer| match &racer.failure {
            Some(error) => {
                let line = format!(
                    "{path} of {} over {store} failed: {error}",
                    racer.program.name
                );
                progress.note(&line);
                missing.push(line);
                false
            }
            None => true,
        });
        progress.step();
    }
    Ok(loads)
}

/// Measures `program` over one store while more and more sessions live in it.
///
/// # Errors
///
/// Something does not start or ends, a session is refused, or `wrk` fails.
pub fn measure_growth(
    runtime: &Runtime,
    program: Program,
    (store, disk): (&str, &Path),
    effort: Effort,
    progress: &Progress,
) -> Result<Vec<Load>, Box<dyn StdError>> {
    let backend = Backend::open(store, disk)?;
    let mut racers = Racer::floors(runtime, &[program])?;
    racers.push(Racer::start(runtime, program, &backend)?);
    // Those that are asked for are among them.
    let mut live = load::SESSIONS;
    let mut loads = Vec::new();
    for sessions in GROWTH {
        if sessions > effort.filled_max {
            break;
        }
        progress.say(&format!("{sessions} sessions in {store}"));
        let grown = racers.last().expect("one was pushed").running.addr;
        runtime.block_on(load::fill(grown, sessions.saturating_sub(live)))?;
        live = live.max(sessions);
        for path in &PATHS[1..] {
            loads.extend(race(&mut racers, path, (&backend, sessions), effort)?);
            if let Some(error) = racers.last_mut().and_then(|racer| racer.failure.take()) {
                return Err(format!("{path} of {} failed: {error}", program.name).into());
            }
        }
        progress.step();
    }
    loads.retain(|load| load.program == program.name);
    Ok(loads)
}

/// A program that takes turns with others.
struct Racer {
    program: Program,
    running: Running,
    cookies: NamedTempFile,
    turns: Vec<Turn>,
    /// Why it takes no more turns.
    failure: Option<String>,
}

/// What one turn showed.
struct Turn {
    counted: Counted,
    cpu_micros: f64,
}

impl Racer {
    /// The floors of these programs, started.
    fn floors(runtime: &Runtime, programs: &[Program]) -> Result<Vec<Self>, Box<dyn StdError>> {
        let mut racers: Vec<Self> = Vec::new();
        for program in programs {
            let floor = program.floor();
            if racers.iter().any(|racer| racer.program == floor) {
                continue;
            }
            let running = floor.start("memory:", Place::OneCore)?;
            let cookies = runtime.block_on(load::cookies(running.addr, false))?;
            racers.push(Self::new(floor, running, cookies));
        }
        Ok(racers)
    }

    fn start(
        runtime: &Runtime,
        program: Program,
        backend: &Backend,
    ) -> Result<Self, Box<dyn StdError>> {
        let running = program.start(&backend.url(program.name)?, Place::OneCore)?;
        let cookies = runtime.block_on(load::cookies(running.addr, true))?;
        Ok(Self::new(program, running, cookies))
    }

    fn new(program: Program, running: Running, cookies: NamedTempFile) -> Self {
        Self {
            program,
            running,
            cookies,
            turns: Vec::new(),
            failure: None,
        }
    }

    fn turn(&self, path: &str, seconds: u32) -> Result<Turn, Box<dyn StdError>> {
        let pid = self.running.pid();
        let before = cpu_seconds(pid)?;
        let counted = load::drive(self.running.addr, path, self.cookies.path(), seconds)?;
        let used = cpu_seconds(pid)? - before;
        Ok(Turn {
            counted,
            cpu_micros: used * 1e6 / counted.requests.max(1) as f64,
        })
    }
}

/// Lets every racer have its turn in each round, and each round begin with another one.
fn race(
    racers: &mut [Racer],
    path: &str,
    (backend, filled): (&Backend, usize),
    effort: Effort,
) -> Result<Vec<Load>, Box<dyn StdError>> {
    for racer in &mut *racers {
        racer.turns.clear();
    }
    for round in 0..effort.rounds {
        for place in 0..racers.len() {
            let number = (round + place) % racers.len();
            let racer = &mut racers[number];
            if racer.failure.is_some() {
                continue;
            }
            match racer.turn(path, effort.seconds) {
                Ok(turn) => racer.turns.push(turn),
                Err(error) if racer.program == racer.program.floor() => return Err(error),
                Err(error) => racer.failure = Some(error.to_string()),
            }
        }
    }
    let server_mib = backend.pid().map(resident_mib).transpose()?;
    racers
        .iter()
        .filter(|racer| racer.failure.is_none())
        .map(|racer| {
            let floor = racer.program.floor();
            let beside = racers.iter().find(|other| other.program == floor);
            let beside = beside.expect("every floor was started");
            let pairs = racer.turns.iter().zip(&beside.turns);
            let pairs = pairs.filter(|(_, floor)| floor.counted.requests > 0);
            let each = |of: fn(&Turn) -> f64| Spread::of(racer.turns.iter().map(of));
            let failed = |turn: &Turn| turn.counted.refused + turn.counted.broken;
            Ok(Load {
                program: racer.program.name.to_owned(),
                floor: floor.name.to_owned(),
                store: backend.name().to_owned(),
                path: path.to_owned(),
                filled,
                rate: each(|turn| turn.counted.rate()),
                ratio: Spread::of(
                    pairs.map(|(own, floor)| own.counted.rate() / floor.counted.rate()),
                ),
                p50_micros: each(|turn| turn.counted.p50 as f64),
                p99_micros: each(|turn| turn.counted.p99 as f64),
                cpu_micros: each(|turn| turn.cpu_micros),
                resident_mib: resident_mib(racer.running.pid())?,
                server_mib,
                failed: racer.turns.iter().map(failed).sum(),
            })
        })
        .collect()
}
