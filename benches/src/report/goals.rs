//! The speed that is wanted, beside what was measured.

use std::fmt;

use crate::figures::{Figure, Results};
use crate::http::Load;
use crate::in_memory::Wait;
use crate::programs::PROGRAMS;

/// One goal and its outcome.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) name: String,
    pub(super) limit: Limit,
    pub(super) measured: f64,
}

/// On which side of which figure a goal is met.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Above(f64),
}

impl Goal {
    pub(super) fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.measured <= limit,
            Limit::AtLeast(limit) => self.measured >= limit,
            Limit::Above(limit) => self.measured > limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit:.2}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit:.2}"),
            Self::Above(limit) => write!(f, "> {limit:.2}"),
        }
    }
}

/// What a request may cost above the bare framework, in microseconds and allocations.
const REQUESTS: [(&str, f64, i64); 3] = [
    ("untouched", 0.45, 6),
    ("read", 1.2, 10),
    ("write", 2.0, 18),
];
/// How much more a write to a large session may cost than one to a small one, in microseconds.
const LARGE_WRITE_MORE: f64 = 3.0;
/// How many times as much reading a key of a large session may cost.
const LARGE_READ_TIMES: f64 = 1.5;
/// What a session may cost beside its store's floor.
const LOAD_TIMES: f64 = 1.15;
const SAVE_TIMES: f64 = 1.25;
/// How much longer a request may wait for a sweep than for any other task, in milliseconds.
const SWEEP_WAIT_MS: f64 = 5.0;
/// What share of the bare framework's requests a second there should be over HTTP.
const HTTP: [(&str, &str, f64); 4] = [
    ("memory", "/peek", 0.80),
    ("memory", "/count", 0.75),
    ("redis", "/peek", 0.60),
    ("redis", "/count", 0.35),
];
/// The store over which the share is to be above these peers' instead.
const ABOVE_PEERS: (&str, [&str; 2]) = ("postgres", ["tower-sessions", "axum-session"]);

/// The goals that `figures` say something about.
pub(super) fn judged<'a>(figures: impl Iterator<Item = &'a Figure>) -> Vec<Goal> {
    let figures: Vec<&Figure> = figures.collect();
    let mut goals = Vec::new();
    for figure in &figures {
        match figure.bench.as_str() {
            "requests" => request(&mut goals, figure, &figures),
            "stores" => store(&mut goals, figure),
            _ => {}
        }
    }
    goals
}

/// The goals over HTTP that `loads` say something about.
pub(super) fn judged_over_http<'a>(loads: impl Iterator<Item = &'a Load>) -> Vec<Goal> {
    let loads: Vec<&Load> = loads.filter(|load| load.filled == 0).collect();
    let is_ours = |load: &&&Load| {
        let mut programs = PROGRAMS.iter().filter(|program| program.is_ours());
        programs.any(|program| program.name == load.program)
    };
    let mut goals = Vec::new();
    for load in loads.iter().filter(is_ours) {
        let name = format!("{} {} over {}", load.program, load.path, load.store);
        let share = HTTP
            .iter()
            .find(|(store, path, _)| (*store, *path) == (&*load.store, &*load.path));
        if let Some((_, _, share)) = share {
            goals.push(Goal {
                name: format!("{name}: share of bare"),
                limit: Limit::AtLeast(*share),
                measured: load.ratio.median,
            });
        }
        let (store, peers) = ABOVE_PEERS;
        if load.store != store || load.path == "/plain" {
            continue;
        }
        for peer in peers {
            let theirs = loads.iter().find(|other| {
                other.program == peer && (&other.store, &other.path) == (&load.store, &load.path)
            });
            if let Some(theirs) = theirs {
                goals.push(Goal {
                    name: format!("{name}: share of bare, beside {peer}'s"),
                    limit: Limit::Above(theirs.ratio.median),
                    measured: load.ratio.median,
                });
            }
        }
    }
    goals
}

/// The goals of the store in memory that `results` say something about.
pub(super) fn judged_in_memory<'a>(results: impl Iterator<Item = &'a Results>) -> Vec<Goal> {
    let mut goals = Vec::new();
    for results in results {
        goals.extend(results.kept.iter().map(|kept| Goal {
            name: format!("memory, {}: bytes of a session", kept.size),
            limit: Limit::AtMost(kept.bytes_max() as f64),
            measured: kept.bytes as f64,
        }));
        goals.extend(results.waits.iter().map(|wait| Goal {
            name: format!("memory, a sweep, {}: ms a request waits", threads(wait)),
            limit: Limit::AtMost(wait.longest_beside_other_ms + SWEEP_WAIT_MS),
            measured: wait.longest_ms,
        }));
    }
    goals
}

pub(super) fn threads(wait: &Wait) -> String {
    match wait.threads {
        1 => "1 thread".to_owned(),
        many => format!("{many} threads"),
    }
}

fn above(figure: &Figure) -> f64 {
    (figure.nanos.median - figure.floor_nanos.median) / 1_000.0
}

fn request(goals: &mut Vec<Goal>, figure: &Figure, figures: &[&Figure]) {
    let name = format!("{} {}, {}", figure.subject, figure.operation, figure.size);
    let of_size = |size: &str| {
        figures.iter().find(|other| {
            (&other.bench, &other.subject, &other.operation)
                == (&figure.bench, &figure.subject, &figure.operation)
                && other.size == size
        })
    };
    if figure.size == "large" {
        let Some(small) = of_size("small") else {
            return;
        };
        let most = match figure.operation.as_str() {
            "read" => above(small) * LARGE_READ_TIMES,
            "write" => above(small) + LARGE_WRITE_MORE,
            _ => return,
        };
        goals.push(Goal {
            name: format!("{name}: µs above bare"),
            limit: Limit::AtMost(most),
            measured: above(figure),
        });
        return;
    }
    // A visitor without a cookie who stores nothing costs what an untouched request does.
    let like = match (figure.size.as_str(), figure.operation.as_str()) {
        ("no cookie", "new") => return,
        ("no cookie", _) => "untouched",
        (_, operation) => operation,
    };
    let Some((_, micros, allocations)) = REQUESTS.iter().find(|(of, ..)| *of == like) else {
        return;
    };
    goals.push(Goal {
        name: format!("{name}: µs above bare"),
        limit: Limit::AtMost(*micros),
        measured: above(figure),
    });
    if let Some(counted) = figure.allocations {
        goals.push(Goal {
            name: format!("{name}: allocations above bare"),
            limit: Limit::AtMost(*allocations as f64),
            measured: counted as f64,
        });
    }
}

fn store(goals: &mut Vec<Goal>, figure: &Figure) {
    let most = match figure.operation.as_str() {
        "load" => LOAD_TIMES,
        "load + change + save" => SAVE_TIMES,
        _ => return,
    };
    // A map look-up has no way to go, and its session has: requests in process are its measure.
    if figure.subject == "memory" {
        return;
    }
    let tasks = match figure.tasks {
        1 => "1 task".to_owned(),
        many => format!("{many} tasks"),
    };
    goals.push(Goal {
        name: format!(
            "{}: {}, {}, {tasks}: times the floor",
            figure.subject, figure.operation, figure.size
        ),
        limit: Limit::AtMost(most),
        measured: figure.ratio.median,
    });
}
