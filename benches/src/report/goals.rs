//! The speed that is wanted, beside what was measured.

use crate::figures::Figure;

/// One goal and its outcome.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) name: String,
    pub(super) most: f64,
    pub(super) measured: f64,
}

impl Goal {
    pub(super) fn is_met(&self) -> bool {
        self.measured <= self.most
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
            most,
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
        most: *micros,
        measured: above(figure),
    });
    if let Some(counted) = figure.allocations {
        goals.push(Goal {
            name: format!("{name}: allocations above bare"),
            most: *allocations as f64,
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
        most,
        measured: figure.ratio.median,
    });
}
