//! What was measured, as it is kept between a run and its report.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::http::Load;
use crate::in_memory::{Kept, Wait};
use crate::probes::Outcome;

/// One figure: an operation of a subject, beside its floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The bench it is of.
    pub bench: String,
    /// What was measured.
    pub subject: String,
    /// What it did.
    pub operation: String,
    /// How much a session held.
    pub size: String,
    /// How many did it at once.
    pub tasks: usize,
    /// Nanoseconds for one.
    pub nanos: Spread,
    /// What it stands beside.
    pub floor: String,
    /// Nanoseconds for one of these.
    pub floor_nanos: Spread,
    /// The ratio of the two, sample by sample.
    pub ratio: Spread,
    /// Allocations of one, above the floor's; exact.
    pub allocations: Option<i64>,
}

/// A median, and the quartiles around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// A quarter of the samples is below.
    pub low: f64,
    /// Half of them are.
    pub median: f64,
    /// Three quarters of them are.
    pub high: f64,
}

impl Spread {
    /// The spread of `samples`; zeros if there is none.
    ///
    /// ```
    /// use session_benches::figures::Spread;
    ///
    /// let spread = Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]);
    /// assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
    /// ```
    #[must_use]
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * samples.len().saturating_sub(1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            match (samples.get(below), samples.get(above)) {
                (Some(low), Some(high)) => low + (high - low) * place.fract(),
                _ => 0.0,
            }
        };
        Self {
            low: at(0.25),
            median: at(0.5),
            high: at(0.75),
        }
    }
}

/// All of one run, and where and how it was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What was measured over HTTP.
    #[serde(default)]
    pub loads: Vec<Load>,
    /// How the probes went.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// What memory live sessions take.
    #[serde(default)]
    pub kept: Vec<Kept>,
    /// How long requests waited beside a sweep.
    #[serde(default)]
    pub waits: Vec<Wait>,
    /// What was asked for and could not be had, and why.
    pub missing: Vec<String>,
    /// The command that made the run.
    pub command: String,
    /// The samples were short.
    pub quick: bool,
    /// The machine and the versions, a line each.
    pub machine: Vec<String>,
}

impl Results {
    /// The results that were kept under `name`.
    ///
    /// # Errors
    ///
    /// There is no such file, or it cannot be read.
    pub fn load(name: &str) -> io::Result<Self> {
        let text = std::fs::read_to_string(path(name))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Keeps the results under `name`.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self, name: &str) -> io::Result<()> {
        let path = path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(self)?)
    }
}

/// Where results are kept: beside criterion's own.
fn path(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let folder = target.unwrap_or(root).join("session-benches");
    folder.join(format!("{name}.json"))
}
